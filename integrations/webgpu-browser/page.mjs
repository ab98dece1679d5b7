// Import the backends yourself in a bundle: the runtime finds what is registered.
import '@tensorflow/tfjs-backend-webgpu';
import { runChecks } from './checks.mjs';

globalThis.lines = [];
const steps = Number(new URLSearchParams(location.search).get('steps'));
runChecks((line) => globalThis.lines.push(line), steps).then(
  (failed) => (globalThis.failed = failed),
  (error) => {
    globalThis.lines.push(String(error?.stack ?? error));
    globalThis.failed = 1;
  },
);
