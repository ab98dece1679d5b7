/**
 * Time of one training step by kernel: forward, losses, gradients and SGD update of AuxSegNet.
 *
 *   node bench/onnx/profile-step.mjs [--backend onnx|wasm|cpu] [--threads 1] [--preset mobilenet] [--size 161]
 *                                    [--batch 4] [--classes 6] [--width 1] [--steps 5] [--classifier]
 *                                    [--keys]
 *
 * Prints the milliseconds of the fastest step and the average share of each kernel; "outside" is JavaScript between
 * kernels. Shares are of CPU time, which counts all threads of the process.
 */
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import * as auxsegnet from '@auxseg/auxsegnet';
import { useBackend } from '@auxseg/runtime';
import { createSgd } from '@auxseg/trainer';
import * as tf from '@tensorflow/tfjs-core';

const { values } = parseArgs({
  options: {
    backend: { type: 'string', default: 'onnx' },
    threads: { type: 'string', default: '1' },
    preset: { type: 'string', default: 'mobilenet' },
    size: { type: 'string', default: '161' },
    batch: { type: 'string', default: '4' },
    classes: { type: 'string', default: '6' },
    steps: { type: 'string', default: '5' },
    classifier: { type: 'boolean', default: false },
    keys: { type: 'boolean', default: false },
    width: { type: 'string', default: '1' },
  },
});
const [size, batch, classes, steps] = ['size', 'batch', 'classes', 'steps'].map((name) =>
  Number(values[name]),
);
await useBackend(values.backend, { threads: Number(values.threads) });

/** CPU milliseconds of the process: unlike the clock it does not count what other processes take. */
function cpuTime() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const profile = new Map();
let depth = 0;
let inKernels = 0;
for (const config of tf.getKernelsForBackend(tf.getBackend())) {
  tf.unregisterKernel(config.kernelName, config.backendName);
  tf.registerKernel({
    ...config,
    kernelFunc(call) {
      const start = cpuTime();
      depth++;
      const result = config.kernelFunc(call);
      depth--;
      const elapsed = cpuTime() - start;
      if (depth === 0) {
        const entry = profile.get(config.kernelName) ?? { ms: 0, calls: 0 };
        entry.ms += elapsed;
        entry.calls++;
        profile.set(config.kernelName, entry);
        inKernels += elapsed;
      }
      return result;
    },
  });
}

const recipe = auxsegnet.resolveRecipe({ preset: values.preset });
const config = recipe.network;
config.backbone.width = Number(values.width);
const network = values.classifier
  ? auxsegnet.createClassifier({
      backbone: auxsegnet.backboneFromConfig(config.backbone, 1),
      numClasses: classes,
    })
  : auxsegnet.createNetworkFromConfig(config, classes, 1);
const variables = network.model.trainableWeights.map((weight) => weight.read());
const sgd = createSgd({ groups: [{ name: 'all', variables, weightDecay: 1e-4 }], momentum: 0.9 });

const images = tf.randomUniform([batch, size, size, 3], -1, 1, 'float32', 1);
const labels = tf.cast(tf.greater(tf.randomUniform([batch, classes], 0, 1, 'float32', 2), 0.5), 'float32');
const saliency = tf.cast(
  tf.greater(tf.randomUniform([batch, size, size, 1], 0, 1, 'float32', 3), 0.5),
  'float32',
);
const segmentation = tf.cast(tf.randomUniform([batch, size, size], 0, classes + 1, 'float32', 4), 'int32');
const targets = values.classifier ? { labels } : { labels, saliency, segmentation };
const weights = { classification: 1, saliency: 1, segmentation: 1 };

function step() {
  const { value, grads } = tf.variableGrads(
    () => auxsegnet.auxSegLosses(auxsegnet.forwardForTraining(network, images), targets, weights).total,
    variables,
  );
  sgd.step(grads, 1e-4);
  tf.dispose(grads);
  const loss = value.dataSync()[0];
  value.dispose();
  return loss;
}

const byKey = new Map();
if (values.keys) {
  const { sessions } = tf.backend();
  const run = sessions.run.bind(sessions);
  sessions.run = (key, build, feeds, fetches, workload) => {
    const start = cpuTime();
    run(key, build, feeds, fetches, workload);
    const label = `${key} ${Object.values(feeds)
      .map((x) => x.dims.join('x'))
      .join(' ')}`;
    const entry = byKey.get(label) ?? { ms: 0, calls: 0 };
    entry.ms += cpuTime() - start;
    entry.calls++;
    byKey.set(label, entry);
  };
}
console.log(
  `${values.preset}${values.classifier ? ' classifier' : ''} ${size}x${size} batch ${batch}, ${values.backend}, ` +
    `${values.threads} threads, ${variables.length} variables; first loss ${step().toFixed(6)}, second ${step().toFixed(6)}`,
);
profile.clear();
byKey.clear();
inKernels = 0;
const tensors = tf.memory().numTensors;
const cpu = process.cpuUsage();
const faults = process.resourceUsage().minorPageFault;
let best = Number.POSITIVE_INFINITY;
let total = 0;
for (let i = 0; i < steps; i++) {
  const start = performance.now();
  step();
  const elapsed = performance.now() - start;
  best = Math.min(best, elapsed);
  total += elapsed;
}
const used = process.cpuUsage(cpu);
const usedMs = (used.user + used.system) / 1000;
console.log(
  `fastest step ${best.toFixed(1)} ms, mean ${(total / steps).toFixed(1)} ms, CPU ${(usedMs / steps).toFixed(1)} ms ` +
    `(system ${(used.system / 1000 / steps).toFixed(1)}), page faults ${((process.resourceUsage().minorPageFault - faults) / steps).toFixed(0)}, ` +
    `resident ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB, new tensors ${tf.memory().numTensors - tensors}`,
);
const rows = [...profile.entries(), ['outside', { ms: usedMs - inKernels, calls: steps }]];
rows.sort((a, b) => b[1].ms - a[1].ms);
for (const [name, { ms, calls }] of rows.slice(0, 30)) {
  console.log(
    `${name.padEnd(28)} ${(ms / steps).toFixed(2).padStart(9)} ms  ${((100 * ms) / usedMs).toFixed(1).padStart(5)} %  ${(calls / steps).toFixed(0).padStart(5)} calls`,
  );
}
for (const [label, { ms, calls }] of [...byKey].sort((a, b) => b[1].ms - a[1].ms).slice(0, 40)) {
  console.log(
    `${label.padEnd(100)} ${(ms / steps).toFixed(2).padStart(8)} ms ${(calls / steps).toFixed(0).padStart(4)} calls`,
  );
}
if (tf.backend().stats) console.log(JSON.stringify(tf.backend().stats()));
