import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { encodeOnnxModel } from './onnx-model.js';
import { loadOrtBinding, SUPPORTED_ORT_VERSION } from './ort-binding.js';

const require = createRequire(import.meta.url);

test('package.json pins the release that the internal binding was checked with', () => {
  const own = JSON.parse(readFileSync(require.resolve('../package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  expect(own.dependencies['onnxruntime-node']).toBe(SUPPORTED_ORT_VERSION);
  const manifest = require.resolve('onnxruntime-node/package.json');
  expect((JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version).toBe(
    SUPPORTED_ORT_VERSION,
  );
  expect(readFileSync(join(dirname(manifest), 'dist', 'binding.js'), 'utf8')).toContain('initOrtOnce');
});

test('the binding runs synchronously and fills the array that it is given', () => {
  const { InferenceSession } = loadOrtBinding();
  const model = encodeOnnxModel({
    nodes: [{ op: 'Neg', inputs: ['x'], outputs: ['y'] }],
    inputs: [{ name: 'x', type: 'float32', rank: 2 }],
    outputs: [{ name: 'y', type: 'float32', rank: 2 }],
  });
  const session = new InferenceSession();
  session.loadModel(model.buffer, model.byteOffset, model.byteLength, { intraOpNumThreads: 1 });
  const y = new Float32Array(8);
  session.run(
    { x: { data: Float32Array.of(1, 2, 3, 4, 5, 6), dims: [2, 3], type: 'float32', location: 'cpu' } },
    // A view into the middle: offsets must be honoured.
    { y: { data: y.subarray(1, 7), dims: [2, 3], type: 'float32', location: 'cpu' } },
    {},
  );
  session.dispose();
  expect([...y]).toEqual([0, -1, -2, -3, -4, -5, -6, 0]);
});

test('an output of an element type without a typed array ends the call after the others are written', () => {
  const { InferenceSession } = loadOrtBinding();
  const model = encodeOnnxModel({
    nodes: [{ op: 'Neg', inputs: ['x'], outputs: ['y'] }],
    inputs: [{ name: 'x', type: 'float32', rank: 1 }],
    outputs: [
      { name: 'stop', type: 'bfloat16', rank: 0 },
      { name: 'y', type: 'float32', rank: 1 },
    ],
    initializers: [{ name: 'stop', type: 'bfloat16', dims: [], data: new Uint8Array(2) }],
  });
  const session = new InferenceSession();
  session.loadModel(model.buffer, model.byteOffset, model.byteLength, { intraOpNumThreads: 1 });
  const y = new Float32Array(2);
  const run = () =>
    session.run(
      { x: { data: Float32Array.of(1, 2), dims: [2], type: 'float32', location: 'cpu' } },
      { stop: null, y: { data: y, dims: [2], type: 'float32', location: 'cpu' } },
      {},
    );
  // `SessionCache` relies on this message to save a copy of every large result.
  expect(run).toThrow('Tensor type (16) is not supported.');
  expect([...y]).toEqual([-1, -2]);
  session.dispose();
});
