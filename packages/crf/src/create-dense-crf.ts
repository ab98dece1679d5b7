import { createDenseCrfReference } from './create-dense-crf-reference.js';
import type { DenseCrf } from './types.js';

/** Dense CRF: the fastest implementation that this machine runs. */
export async function createDenseCrf(): Promise<DenseCrf> {
  return createDenseCrfReference();
}
