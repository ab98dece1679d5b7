export { createFileCheckpointStore } from './file-checkpoint-store.js';
export { createFileStepLogger } from './file-step-logger.js';
export { createReplicas, type Replicas, type ReplicasOptions, type Shard } from './replicas.js';
export { type ReplicaModel, serveReplica } from './serve-replica.js';
export { writeFileAtomic } from './write-file-atomic.js';
