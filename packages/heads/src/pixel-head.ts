import { conv2d, layerSeed } from '@auxseg/runtime';
import * as tfl from '@tensorflow/tfjs-layers';
import { HeadsError } from './heads-error.js';

export interface PixelHeadOptions {
  /** Prefix of the layer names: `seg_conv1` ... or `sal_conv1` ... */
  task: 'seg' | 'sal';
  /** Maps per cell: K + 1 for segmentation, 1 for saliency. */
  outputs: number;
  /** Hidden channels. Default 128. */
  channels?: number;
  /** Dilations of the three 3x3 convolutions, in cells. Default [6, 12, 18], meant for output stride 8. */
  dilations?: readonly [number, number, number];
  /** Default true. */
  trainable?: boolean;
  /** Seed of the initial weights. Default 0. */
  seed?: number;
}

/** A dense prediction head in two halves, between which an affinity module enhances the features. */
export interface PixelHead {
  /** `conv1`, `conv2`: features [N,h,w,C] -> task features [N,h,w,channels]. */
  before: (features: tfl.SymbolicTensor) => tfl.SymbolicTensor;
  /** `conv3`, `conv4`: enhanced task features [N,h,w,channels] -> logits [N,h,w,outputs]. */
  after: (enhanced: tfl.SymbolicTensor) => tfl.SymbolicTensor;
}

/**
 * Segmentation or saliency head: three dilated 3x3 convolutions with bias and ReLU, then a 1x1 without bias.
 *
 * Initial weights are uniform in +-1/sqrt(fan in), biases too, as PyTorch's `nn.Conv2d` has them.
 *
 * @throws HeadsError `bad-option`
 * @see method.md 2.2 (the third dilated convolution is in the authors' code, not in the paper's text)
 */
export function createPixelHead(options: PixelHeadOptions): PixelHead {
  const { task, outputs, channels = 128, dilations = [6, 12, 18], trainable = true, seed = 0 } = options;
  const wholeNumbers = {
    outputs,
    channels,
    'dilations[0]': dilations[0],
    'dilations[1]': dilations[1],
    'dilations[2]': dilations[2],
  };
  for (const [option, value] of Object.entries(wholeNumbers)) {
    if (!(Number.isInteger(value) && value > 0)) {
      throw new HeadsError(
        'bad-option',
        `Expected ${option} of the '${task}' head to be a whole number above 0; got ${value}.`,
        {
          task,
          option,
          value,
        },
      );
    }
  }
  const convolve = (x: tfl.SymbolicTensor, index: number, filters: number, dilation?: number) => {
    const name = `${task}_conv${index}`;
    const kernelSize = dilation === undefined ? 1 : 3;
    const bound = 1 / Math.sqrt(kernelSize ** 2 * x.shape[3]!);
    const uniform = (unit: string) =>
      tfl.initializers.randomUniform({
        minval: -bound,
        maxval: bound,
        seed: layerSeed(seed, `${name}/${unit}`),
      });
    return conv2d({
      name,
      filters,
      kernelSize,
      dilation: dilation ?? 1,
      useBias: dilation !== undefined,
      activation: dilation === undefined ? 'linear' : 'relu',
      kernelInitializer: uniform('kernel'),
      biasInitializer: uniform('bias'),
      trainable,
    }).apply(x) as tfl.SymbolicTensor;
  };
  return {
    before: (features) => convolve(convolve(features, 1, channels, dilations[0]), 2, channels, dilations[1]),
    after: (enhanced) => convolve(convolve(enhanced, 3, channels, dilations[2]), 4, outputs),
  };
}
