import { channelDropout, conv2d, layerSeed } from '@auxseg/runtime';
import * as tfl from '@tensorflow/tfjs-layers';
import { HeadsError } from './heads-error.js';

export interface ClassificationHeadOptions {
  /** K, foreground classes. */
  numClasses: number;
  /** Rate of the channel dropout before pooling, 0 to below 1, training only. Default 0.5; 0 leaves the layer out. */
  dropout?: number;
  /** Name of the classifier's layer. Default `fc8`, as in the authors' state dict. */
  name?: string;
  /** Default true. */
  trainable?: boolean;
  /** Seed of the initial weights. Default 0. */
  seed?: number;
}

export interface ClassificationOutput {
  /** [N,K], one logit per class. */
  logits: tfl.SymbolicTensor;
  /** [N,h,w,K], class activation maps before ReLU and normalisation; no dropout. */
  cam: tfl.SymbolicTensor;
}

/**
 * Multi-label classifier whose weights double as class activation maps: channel dropout, global average pooling and one
 * 1x1 convolution without bias give the logits; the same convolution on the whole map gives the CAM.
 *
 * features [N,h,w,C] -> logits [N,K], cam [N,h,w,K].
 *
 * @throws HeadsError `bad-option`
 * @see method.md 2.2; Zhou et al. 2016, "Learning Deep Features for Discriminative Localization"
 */
export function createClassificationHead(
  options: ClassificationHeadOptions,
): (features: tfl.SymbolicTensor) => ClassificationOutput {
  const { numClasses, dropout = 0.5, name = 'fc8', trainable = true, seed = 0 } = options;
  if (!(Number.isInteger(numClasses) && numClasses > 0)) {
    throw new HeadsError(
      'bad-option',
      `Expected numClasses, the foreground classes, to be 1 or more; got ${numClasses}.`,
      {
        numClasses,
      },
    );
  }
  if (!(dropout >= 0 && dropout < 1)) {
    throw new HeadsError('bad-option', `Expected dropout to be at least 0 and below 1; got ${dropout}.`, {
      dropout,
    });
  }
  return (features) => {
    const classify = conv2d({
      name,
      filters: numClasses,
      kernelSize: 1,
      useBias: false,
      kernelInitializer: tfl.initializers.glorotUniform({ seed: layerSeed(seed, name) }),
      trainable,
    });
    const channels = features.shape[3]!;
    const dropped =
      dropout > 0
        ? (channelDropout({ name: `${name}.dropout`, rate: dropout }).apply(features) as tfl.SymbolicTensor)
        : features;
    const pooled = tfl.layers.globalAveragePooling2d({ name: `${name}.pool` }).apply(dropped);
    const cell = tfl.layers.reshape({ name: `${name}.cell`, targetShape: [1, 1, channels] }).apply(pooled);
    const logits = tfl.layers
      .reshape({ name: `${name}.logits`, targetShape: [numClasses] })
      .apply(classify.apply(cell));
    return { logits: logits as tfl.SymbolicTensor, cam: classify.apply(features) as tfl.SymbolicTensor };
  };
}
