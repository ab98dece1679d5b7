// What has to hold on webgpu, in a browser and in Node alike: every number against the cpu backend in the same process,
// and every failure aloud. Results are read by `await data()`: synchronous reads need a canvas.
import { auxSegLosses, createNetworkFromConfig, forwardForTraining, resolveRecipe } from '@auxseg/auxsegnet';
import {
  applyAffinityTo,
  fuseAffinityMaps,
  pairwiseAffinityOf,
  resizeBilinear,
  setRandomKey,
  useBackend,
  variableGradients,
} from '@auxseg/runtime';
import {
  binaryCrossEntropyWithLogits,
  createSgd,
  multiLabelSoftMarginLoss,
  softmaxCrossEntropyWithIgnore,
} from '@auxseg/trainer';
import * as tf from '@tensorflow/tfjs-core';

/** Values in -1..1 that depend on the seed alone (mulberry32). */
function values(shape, seed) {
  let state = seed * 0x9e3779b9;
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  });
}
const tensor = (shape, seed) => tf.tensor(values(shape, seed), shape);

/** Largest difference over the largest expected value. */
function relativeError(actual, expected) {
  let difference = 0;
  let largest = 1e-30;
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(actual[i] - expected[i]);
    // A NaN must not get lost in a comparison.
    if (!(d <= difference)) difference = d;
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return actual.length === expected.length ? difference / largest : Number.NaN;
}

/** Output and gradients of `f` at its inputs, the output weighted by values of its own shape. */
const differentiate = (shapes, f) => () => {
  const inputs = shapes.map((shape, i) => tensor(shape, i + 1));
  const y = f(...inputs);
  return [y, ...tf.grads(f)(inputs, tensor(y.shape, 99))];
};
const pads = (top, bottom, left, right) => [
  [0, 0],
  [top, bottom],
  [left, right],
  [0, 0],
];

/** Each returns tensors; run on both backends. */
const computations = {
  'conv2d, dilation 2': differentiate(
    [
      [2, 11, 9, 5],
      [3, 3, 5, 7],
    ],
    (x, w) => tf.conv2d(x, w, 1, 'same', 'NHWC', 2),
  ),
  'conv2d, dilation 12, wider than the image': differentiate(
    [
      [1, 9, 10, 8],
      [3, 3, 8, 4],
    ],
    (x, w) => tf.conv2d(x, w, 1, pads(12, 12, 12, 12), 'NHWC', 12),
  ),
  'conv2d, stride 2, 7x5 kernel, unequal pads': differentiate(
    [
      [1, 17, 14, 3],
      [7, 5, 3, 8],
    ],
    (x, w) => tf.conv2d(x, w, 2, pads(3, 2, 2, 1)),
  ),
  'conv2d, 1x1, stride 2': differentiate(
    [
      [2, 9, 8, 6],
      [1, 1, 6, 12],
    ],
    (x, w) => tf.conv2d(x, w, 2, 'valid'),
  ),
  'conv2d, 64 channels': differentiate(
    [
      [1, 13, 13, 64],
      [3, 3, 64, 32],
    ],
    (x, w) => tf.conv2d(x, w, 1, 'same'),
  ),
  'depthwise, stride 1': differentiate(
    [
      [2, 9, 8, 12],
      [3, 3, 12, 1],
    ],
    (x, w) => tf.depthwiseConv2d(x, w, 1, 'same'),
  ),
  'depthwise, stride 2, explicit pads': differentiate(
    [
      [1, 12, 13, 6],
      [3, 3, 6, 1],
    ],
    (x, w) => tf.depthwiseConv2d(x, w, 2, pads(0, 1, 0, 1)),
  ),
  'depthwise, dilation 3, multiplier 2': differentiate(
    [
      [1, 12, 10, 4],
      [3, 3, 4, 2],
    ],
    (x, w) => tf.depthwiseConv2d(x, w, 1, 'same', 'NHWC', 3),
  ),
  'fused.conv2d with bias, as in tf.layers': differentiate(
    [[1, 8, 9, 4], [3, 3, 4, 6], [6]],
    (x, filter, bias) => tf.fused.conv2d({ x, filter, bias, strides: 1, pad: 'same', activation: 'linear' }),
  ),
  'half-pixel resize up': differentiate([[2, 5, 7, 3]], (x) => resizeBilinear(x, [13, 16])),
  'half-pixel resize down, plain tf': differentiate([[1, 13, 11, 2]], (x) =>
    tf.image.resizeBilinear(x, [5, 4], false, true),
  ),
  'max pool': differentiate([[1, 9, 8, 5]], (x) => tf.maxPool(x, 3, 2, 'same')),
  'average pool': differentiate([[1, 9, 8, 5]], (x) => tf.avgPool(x, 3, 2, 'same')),
  'gather, strided slice, softmax': differentiate([[9, 6]], (x) =>
    tf.softmax(tf.stridedSlice(tf.gather(x, tf.tensor1d([0, 3, 3, 8], 'int32')), [0, 0], [4, 6], [1, 2])),
  ),
  'pairwise affinity, applied': differentiate(
    [
      [1, 5, 6, 4],
      [1, 5, 6, 4],
      [1, 5, 6, 3],
    ],
    (theta, phi, x) => applyAffinityTo(pairwiseAffinityOf(theta, phi), x),
  ),
  'affinity fusion': differentiate(
    [[2, 30, 30], [2, 30, 30], [3, 3, 2, 2], [1, 1, 2, 2], [2]],
    (seg, sal, conv1, conv2, bias) => fuseAffinityMaps(seg, sal, { conv1, conv2, bias }),
  ),
  'softmax cross-entropy with ignore': () => {
    const labels = tf.tensor3d(
      Int32Array.from(values([2, 6, 7], 5), (v, i) => (i % 5 === 0 ? 255 : Math.floor((v + 1) * 2))),
      [2, 6, 7],
      'int32',
    );
    return differentiate([[2, 6, 7, 4]], (x) => softmaxCrossEntropyWithIgnore(tf.mul(x, 20), labels))();
  },
  'binary cross-entropy': () => {
    const targets = tf.clipByValue(tensor([2, 6, 7, 1], 7), -1, 1);
    return differentiate([[2, 6, 7, 1]], (x) =>
      binaryCrossEntropyWithLogits(tf.mul(x, 20), targets, { ignoreNegative: true }),
    )();
  },
  'multi-label soft margin': () => {
    const labels = tf.cast(tf.greater(tensor([3, 5], 3), 0), 'float32');
    return differentiate([[3, 5]], (x) => multiLabelSoftMarginLoss(x, labels))();
  },
  // tfjs binds all summands at once, more than a shader may: without the runtime, whatever lay in the buffer comes back.
  'addN of 40': () => [tf.addN(Array.from({ length: 40 }, (_, i) => tensor([50, 40], i)))],
  'concat of 40': () => [tf.concat(Array.from({ length: 40 }, (_, i) => tensor([50, 40], i)))],
};

/** Steps of the smallest preset: losses, and all its weights after them. */
async function train(steps, say) {
  const config = resolveRecipe({ preset: 'tiny' }).network;
  const classes = 3;
  const started = performance.now();
  const network = createNetworkFromConfig(config, classes, 1);
  const variables = network.model.trainableWeights.map((weight) => weight.read());
  variables.forEach((variable, i) => {
    const fanIn = variable.size / variable.shape.at(-1);
    const scale = variable.rank > 1 ? Math.sqrt(3 / fanIn) : 0.1;
    variable.assign(tf.mul(tensor(variable.shape, 1000 + i), scale));
  });
  const images = tensor([2, 24, 32, 3], 1);
  const targets = {
    labels: tf.tensor2d([1, 0, 1, 0, 1, 0], [2, classes]),
    saliency: tf.cast(tf.greater(tensor([2, 24, 32, 1], 3), 0), 'float32'),
    segmentation: tf.tensor3d(
      Int32Array.from(values([2, 24, 32], 4), (v, i) => (i % 11 === 0 ? 255 : Math.floor((v + 1) * 2))),
      [2, 24, 32],
      'int32',
    ),
  };
  const sgd = createSgd({ groups: [{ name: 'all', variables, weightDecay: 1e-3 }], momentum: 0.9 });
  const losses = [];
  const tensors = [];
  for (let step = 0; step < steps; step++) {
    setRandomKey(step);
    const { value, grads } = variableGradients(
      () =>
        auxSegLosses(forwardForTraining(network, images, []), targets, {
          classification: 1,
          saliency: 1,
          segmentation: 1,
        }).total,
      variables,
    );
    sgd.step(grads, 0.01);
    tf.dispose(grads);
    losses.push((await value.data())[0]);
    value.dispose();
    tensors.push(tf.memory().numTensors);
    say(`     step ${step} on ${tf.getBackend()}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  }
  const weights = [];
  for (const variable of variables) weights.push(Float32Array.from(await variable.data()));
  network.model.dispose();
  tf.dispose([images, ...Object.values(targets)]);
  sgd.dispose();
  return { losses, weights, tensors };
}

async function thrownBy(work) {
  try {
    await work();
  } catch (error) {
    return error;
  }
  return new Error('nothing was thrown');
}

/** Failures that WebGPU reports by an event only. */
async function failures(check) {
  const { device } = tf.backend();
  const invalid = () => device.createBuffer({ size: 16, usage: 0x1 | 0x80 });
  invalid();
  const awaited = await thrownBy(() => tf.add(tensor([2000], 1), 1).data());
  check(
    'an uncaptured error fails the next await',
    awaited.code === 'webgpu-error' && /usage/i.test(awaited.message),
    awaited,
  );
  invalid();
  await device.queue.onSubmittedWorkDone();
  const operated = await thrownBy(() => tf.mul(tensor([2000], 1), 2));
  check('an uncaptured error fails the next operation', operated.code === 'webgpu-error', operated);
  const after = await tf.mul(tf.ones([2000]), 2).data();
  check('after it was reported, operations work again', after[1999] === 2, after[1999]);
  const { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage } = device.limits;
  const rows = Math.min(maxBufferSize, maxStorageBufferBindingSize) / 4 / 4096 + 1;
  const large = await thrownBy(() => tf.broadcastTo(tf.ones([1, 4096]), [rows, 4096]).data());
  check('a tensor beyond the limits is refused', large.code === 'webgpu-tensor-too-large', large);
  const adapter = await navigator.gpu.requestAdapter();
  const limits = ['maxBufferSize', 'maxStorageBufferBindingSize', 'maxStorageBuffersPerShaderStage'];
  check(
    `limits as high as the adapter's (${limits.map((name) => `${name} ${device.limits[name]}`).join(', ')})`,
    limits.every((name) => device.limits[name] === adapter.limits[name]) &&
      maxStorageBuffersPerShaderStage >= 8,
    device.limits,
  );
}

/** Runs everything with so many training steps; `say(line)` as it goes. Returns the number of failed checks. */
export async function runChecks(say, steps) {
  let failed = 0;
  const check = (name, passed, detail) => {
    if (!passed) failed++;
    say(
      `${passed ? 'ok  ' : 'FAIL'} ${name}${passed ? '' : `: ${detail?.message ?? JSON.stringify(detail)}`}`,
    );
  };
  const { reason } = await useBackend('webgpu');
  say(`backend webgpu: ${reason}`);
  const tolerance = 1e-4;
  for (const [name, compute] of Object.entries(computations)) {
    try {
      const errors = [];
      const results = {};
      for (const backend of ['cpu', 'webgpu']) {
        await useBackend(backend);
        const tensors = tf.tidy(compute);
        results[backend] = [];
        for (const one of tensors) results[backend].push(Float32Array.from(await one.data()));
        tf.dispose(tensors);
      }
      for (const [i, expected] of results.cpu.entries()) {
        errors.push(relativeError(results.webgpu[i], expected));
      }
      check(
        `${name} (${errors.map((error) => error.toExponential(1)).join(', ')})`,
        errors.every((error) => error <= tolerance),
        errors,
      );
    } catch (error) {
      check(name, false, error);
    }
  }
  if (steps > 0) {
    try {
      await useBackend('cpu');
      const expected = await train(steps, say);
      await useBackend('webgpu');
      const actual = await train(steps, say);
      const lossError = relativeError(actual.losses, expected.losses);
      check(
        `${steps} training steps, losses ${[...actual.losses].map((loss) => loss.toFixed(4)).join(', ')} (${lossError.toExponential(1)})`,
        lossError <= tolerance,
        [actual.losses, expected.losses],
      );
      const weightErrors = actual.weights.map((weight, i) => relativeError(weight, expected.weights[i]));
      const worst = Math.max(...weightErrors);
      check(
        `${weightErrors.length} weights after them (${worst.toExponential(1)})`,
        worst <= 1e-3,
        weightErrors,
      );
      check('no tensors more after each step', new Set(actual.tensors.slice(1)).size <= 1, actual.tensors);
    } catch (error) {
      check('training steps', false, error);
    }
  }
  await useBackend('webgpu');
  await failures(check);
  say(failed === 0 ? 'all passed' : `${failed} failed`);
  return failed;
}
