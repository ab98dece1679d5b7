import { parentPort } from 'node:worker_threads';
import { detectSaliency } from './detect-saliency.js';
import type { DetectorReply, DetectorRequest } from './detector-pool.js';
import { SaliencyError } from './errors.js';

parentPort!.on('message', ({ image, options }: DetectorRequest) => {
  try {
    const map = detectSaliency(image, options);
    parentPort!.postMessage({ map } satisfies DetectorReply, [map.data.buffer as ArrayBuffer]);
  } catch (error) {
    if (!(error instanceof SaliencyError)) throw error;
    const { code, message, details } = error;
    parentPort!.postMessage({ error: { code, message, details } } satisfies DetectorReply);
  }
});
