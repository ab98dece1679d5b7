import { readFile } from 'node:fs/promises';
import { FormatError, readWeights, type TensorMap, type Weights } from '@auxseg/formats';
import { AuxSegNetError } from '../auxsegnet-error.js';

/**
 * Reads a weight file of any supported format, told apart by its contents and not by its name.
 *
 * Tensors are views into the file's bytes and decoded when used, so that a large checkpoint is in memory once.
 * @throws AuxSegNetError MISSING_INPUT, BAD_WEIGHTS (path; the FormatError's message)
 */
export async function readWeightsFile(path: string): Promise<Weights> {
  const bytes = await readFile(path).catch((cause) => {
    throw new AuxSegNetError(
      'MISSING_INPUT',
      `Expected a weight file at ${path}, got ${(cause as NodeJS.ErrnoException).code}.`,
      { path },
    );
  });
  try {
    return readWeights(bytes);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new AuxSegNetError('BAD_WEIGHTS', `${path}: ${cause.message}`, { path, ...cause.details });
  }
}

/** The tensors of a weight file; see `readWeightsFile`. */
export async function readTensorFile(path: string): Promise<TensorMap> {
  return (await readWeightsFile(path)).tensors;
}
