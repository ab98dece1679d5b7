import { listBackends } from './backends/list-backends.js';

/** Backends that every gradient is tested on here: onnx too, where its native library loads. */
export async function testedBackends(): Promise<('cpu' | 'wasm' | 'onnx')[]> {
  const onnx = (await listBackends()).find((status) => status.name === 'onnx');
  if (onnx?.available) return ['cpu', 'wasm', 'onnx'];
  console.warn(`Not testing on backend onnx: ${onnx?.reason}`);
  return ['cpu', 'wasm'];
}
