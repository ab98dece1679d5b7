// Bundled by run.mjs: jasmine's globals first, then the backend, then tfjs-core's tests, all over one tfjs-core.
import { runCollected } from './jasmine.mjs';
import '@tensorflow/tfjs-core/dist/register_all_gradients.js';
import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.js';
import { startBackend } from 'backend-under-test';
import { register } from './register.mjs';
import '@tensorflow/tfjs-core/dist/tests.js';

export { register, runCollected, startBackend };
