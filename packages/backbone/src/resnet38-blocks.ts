/** A pre-activation block of two 3x3 convolutions; channels at width 1. */
export interface BasicBlock {
  kind: 'basic';
  name: string;
  channelsIn: number;
  channelsMid: number;
  channelsOut: number;
  stride: 1 | 2;
  /** Dilations of the first and the second 3x3 convolution. */
  dilations: readonly [number, number];
}

/** A pre-activation block 1x1, 3x3, 1x1 with channel dropout before the last two; out/4 and out/2 channels inside. */
export interface BottleneckBlock {
  kind: 'bottleneck';
  name: string;
  channelsIn: number;
  channelsOut: number;
  dilation: number;
  dropoutRate: number;
}

export type ResNet38Block = BasicBlock | BottleneckBlock;

/** ResNet-38 ("resnet38d", Wu et al. 2016 as AuxSegNet uses it): the blocks in order, between `conv1a` and `bn7`. */
export const resNet38Blocks: readonly ResNet38Block[] = [
  ...stage('b2', 3, { channelsIn: 64, channelsMid: 128, channelsOut: 128, stride: 2 }),
  ...stage('b3', 3, { channelsIn: 128, channelsMid: 256, channelsOut: 256, stride: 2 }),
  ...stage('b4', 6, { channelsIn: 256, channelsMid: 512, channelsOut: 512, stride: 2 }),
  // Only the second convolution of b5 is dilated: the first still reads stride-8 neighbours of stage 4.
  ...stage('b5', 3, { channelsIn: 512, channelsMid: 512, channelsOut: 1024, stride: 1, dilation: 2 }),
  { kind: 'bottleneck', name: 'b6', channelsIn: 1024, channelsOut: 2048, dilation: 4, dropoutRate: 0.3 },
  { kind: 'bottleneck', name: 'b7', channelsIn: 2048, channelsOut: 4096, dilation: 4, dropoutRate: 0.5 },
];

interface Stage {
  channelsIn: number;
  channelsMid: number;
  channelsOut: number;
  stride: 1 | 2;
  dilation?: number;
}

function stage(
  name: string,
  count: number,
  { channelsIn, channelsMid, channelsOut, stride, dilation = 1 }: Stage,
): BasicBlock[] {
  return Array.from({ length: count }, (_, index) => ({
    kind: 'basic' as const,
    name: index === 0 ? name : `${name}_${index}`,
    channelsIn: index === 0 ? channelsIn : channelsOut,
    channelsMid,
    channelsOut,
    stride: index === 0 ? stride : 1,
    dilations: [index === 0 ? 1 : dilation, dilation] as const,
  }));
}
