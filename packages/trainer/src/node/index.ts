export { createFileCheckpointStore } from './file-checkpoint-store.js';
export { createFileStepLogger } from './file-step-logger.js';
export { writeFileAtomic } from './write-file-atomic.js';
