import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

/** Source of a function that computes with the built package and says what came out. */
const compute = `async () => {
  const tf = await import('@tensorflow/tfjs-core');
  const { registerOnnxBackend } = await import('@auxseg/tfjs-backend-onnx');
  await registerOnnxBackend({ threads: 1 });
  await tf.setBackend('onnx');
  const y = tf.conv2d(tf.ones([1, 8, 8, 16]), tf.fill([3, 3, 16, 16], 0.5), 1, 'same');
  return tf.getBackend() + ' ' + tf.sum(y).dataSync()[0];
}`;

const main = `
const { Worker } = await import('node:worker_threads');
console.log('main ' + await (${compute})());
const source = ${JSON.stringify(`(${compute})().then(async (line) => (await import('node:worker_threads')).parentPort.postMessage(line))`)};
new Worker(source, { eval: true }).once('message', (line) => console.log('worker ' + line));
`;

test('the built package works in a main thread and in a worker, and prints nothing of its own', async () => {
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', main],
    { env: { ...process.env, NODE_OPTIONS: '' } },
  );
  // 3x3 taps of 16 channels at 0.5 over 8x8 pixels, less what the border misses, 16 times.
  expect(stdout).toBe('main onnx 61952\nworker onnx 61952\n');
  expect(stderr).toBe('');
}, 180_000);
