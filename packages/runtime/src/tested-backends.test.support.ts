import { listBackends } from './backends/list-backends.js';

/** Backends that every gradient is tested on here: onnx and node too, where their native libraries load. */
export async function testedBackends(): Promise<('cpu' | 'wasm' | 'onnx' | 'node')[]> {
  const statuses = await listBackends();
  const native = (['onnx', 'node'] as const).filter((name) => {
    const status = statuses.find((candidate) => candidate.name === name);
    if (status?.available) return true;
    // Few machines have tfjs-node: only where one is named is its absence worth a word.
    if (name === 'onnx' || process.env['AUXSEG_TFJS_NODE']) {
      console.warn(`Not testing on backend ${name}: ${status?.reason}`);
    }
    return false;
  });
  return ['cpu', 'wasm', ...native];
}
