import type { backend_util } from '@tensorflow/tfjs-core';

/** Two extents, height first. */
export type Pair = readonly [height: number, width: number];
/** Rows and columns of zeros around an image. */
export type Pads = readonly [top: number, bottom: number, left: number, right: number];

/** Everything that a 2-D convolution's arithmetic depends on, channel-last, explicit padding. */
export interface ConvGeometry {
  batch: number;
  inHeight: number;
  inWidth: number;
  inChannels: number;
  outHeight: number;
  outWidth: number;
  outChannels: number;
  kernelHeight: number;
  kernelWidth: number;
  strides: Pair;
  pads: Pads;
  dilations: Pair;
}

/**
 * The same geometry with padding behind that reaches the last window: rounding up (`dimRoundingMode`) lets windows start
 * inside the padded image and end outside.
 */
function padToLastWindow(g: ConvGeometry): ConvGeometry {
  const [top, bottom, left, right] = g.pads;
  const missing = (axis: 0 | 1, outSize: number, kernel: number, inSize: number) =>
    (outSize - 1) * g.strides[axis] + g.dilations[axis] * (kernel - 1) + 1 - inSize;
  const needBottom = missing(0, g.outHeight, g.kernelHeight, g.inHeight) - top;
  const needRight = missing(1, g.outWidth, g.kernelWidth, g.inWidth) - left;
  if (needBottom <= bottom && needRight <= right) return g;
  return { ...g, pads: [top, Math.max(bottom, needBottom), left, Math.max(right, needRight)] };
}

/** Geometry of a stock tfjs convolution. */
export function geometryOfConvInfo(info: backend_util.Conv2DInfo): ConvGeometry {
  return padToLastWindow({
    batch: info.batchSize,
    inHeight: info.inHeight,
    inWidth: info.inWidth,
    inChannels: info.inChannels,
    outHeight: info.outHeight,
    outWidth: info.outWidth,
    outChannels: info.outChannels,
    kernelHeight: info.filterHeight,
    kernelWidth: info.filterWidth,
    strides: [info.strideHeight, info.strideWidth],
    pads: [info.padInfo.top, info.padInfo.bottom, info.padInfo.left, info.padInfo.right],
    dilations: [info.dilationHeight, info.dilationWidth],
  });
}

/** Attributes of our own gradient kernels. */
export interface GradAttributes {
  strides: Pair;
  pads: Pads;
  dilations: Pair;
}

/** Geometry from the shapes of input [N,H,W,C], gradient [N,h,w,K] and filter [kh,kw,C,K] ([kh,kw,C,M] when depthwise). */
export function geometryOfShapes(
  inputShape: readonly number[],
  outputShape: readonly number[],
  filterShape: readonly number[],
  attributes: GradAttributes,
): ConvGeometry {
  return padToLastWindow({
    batch: inputShape[0],
    inHeight: inputShape[1],
    inWidth: inputShape[2],
    inChannels: inputShape[3],
    outHeight: outputShape[1],
    outWidth: outputShape[2],
    outChannels: outputShape[3],
    kernelHeight: filterShape[0],
    kernelWidth: filterShape[1],
    strides: attributes.strides,
    pads: attributes.pads,
    dilations: attributes.dilations,
  });
}

/** Whether there is nothing to convolve, or no result. */
export function isEmpty(g: ConvGeometry): boolean {
  const { batch, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels } = g;
  return batch * inHeight * inWidth * inChannels * outHeight * outWidth * outChannels === 0;
}

/** Whether a convolution is one matrix product over all pixels. */
export function isPointwise(g: ConvGeometry): boolean {
  return (
    g.kernelHeight === 1 &&
    g.kernelWidth === 1 &&
    g.strides[0] === 1 &&
    g.strides[1] === 1 &&
    g.pads.every((pad) => pad === 0)
  );
}

/** Output positions whose input at one filter tap lies inside the image, and where that input starts. */
export interface TapRange {
  /** First output position and one past the last. */
  start: number;
  end: number;
  /** Input position read by output position `start`. */
  from: number;
}

/** The range of one filter tap along one axis; empty ranges have `end <= start`. */
export function tapRange(
  tap: number,
  axis: { inSize: number; outSize: number; stride: number; pad: number; dilation: number },
): TapRange {
  const { inSize, outSize, stride, pad, dilation } = axis;
  const offset = tap * dilation - pad;
  const start = offset >= 0 ? 0 : Math.ceil(-offset / stride);
  const end = Math.min(outSize, Math.floor((inSize - 1 - offset) / stride) + 1);
  return { start, end: Math.max(start, end), from: start * stride + offset };
}

/** One filter tap (i, j): the rectangle of output positions it contributes to. */
export interface Tap {
  index: number;
  rows: TapRange;
  columns: TapRange;
  /** Output positions of the rectangle over the batch. */
  positions: number;
}

/** All taps of a filter in row-major order, with the rectangles where they meet the image. */
export function tapsOf(g: ConvGeometry): Tap[] {
  const taps: Tap[] = [];
  for (let i = 0; i < g.kernelHeight; i++) {
    const rows = tapRange(i, {
      inSize: g.inHeight,
      outSize: g.outHeight,
      stride: g.strides[0],
      pad: g.pads[0],
      dilation: g.dilations[0],
    });
    for (let j = 0; j < g.kernelWidth; j++) {
      const columns = tapRange(j, {
        inSize: g.inWidth,
        outSize: g.outWidth,
        stride: g.strides[1],
        pad: g.pads[2],
        dilation: g.dilations[1],
      });
      taps.push({
        index: i * g.kernelWidth + j,
        rows,
        columns,
        positions: g.batch * (rows.end - rows.start) * (columns.end - columns.start),
      });
    }
  }
  return taps;
}
