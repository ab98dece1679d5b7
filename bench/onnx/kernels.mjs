/**
 * GFLOP/s of the onnx backend's convolutions and matrix products, and of the wasm backend on the same shapes.
 *
 *   node bench/onnx/kernels.mjs [--threads 1,2] [--no-wasm] [--seconds 0.3] [--clock cpu] [--only depthwise]
 *
 * Each figure is the fastest of the runs that fit the time, backends interleaved shape by shape. `--clock cpu` divides by CPU
 * time instead, all threads counted: on a busy machine the clock measures the others, too. wasm lacks a fast
 * gradient of the input and any gradient of the filter: the runtime package's compositions are not measured here.
 */
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { registerOnnxBackend } from '@auxseg/tfjs-backend-onnx';
import * as tf from '@tensorflow/tfjs-core';

const { values } = parseArgs({
  options: {
    threads: { type: 'string', default: '1,2' },
    'no-wasm': { type: 'boolean', default: false },
    seconds: { type: 'string', default: '0.3' },
    clock: { type: 'string', default: 'wall' },
    only: { type: 'string', default: '' },
  },
});
const budgetMs = 1000 * Number(values.seconds);

/** [name, batch, size, in, out, kernel, dilation, stride] */
const CONVOLUTIONS = [
  ['head 3x3 1280-128 d6', 4, 21, 1280, 128, 3, 6, 1],
  ['head 3x3 128-128 d12', 4, 21, 128, 128, 3, 12, 1],
  ['expand 1x1 160-960', 4, 21, 160, 960, 1, 1, 1],
  ['project 1x1 960-160', 4, 21, 960, 160, 1, 1, 1],
  ['resnet 3x3 64-64', 4, 33, 64, 64, 3, 1, 1],
  ['resnet 3x3 512-512', 1, 41, 512, 512, 3, 1, 1],
  ['resnet 3x3 128-256 s2', 1, 81, 128, 256, 3, 1, 2],
];
const DEPTHWISE = [
  ['depthwise 3x3 960', 4, 21, 960, 960, 3, 1, 1],
  ['depthwise 3x3 576 d2', 4, 21, 576, 576, 3, 2, 1],
  ['depthwise 3x3 144 s2', 4, 41, 144, 144, 3, 1, 2],
];
/** [name, rows, inner, columns, transposeA, transposeB] */
const PRODUCTS = [
  ['affinity 441x128x441 (B^T)', 441, 128, 441, false, true],
  ['affinity 1681x128x1681 (B^T)', 1681, 128, 1681, false, true],
  ['apply 1681x1681x128', 1681, 1681, 128, false, false],
  ['gradient 1681x1681x128 (A^T)', 1681, 1681, 128, true, false],
];

/** Milliseconds by the chosen clock. */
function now() {
  if (values.clock !== 'cpu') return performance.now();
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function fastest(run) {
  run();
  let best = Number.POSITIVE_INFINITY;
  const begin = now();
  for (let n = 0; n < 3 || now() - begin < budgetMs; n++) {
    const start = now();
    run();
    best = Math.min(best, now() - start);
  }
  return best;
}

function kernel(name, inputs, attrs) {
  return () => tf.engine().runKernel(name, inputs, attrs).dispose();
}

/** Milliseconds by column name for one shape on the current backend. */
function measureConvolution([, n, size, ci, co, k, d, s], depthwise, gradients) {
  const pad = (d * (k - 1)) / 2;
  const out = Math.floor((size + 2 * pad - d * (k - 1) - 1) / s) + 1;
  const filterShape = depthwise ? [k, k, ci, 1] : [k, k, ci, co];
  const x = tf.randomUniform([n, size, size, ci], -1, 1);
  const filter = tf.randomUniform(filterShape, -1, 1);
  const dy = tf.randomUniform([n, out, out, co], -1, 1);
  const attrs = {
    strides: [s, s],
    dilations: [d, d],
    dataFormat: 'NHWC',
    pad: [
      [0, 0],
      [pad, pad],
      [pad, pad],
      [0, 0],
    ],
  };
  const own = { strides: [s, s], dilations: [d, d], pads: [pad, pad, pad, pad] };
  const kind = depthwise ? 'AuxDepthwise' : 'AuxConv2D';
  const times = {
    forward: fastest(kernel(depthwise ? 'DepthwiseConv2dNative' : 'Conv2D', { x, filter }, attrs)),
  };
  if (gradients) {
    times.dX = fastest(kernel(`${kind}GradInput`, { dy, filter }, { ...own, inputShape: x.shape }));
    times.dW = fastest(kernel(`${kind}GradFilter`, { x, dy }, { ...own, filterShape }));
  }
  tf.dispose([x, filter, dy]);
  return { flops: 2 * n * out * out * k * k * co * (depthwise ? 1 : ci), times };
}

function measureProduct([, m, k, n, ta, tb]) {
  const a = tf.randomUniform(ta ? [k, m] : [m, k]);
  const b = tf.randomUniform(tb ? [n, k] : [k, n]);
  const times = {
    forward: fastest(
      kernel('BatchMatMul', { a: a.expandDims(0), b: b.expandDims(0) }, { transposeA: ta, transposeB: tb }),
    ),
  };
  tf.dispose([a, b]);
  return { flops: 2 * m * k * n, times };
}

const setups = values.threads.split(',').map((threads) => ({
  label: `onnx ${threads} thread${threads === '1' ? '' : 's'}`,
  own: true,
  async use() {
    if (tf.findBackendFactory('onnx')) tf.removeBackend('onnx');
    await registerOnnxBackend({ threads: Number(threads) });
    await tf.setBackend('onnx');
  },
}));
if (!values['no-wasm']) {
  await import('@tensorflow/tfjs-backend-wasm');
  setups.push({ label: 'wasm', own: false, use: () => tf.setBackend('wasm') });
}

await import('@tensorflow/tfjs');
const rows = [
  ...CONVOLUTIONS.map((shape) => [shape, (own) => measureConvolution(shape, false, own)]),
  ...DEPTHWISE.map((shape) => [shape, (own) => measureConvolution(shape, true, own)]),
  ...PRODUCTS.map((shape) => [shape, () => measureProduct(shape)]),
];
for (const [shape, measure] of rows) {
  if (!shape[0].includes(values.only)) continue;
  console.log(shape[0]);
  for (const setup of setups) {
    await setup.use();
    const { flops, times } = measure(setup.own);
    const cells = Object.entries(times).map(
      ([name, ms]) => `${name} ${(flops / ms / 1e6).toFixed(1).padStart(6)} GFLOP/s (${ms.toFixed(2)} ms)`,
    );
    console.log(`  ${setup.label.padEnd(16)} ${cells.join('  ')}`);
  }
}
