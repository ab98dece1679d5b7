/**
 * One contender of bench/training: a tfjs backend. A line on stdin asks for one step; the answer is a line of JSON.
 *
 *   node bench/training/tfjs-steps.mjs CASE(JSON) BACKEND|replicas THREADS [--recompute]
 *
 * "replicas" is the backend onnx with as many data-parallel threads, one thread in the operations of each.
 */
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { createCrossTaskAffinity } from '@auxseg/affinity';
import * as auxsegnet from '@auxseg/auxsegnet';
import { applyAffinityTo, runModel, setRandomKey, useBackend, variableGradients } from '@auxseg/runtime';
import { createSgd } from '@auxseg/trainer';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

const [caseText, backend, threads, ...flags] = process.argv.slice(2);
const recompute = flags.includes('--recompute');
const options = JSON.parse(caseText);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
try {
  if (backend === 'replicas') await useBackend('onnx', { threads: 1 });
  else await useBackend(backend, { threads: Number(threads) });
} catch (error) {
  say({ error: error.message });
  process.exit(1);
}

function stepOfAffinity() {
  const { size, classes } = options;
  const [h, w] = size;
  const seg = tfl.input({ shape: [null, null, 128] });
  const sal = tfl.input({ shape: [null, null, 128] });
  const enhanced = createCrossTaskAffinity({ seed: 1 })({ seg, sal });
  const model = tfl.model({ inputs: [seg, sal], outputs: [enhanced.seg, enhanced.sal, enhanced.affinity] });
  const features = [1, 2].map((seed) =>
    tf.variable(tf.randomUniform([1, h, w, 128], 0, 0.2, 'float32', seed)),
  );
  const logits = [classes + 1, 1].map((channels, i) =>
    tf.randomNormal([1, h, w, channels], 0, 1, 'float32', 3 + i),
  );
  const variables = [...model.trainableWeights.map((weight) => weight.read()), ...features];
  const step = () => {
    const { value, grads } = variableGradients(() => {
      const [a, b, cross] = runModel(model, features, { training: true, differentiateInputs: true });
      const refined = logits.map((x) => tf.sum(tf.square(applyAffinityTo(cross, x))));
      return tf.addN([tf.sum(a), tf.sum(b), ...refined]);
    }, variables);
    tf.dispose(grads);
    const loss = value.dataSync()[0];
    value.dispose();
    return loss;
  };
  return { step, variables };
}

function networkConfig() {
  const { network, width } = options;
  const preset = { mobilenet: 'mobilenet', resnet38: 'official', tiny: 'tiny' }[network];
  const config = auxsegnet.resolveRecipe({ preset }).network;
  config.backbone.width = width;
  return config;
}

const createOptimiser = (variables) =>
  createSgd({ groups: [{ name: 'all', variables, weightDecay: 1e-4 }], momentum: 0.9 });

function stepOfNetwork() {
  const { kind, size, batch, classes } = options;
  const network = auxsegnet.createNetworkFromConfig(networkConfig(), classes, 1);
  const variables = network.model.trainableWeights.map((weight) => weight.read());
  const [h, w] = size;
  const images = tf.randomUniform([batch, h, w, 3], -1, 1, 'float32', 1);
  if (kind === 'inference') {
    const infer = () => {
      const { refinedSegmentation } = auxsegnet.runNetwork(network, images, ['refinedSegmentation']);
      const [first] = refinedSegmentation.dataSync();
      refinedSegmentation.dispose();
      return first;
    };
    return { step: infer, variables };
  }
  const random = (shape, seed) =>
    tf.cast(tf.greater(tf.randomUniform(shape, 0, 1, 'float32', seed), 0.5), 'float32');
  const targets = {
    labels: random([batch, classes], 2),
    saliency: random([batch, h, w, 1], 3),
    segmentation: tf.cast(tf.randomUniform([batch, h, w], 0, classes + 1, 'float32', 4), 'int32'),
  };
  const weights = { classification: 1, saliency: 1, segmentation: 1 };
  const sgd = createOptimiser(variables);
  const kept = recompute ? network.blockEnds : [];
  let key = 0;
  const step = () => {
    setRandomKey(key++);
    const { value, grads } = variableGradients(
      () =>
        auxsegnet.auxSegLosses(auxsegnet.forwardForTraining(network, images, kept), targets, weights).total,
      variables,
    );
    sgd.step(grads, 1e-5);
    tf.dispose(grads);
    const loss = value.dataSync()[0];
    value.dispose();
    return loss;
  };
  return { step, variables };
}

async function stepOfReplicas() {
  const { createReplicas } = await import('@auxseg/trainer/node');
  // Parts of the package that it does not export: this measures them, not an interface.
  const dist = new URL(
    './pipeline/',
    pathToFileURL(createRequire(import.meta.url).resolve('@auxseg/auxsegnet')),
  );
  const { lossOfBatch, splitBatch } = await import(new URL('batch-loss.js', dist).href);
  const { size, batch: count, classes } = options;
  const config = networkConfig();
  const network = auxsegnet.createNetworkFromConfig(config, classes, 1);
  const variables = network.model.trainableWeights.map((weight) => weight.read());
  const whole = { classification: 1, saliency: 1, segmentation: 1 };
  const loss = { losses: whole, saliencyTarget: 0.5, recompute };
  const source = createReplicas({
    replicas: Number(threads),
    model: { variables: () => variables, loss: (part) => lossOfBatch(network, part, loss) },
    random: { setKey: setRandomKey },
    split: ({ batch }, n) => splitBatch(batch, n),
    worker: new URL('replica-worker.js', dist),
    workerData: {
      ...{ backend: 'onnx', threads: 1, kind: 'auxsegnet', config, numClasses: classes, loss },
      weights: network.model.weights.map((weight) => Float32Array.from(weight.read().dataSync())),
    },
  });
  const random = (length, seed) =>
    tf.tidy(() => tf.randomUniform([length], 0, 1, 'float32', seed).dataSync().slice());
  const [height, width] = size;
  const pixels = count * height * width;
  const batch = {
    ids: Array.from({ length: count }, (_, i) => String(i)),
    ...{ count, height, width },
    images: random(pixels * 3, 1).map((v) => 2 * v - 1),
    labels: random(count * classes, 2).map((v) => (v > 0.5 ? 1 : 0)),
    saliency: random(pixels, 3),
    segmentation: Uint8Array.from(random(pixels, 4), (v) => v * (classes + 1)),
  };
  const sgd = createOptimiser(variables);
  let index = 0;
  const step = async () => {
    const at = { step: index, microStep: 0, epoch: 0, training: true };
    const { losses, gradients } = await source.compute({ batch, shares: whole }, at, index++);
    sgd.step(gradients, 1e-5);
    tf.dispose(gradients);
    return losses.total;
  };
  return { step, variables, close: () => source.close() };
}

const {
  step,
  variables,
  close = () => {},
} = options.kind === 'affinity'
  ? stepOfAffinity()
  : backend === 'replicas'
    ? await stepOfReplicas()
    : stepOfNetwork();
say({ tensors: variables.length, parameters: variables.reduce((sum, { size }) => sum + size, 0) });

const cpuTime = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const input = createInterface({ input: process.stdin });
input.on('line', async () => {
  const wall = performance.now();
  const cpu = cpuTime();
  const loss = await step();
  say({
    wall: performance.now() - wall,
    cpu: cpuTime() - cpu,
    loss,
    resident: process.memoryUsage().rss,
    peak: process.resourceUsage().maxRSS * 1024,
    tensors: tf.memory().numTensors,
  });
});
await once(input, 'close');
await close();
process.exit(0);
