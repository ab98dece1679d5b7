import { readFile } from 'node:fs/promises';
import {
  readMxnetParams,
  readNpz,
  readPyTorchCheckpoint,
  readSafetensors,
  type TensorMap,
} from '@auxseg/formats';
import { CliUsageError } from './cli-error.js';

/** Reads tensors from any supported file, by its extension. */
export async function readTensors(path: string): Promise<TensorMap> {
  const bytes = await readFile(path).catch((cause) => {
    throw new CliUsageError(
      `Expected a weight file at ${path}, got ${(cause as NodeJS.ErrnoException).code}.`,
      { path },
    );
  });
  if (/\.(pth|pt|bin)$/.test(path)) return readPyTorchCheckpoint(bytes).tensors;
  if (path.endsWith('.params')) return readMxnetParams(bytes);
  if (path.endsWith('.safetensors')) return readSafetensors(bytes).tensors;
  if (path.endsWith('.npz')) return readNpz(bytes);
  throw new CliUsageError(`Expected a .pth, .params, .safetensors or .npz file, got ${path}.`, { path });
}
