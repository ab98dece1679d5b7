/** One convolution of MobileNetV2, in the order of execution. */
export interface MobileNetV2Layer {
  /** Keras's layer name. */
  name: string;
  /** `expanded_conv`, `block_1` ... `block_16`, or the layer's own name outside the blocks. */
  block: string;
  kind: 'conv' | 'depthwise';
  kernelSize: 1 | 3;
  channelsIn: number;
  channelsOut: number;
  stride: 1 | 2;
  dilation: number;
  activation: 'relu6' | 'linear';
  /** The block's input is added to this layer's output. */
  residual: boolean;
}

/** Table 2 of Sandler et al. 2018: expansion, channels, repeats, stride of the first repeat. */
const groups: readonly (readonly [number, number, number, 1 | 2])[] = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
];

/**
 * The layers of MobileNetV2 for a width and an output stride, without building anything.
 *
 * Below output stride 32 the last strides become 1: a block that loses its stride keeps the dilation so far, later
 * blocks double it, so that every weight sees the neighbours that it was trained on.
 */
export function mobileNetV2Layers(width: number, outputStride: 8 | 16 | 32): MobileNetV2Layer[] {
  const stem = toMultipleOf8(32 * width);
  const layers: MobileNetV2Layer[] = [
    convolution({
      name: 'Conv1',
      block: 'Conv1',
      kernelSize: 3,
      channelsIn: 3,
      channelsOut: stem,
      stride: 2,
    }),
  ];
  let channels = stem;
  let currentStride = 2;
  let dilation = 1;
  let index = 0;
  for (const [expansion, baseChannels, repeats, groupStride] of groups) {
    const channelsOut = toMultipleOf8(baseChannels * width);
    for (let repeat = 0; repeat < repeats; repeat++, index++) {
      const block = index === 0 ? 'expanded_conv' : `block_${index}`;
      const wantedStride = repeat === 0 ? groupStride : 1;
      const keepsStride = wantedStride === 1 || currentStride < outputStride;
      const stride = keepsStride ? wantedStride : 1;
      const hidden = channels * expansion;
      if (expansion !== 1) {
        layers.push(
          convolution({ name: `${block}_expand`, block, channelsIn: channels, channelsOut: hidden }),
        );
      }
      layers.push({
        ...convolution({
          name: `${block}_depthwise`,
          block,
          kernelSize: 3,
          channelsIn: hidden,
          channelsOut: hidden,
          stride,
        }),
        kind: 'depthwise',
        dilation,
      });
      layers.push({
        ...convolution({ name: `${block}_project`, block, channelsIn: hidden, channelsOut }),
        activation: 'linear',
        // By the original stride, so that changing the output stride never adds a shortcut.
        residual: wantedStride === 1 && channels === channelsOut,
      });
      if (!keepsStride) dilation *= 2;
      currentStride *= stride;
      channels = channelsOut;
    }
  }
  const last = toMultipleOf8(1280 * Math.max(1, width));
  layers.push(convolution({ name: 'Conv_1', block: 'Conv_1', channelsIn: channels, channelsOut: last }));
  return layers;
}

function convolution(
  layer: Pick<MobileNetV2Layer, 'name' | 'block' | 'channelsIn' | 'channelsOut'> & Partial<MobileNetV2Layer>,
): MobileNetV2Layer {
  return {
    kind: 'conv',
    kernelSize: 1,
    stride: 1,
    dilation: 1,
    activation: 'relu6',
    residual: false,
    ...layer,
  };
}

/** The nearest multiple of 8 that loses at most a tenth of the channels, as the published width variants have it. */
function toMultipleOf8(channels: number): number {
  const rounded = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return rounded < 0.9 * channels ? rounded + 8 : rounded;
}
