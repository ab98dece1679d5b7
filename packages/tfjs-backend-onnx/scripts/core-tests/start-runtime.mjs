import { useBackend } from '../../../runtime/dist/index.js';

/** A backend as the runtime starts and repairs it. */
export const startBackend = (name) => useBackend(name);
