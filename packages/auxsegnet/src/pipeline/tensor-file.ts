import { readFile } from 'node:fs/promises';
import {
  readMxnetParams,
  readNpz,
  readPyTorchCheckpoint,
  readSafetensors,
  type TensorMap,
} from '@auxseg/formats';
import { AuxSegNetError } from '../auxsegnet-error.js';

/** Reads the tensors of a .pth, .params, .safetensors or .npz file. Throws AuxSegNetError MISSING_INPUT, FormatError. */
export async function readTensorFile(path: string): Promise<TensorMap> {
  const bytes = await readFile(path).catch((cause) => {
    throw new AuxSegNetError(
      'MISSING_INPUT',
      `Expected a weight file at ${path}, got ${(cause as NodeJS.ErrnoException).code}.`,
      { path },
    );
  });
  try {
    if (/\.(pth|pt|bin)$/.test(path)) return readPyTorchCheckpoint(bytes).tensors;
    if (path.endsWith('.params')) return readMxnetParams(bytes);
    if (path.endsWith('.safetensors')) return readSafetensors(bytes).tensors;
    if (path.endsWith('.npz')) return readNpz(bytes);
  } catch (cause) {
    throw new AuxSegNetError('BAD_WEIGHTS', `${path}: ${(cause as Error).message}`, { path });
  }
  throw new AuxSegNetError(
    'BAD_WEIGHTS',
    `Expected a .pth, .params, .safetensors or .npz file, got ${path}.`,
    {
      path,
    },
  );
}
