import { useBackend } from '../../../runtime/dist/index.js';

// The tests provoke libtensorflow's warnings by the hundred too.
process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';

/** A backend as the runtime starts and repairs it. */
export const startBackend = (name) => useBackend(name);
