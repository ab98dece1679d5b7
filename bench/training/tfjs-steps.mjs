/**
 * One contender of bench/training: a tfjs backend. A line on stdin asks for one step; the answer is a line of JSON.
 *
 *   node bench/training/tfjs-steps.mjs CASE(JSON) BACKEND THREADS [--recompute]
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
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
  await useBackend(backend, { threads: Number(threads) });
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

function createNetwork() {
  const { network, width, classes } = options;
  const preset = { mobilenet: 'mobilenet', resnet38: 'official', tiny: 'tiny' }[network];
  const config = auxsegnet.resolveRecipe({ preset }).network;
  config.backbone.width = width;
  return auxsegnet.createNetworkFromConfig(config, classes, 1);
}

function stepOfNetwork() {
  const { kind, size, batch, classes } = options;
  const network = createNetwork();
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
  const sgd = createSgd({ groups: [{ name: 'all', variables, weightDecay: 1e-4 }], momentum: 0.9 });
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

const { step, variables } = options.kind === 'affinity' ? stepOfAffinity() : stepOfNetwork();
say({ tensors: variables.length, parameters: variables.reduce((sum, { size }) => sum + size, 0) });

const cpuTime = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const input = createInterface({ input: process.stdin });
input.on('line', () => {
  const wall = performance.now();
  const cpu = cpuTime();
  const loss = step();
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
process.exit(0);
