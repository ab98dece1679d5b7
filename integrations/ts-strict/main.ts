// Uses the public types as a strict project would: interfaces are implemented, options are checked, results have types. Lines
// marked @ts-expect-error must not compile.
import { type AffinityModule, affinityModules, createCrossTaskAffinity } from '@auxseg/affinity';
import { checkAffinityModule } from '@auxseg/affinity/testing';
import { type AuxSegNet, createAuxSegNet, type Recipe, resolveRecipe } from '@auxseg/auxsegnet';
import { openRunDirectory, runPipeline } from '@auxseg/auxsegnet/pipeline';
import { type Backbone, createMobileNetV2, createResNet38 } from '@auxseg/backbone';
import { checkBackbone } from '@auxseg/backbone/testing';
import { extractCams } from '@auxseg/cam';
import { createDenseCrf, type DenseCrfOptions, presets } from '@auxseg/crf';
import { type Batch, createLoader, createSyntheticDataset, type Dataset } from '@auxseg/datasets';
import {
  FormatError,
  type LabelMap,
  readSafetensors,
  type TensorMap,
  writeIndexedPng,
} from '@auxseg/formats';
import { createClassificationHead } from '@auxseg/heads';
import { createConfusionMatrix, pairedBootstrap } from '@auxseg/metrics';
import { fuseCamAndSaliency, type PseudoLabeler } from '@auxseg/pseudo-label';
import { createReport } from '@auxseg/report';
import { type BackendName, conv2d, pairwiseAffinity, useBackend } from '@auxseg/runtime';
import { combineSaliency, createUnsupervisedSaliency, type SaliencySource } from '@auxseg/saliency';
import { createSgd, createTrainer, polySchedule, type TrainableModel } from '@auxseg/trainer';
import { createFileCheckpointStore } from '@auxseg/trainer/node';
import type * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

// Ports, implemented by a user.
const affinity: AffinityModule = ({ seg, sal }) => ({
  seg,
  sal,
  affinity: pairwiseAffinity({ name: 'plain' }).apply([seg, seg]) as tfl.SymbolicTensor,
});
const backbone: Backbone = (image) => {
  const features = conv2d({ name: 'stem', filters: 8, kernelSize: 3, strides: 4 }).apply(
    image,
  ) as tfl.SymbolicTensor;
  return { features, outputStride: 4, named: { stem: features } };
};
const saliency: SaliencySource = {
  name: 'mine',
  thresholds: { foreground: 0.5, background: 0.2 },
  map: async ({ image: { width, height } }) => ({ width, height, data: new Float32Array(width * height) }),
};
const labeler: PseudoLabeler = { label: (input) => fuseCamAndSaliency(input) };
const dataset: Dataset = {
  classes: ['cat'],
  ids: ['a'],
  imageLabels: () => Uint8Array.of(1),
  sample: async (id) => ({
    id,
    image: { width: 1, height: 1, data: new Uint8Array(3) },
    labels: Uint8Array.of(1),
  }),
};

// Composition, and the types that come out.
const network: AuxSegNet = createAuxSegNet({ backbone, affinity, numClasses: 1 });
const model: tfl.LayersModel = network.model;
const others: AuxSegNet[] = [createResNet38({ width: 1 / 16 }), createMobileNetV2({ outputStride: 16 })].map(
  (body) => createAuxSegNet({ backbone: body, affinity: createCrossTaskAffinity(), numClasses: 20 }),
);
const byName: AffinityModule = affinityModules['mean']();
const merged: SaliencySource = combineSaliency([saliency, createUnsupervisedSaliency()], 'mean');
const trainable: TrainableModel<Batch> = {
  variables: () => [],
  loss: ({ images, count }) => {
    const pixels: Float32Array = images;
    const total = (pixels.length + count) as unknown as tf.Scalar;
    return { total, parts: { total } };
  },
};

export async function use(): Promise<number | null> {
  const name: BackendName = 'auto';
  const { reason }: { reason: string } = await useBackend(name);
  const recipe: Recipe = resolveRecipe({ preset: 'tiny' }, { overrides: ['stages=1'] });
  const crf = await createDenseCrf();
  const problem: DenseCrfOptions = {
    ...presets.auxsegSegmentation,
    width: 2,
    height: 2,
    labels: 2,
    probabilities: new Float32Array(8).fill(0.5),
    image: new Uint8Array(12),
  };
  const q: Float32Array = crf.infer(problem);
  const map: LabelMap = { width: 2, height: 2, data: crf.inferMap(problem) };
  const bytes: Uint8Array = writeIndexedPng(map);
  const tensors: TensorMap = readSafetensors(bytes).tensors;
  const loader = createLoader({ dataset, transform: { flip: true }, batchSize: 1, seed: 1 });
  const trainer = createTrainer<Batch>({
    model: trainable,
    data: loader,
    optimizer: createSgd({
      groups: [{ name: 'all', variables: [], lrScale: 1, weightDecay: 0 }],
      momentum: 0.9,
    }),
    schedule: polySchedule({ baseLr: 0.1, totalSteps: 10, power: 0.9 }),
    totalSteps: 10,
    seed: 1,
    random: { setKey: () => {} },
    checkpoint: createFileCheckpointStore('checkpoint.safetensors'),
  });
  const { losses } = await trainer.run();
  const total: Float64Array | undefined = losses['total'];
  const matrix = createConfusionMatrix(2, { ignoreLabel: 255 });
  const perClass: (number | null)[] = matrix.perClassIoU();
  const { low, high }: { low: number; high: number } = pairedBootstrap({
    a: [matrix],
    b: [matrix],
    numClasses: 2,
    samples: 10,
    seed: 1,
  });
  const cams = await extractCams({ model, image: () => null as unknown as tf.Tensor4D, flip: true });
  const html: string = await createReport({ runDirectory: 'runs/demo' });
  if (new FormatError('BAD_FILE' as never, reason).code === 'never') return null;
  return (
    q.length +
    tensors.size +
    (total?.length ?? 0) +
    perClass.length +
    low +
    high +
    cams.classes +
    html.length +
    recipe.stages
  );
}

export function wrong(): void {
  // @ts-expect-error a backend that does not exist
  void useBackend('cuda');
  // @ts-expect-error the number of classes is needed
  createAuxSegNet({ backbone, affinity });
  // @ts-expect-error a module must return an affinity, or null for none
  const incomplete: AffinityModule = ({ seg, sal }) => ({ seg, sal });
  // @ts-expect-error strides of MobileNetV2 are 8, 16 or 32
  createMobileNetV2({ outputStride: 12 });
  // @ts-expect-error class indices are bytes
  writeIndexedPng({ width: 1, height: 1, data: new Float32Array(1) });
  void incomplete;
}

export const more = { others, byName, merged, labeler, createClassificationHead, createSyntheticDataset };
export const suites = { checkAffinityModule, checkBackbone, openRunDirectory, runPipeline };
