import { presets as crfPresets } from '@auxseg/crf';
import type { NetworkConfig } from './network-config.js';

/** Names of the presets, from the authors' setting to the smallest. */
export const presetNames = ['official', 'paper', 'mobilenet', 'tiny'] as const;
export type PresetName = (typeof presetNames)[number];

const vocCrf = {
  // Method facts, section 4: CRF of the saliency update, one mean-field step on two labels.
  saliency: crfPresets.auxsegSaliency,
  // Method facts, section 6: CRF of the final segmentation.
  segmentation: crfPresets.auxsegSegmentation,
};

const resnet38 = {
  backbone: { name: 'resnet38', width: 1, outputStride: 8 },
  affinity: { name: 'cross-task', zeroInit: false, scaled: false },
  head: { features: '', channels: 128, dilations: [6, 12, 18], dropout: 0.5 },
  normalization: 'imagenet',
};

/** The authors' public code (method facts, section 5, right column), defects of section 8 left out. */
const official = {
  data: { kind: 'voc', train: 'train_aug', score: 'train', val: 'val' },
  saliency: { source: 'files', directory: 'saliency' },
  network: resnet38,
  classifier: {
    epochs: 15,
    batchSize: 4,
    lr: 0.001,
    cropPx: 321,
    momentum: 0.9,
    weightDecay: 0.0005,
    scale: [0.7, 1.3],
  },
  cam: { scales: [0.5, 1, 1.5, 2], flip: true },
  // What the labels take for salient (0.06) is not what the head learns as salient (0.5: method facts, sections 3 and 4).
  pseudoLabel: { camThreshold: 0.2, saliencyThreshold: 0.06, saliencyTarget: 0.5 },
  stages: 4,
  train: {
    epochs: 15,
    batchSize: 4,
    lr: 0.0007,
    headLrScale: 10,
    // Their "weight decay" argument lands in SGD's momentum, so there is no decay in effect.
    momentum: 0.00001,
    weightDecay: 0,
    cropPx: 321,
    scale: [0.7, 1.3],
    scalePer: 'batch',
    paddingLabel: 0,
  },
  crf: vocCrf,
  evaluation: { scales: [0.5, 0.75, 1, 1.25, 1.5], flip: false, scaleFusion: 'max', crf: true },
};

/** The paper's text (left column), with ignore as padding label. */
const paper = {
  ...official,
  train: {
    epochs: 10,
    batchSize: 4,
    lr: 0.001,
    headLrScale: 1,
    momentum: 0.9,
    weightDecay: 0.0005,
    cropPx: 321,
    scale: [1, 1],
    colourJitter: 0.3,
    paddingLabel: 255,
  },
};

/** MobileNetV2 for a laptop: output stride 8, small dilations to suit maps of about 20 x 20. */
const mobilenet = {
  data: { kind: 'voc', train: 'train_aug', score: 'train', val: 'val', longSidePx: 256 },
  saliency: { source: 'unsupervised', method: 'combined' },
  network: {
    backbone: {
      name: 'mobilenetv2',
      width: 1,
      outputStride: 8,
      trainableFrom: 'block_11',
      weights: 'mobilenet_v2_1.0_224_imagenet.safetensors',
    },
    // A peaky unscaled attention disturbs a pretrained backbone early: start it at zero.
    affinity: { name: 'cross-task', zeroInit: true, scaled: false },
    head: { features: 'block_16_project', channels: 128, dilations: [2, 4, 6], dropout: 0.5 },
    normalization: 'mobilenet',
  },
  classifier: {
    epochs: 4,
    batchSize: 8,
    lr: 0.001,
    cropPx: 224,
    scale: [0.8, 1.2],
    momentum: 0.9,
    weightDecay: 0.0001,
    outputStride: 16,
    warmupSteps: 30,
    replicas: 2,
  },
  cam: { scales: [1, 1.5], flip: true },
  pseudoLabel: {
    camThreshold: 0.3,
    saliencyThreshold: null,
    saliencyBackground: null,
  },
  stages: 3,
  train: {
    epochs: 3,
    batchSize: 8,
    lr: 0.0007,
    warmupSteps: 60,
    momentum: 0.9,
    weightDecay: 0.0001,
    cropPx: 160,
    scale: [0.7, 1.3],
    scalePer: 'sample',
    colourJitter: 0.2,
    paddingLabel: 255,
    // Much of a small network is work that one operation's threads do not share.
    replicas: 2,
  },
  crf: vocCrf,
  evaluation: { scales: [1], flip: false, crf: true },
};

/** A network small enough to train from nothing in a few minutes: the demo's. */
const tiny = {
  seed: 7,
  data: {
    kind: 'synthetic',
    train: 'train',
    score: 'train',
    val: 'val',
    synthetic: { train: 168, val: 60, sizePx: 80, seed: 7 },
  },
  saliency: { source: 'dataset' },
  network: {
    backbone: { name: 'tiny', width: 1, outputStride: 4 },
    affinity: { name: 'cross-task', zeroInit: true, scaled: false },
    head: { features: '', channels: 32, dilations: [1, 2, 4], dropout: 0.3 },
    normalization: 'imagenet',
  },
  // Global average pooling hands back small gradients when the evidence is small: the head learns faster.
  classifier: {
    epochs: 14,
    batchSize: 8,
    lr: 0.01,
    headLrScale: 5,
    cropPx: 80,
    warmupSteps: 20,
    replicas: 2,
  },
  cam: { scales: [1], flip: true },
  pseudoLabel: {
    camThreshold: 0.2,
    saliencyThreshold: null,
    saliencyBackground: null,
    // After the CRF a map is nearly binary and its zeros are what is sure. What the labels take for salient, the head
    // learns as salient: with 0.5 as its target the maps shrink from stage to stage.
    updated: { camThreshold: 0.1, saliencyThreshold: 0.02, saliencyTarget: 0.02 },
  },
  stages: 3,
  // Nothing is pretrained here, so the classifier's features are the best start.
  warmStart: 'classifier',
  // With twice this rate a stage may undo what the last one learned: one seed of three ended at half its first stage's score.
  train: { epochs: 4, batchSize: 4, lr: 0.003, headLrScale: 8, cropPx: 80, warmupSteps: 20 },
  crf: {
    saliency: { gaussian: { sxy: 2, compat: 3 }, bilateral: { sxy: 20, srgb: 10, compat: 5 }, iterations: 1 },
    segmentation: {
      gaussian: { sxy: 2, compat: 3 },
      bilateral: { sxy: 20, srgb: 10, compat: 3 },
      iterations: 5,
    },
  },
  evaluation: { scales: [1], flip: false, crf: true },
};

/** The preset whose settings fit a network by its backbone, for weights that do not say how they were trained. */
export const presetOfBackbone = {
  resnet38: 'official',
  mobilenetv2: 'mobilenet',
  tiny: 'tiny',
} as const satisfies Record<NetworkConfig['backbone']['name'], PresetName>;

/** Defaults by preset; a recipe's own values go over them. */
export const presets: Readonly<Record<PresetName, Readonly<Record<string, unknown>>>> = {
  official,
  paper,
  mobilenet,
  tiny,
};
