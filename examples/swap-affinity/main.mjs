// Your own affinity module in place of the paper's: written, checked by the conformance suite, and trained for some steps
// beside the cross-task module on the same batches. A module is one function on symbolic tensors.

import { createCrossTaskAffinity } from '@auxseg/affinity';
import { checkAffinityModule } from '@auxseg/affinity/testing';
import { auxSegLosses, createAuxSegNet, forwardForTraining } from '@auxseg/auxsegnet';
import { createTinyResNet } from '@auxseg/backbone';
import { createLoader, createSyntheticDataset } from '@auxseg/datasets';
import { conv2d, pairwiseAffinity, setRandomKey, useBackend } from '@auxseg/runtime';
import { createSgd, createTrainer, layerVariableNames, polySchedule } from '@auxseg/trainer';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

// ------------------------------------------------------------------------------------------------- the module: yours here

/**
 * One affinity for both tasks: the features of the two are concatenated, projected to a few channels, and every cell is
 * compared with every other one. Features pass through unchanged; the map refines both predictions.
 *
 * 2 * C * channels + channels weights, against the cross-task module's two sets of four projections and a fusion.
 */
function createSharedAffinity({ channels = 8 } = {}) {
  return ({ seg, sal }) => {
    const both = tfl.layers.concatenate({ name: 'shared_both' }).apply([seg, sal]);
    const project = conv2d({ name: 'shared_project', filters: channels, kernelSize: 1 });
    const cells = project.apply(both); // [N,h,w,channels]
    const affinity = pairwiseAffinity({ name: 'shared_affinity' }).apply([cells, cells]); // [N,hw,hw], rows sum to 1
    return { seg, sal, affinity };
  };
}

await useBackend('auto');

// ---------------------------------------------------------------------------------------------- does it keep its promises?

// Shapes, gradients to every weight, determinism, image sizes, batches, disposal, serialisation. Call it from your tests.
await checkAffinityModule(createSharedAffinity());
console.log('shared affinity: conforms');

// What a finding looks like: a softmax over a single channel is 1 everywhere, so this one can learn nothing.
const broken = ({ seg, sal }) => {
  const one = conv2d({ name: 'broken_project', filters: 1, kernelSize: 1 }).apply(seg);
  const weight = tfl.layers.softmax({ name: 'broken_softmax', axis: -1 }).apply(one);
  return { seg, sal, affinity: pairwiseAffinity({ name: 'broken_affinity' }).apply([weight, weight]) };
};
await checkAffinityModule(broken).catch(({ details }) =>
  console.log(`broken affinity: ${details.findings[0]}`),
);

// -------------------------------------------------------------------------------------------------------- trained, compared

const dataset = createSyntheticDataset({
  count: 24,
  size: 48,
  classes: 2,
  clutter: 0.2,
  maxObjects: 2,
  seed: 4,
});
const modules = {
  'cross-task': createCrossTaskAffinity({ zeroInit: true, seed: 1 }),
  shared: createSharedAffinity(),
};
const steps = 30;
for (const [name, affinity] of Object.entries(modules)) {
  const network = createAuxSegNet({
    backbone: createTinyResNet({ width: 0.25, seed: 1 }),
    affinity, // the only difference
    numClasses: dataset.classes.length,
    head: { channels: 16, dilations: [1, 2, 4], dropout: 0 },
    seed: 1,
  });
  const total = await trainOnTruth(network);
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const [first, last] = [mean(total.slice(0, 6)), mean(total.slice(-6))];
  const weights = network.model.countParams();
  console.log(
    `${name}: ${weights} weights, loss ${first.toFixed(2)} -> ${last.toFixed(2)} in ${steps} steps`,
  );
  network.model.dispose();
}

/** Five losses on the true masks, which a comparison of modules may use and the method may not. Returns the total by step. */
async function trainOnTruth(network) {
  const loader = createLoader({
    dataset,
    targets: { segmentation: (id) => dataset.truth(id), saliency: (id) => dataset.saliency(id) },
    transform: { flip: true },
    batchSize: 4,
    seed: 1,
    workers: 0,
    dropLast: true,
  });
  const variables = network.model.trainableWeights.map((weight) => weight.read());
  const nameOf = layerVariableNames(network.model);
  const optimizer = createSgd({
    groups: [{ name: 'all', variables, lrScale: 1, weightDecay: 0 }],
    momentum: 0.9,
    nameOf,
  });
  const trainer = createTrainer({
    model: {
      variables: () => variables,
      loss({ count, height, width, images, labels, saliency, segmentation }) {
        const outputs = forwardForTraining(network, tf.tensor4d(images, [count, height, width, 3]));
        const targets = {
          labels: tf.tensor2d(labels, [count, network.numClasses]),
          saliency: tf.tensor4d(saliency, [count, height, width, 1]),
          segmentation: tf.tensor3d(Int32Array.from(segmentation), [count, height, width], 'int32'),
        };
        return auxSegLosses(outputs, targets, { classification: 1, saliency: 1, segmentation: 1 });
      },
    },
    data: loader,
    optimizer,
    schedule: polySchedule({ baseLr: 0.02, totalSteps: steps, warmupSteps: 5 }),
    totalSteps: steps,
    seed: 1,
    random: { setKey: setRandomKey },
    nameOf,
  });
  const { losses } = await trainer.run();
  optimizer.dispose();
  await loader.close();
  return losses.total;
}
