import type { OnnxBackend } from '../onnx-backend.js';
import type { OnnxGraph, OnnxNode } from '../onnx-model.js';
import { floatTensor } from '../ort-tensor.js';
import {
  BLOCKED_DOMAIN,
  blockedGraph,
  convAttributes,
  convKey,
  inParts,
  transposedGraph,
} from './conv-forward.js';
import type { ConvGeometry } from './conv-geometry.js';
import { blockedActivation, type Epilogue } from './epilogue.js';

const LINEAR: Epilogue = { activation: 'linear' };

/** Whether the blocked depthwise kernel applies: whole blocks of channels, one filter each. */
function canBlockDepthwise(backend: OnnxBackend, g: ConvGeometry): boolean {
  const block = backend.blockSizeNchwc;
  return block > 1 && g.inChannels % block === 0 && g.inChannels === g.outChannels;
}

/** Rewrites [T,C] as [C/B][T][B], with the taps reversed when `flip`. */
function blockTaps(
  filter: Float32Array,
  taps: number,
  block: number,
  flip: boolean,
  out: Float32Array,
): void {
  const channels = filter.length / taps;
  let to = 0;
  for (let c0 = 0; c0 < channels; c0 += block) {
    for (let t = 0; t < taps; t++) {
      const from = (flip ? taps - 1 - t : t) * channels + c0;
      for (let c = 0; c < block; c++) out[to++] = filter[from + c];
    }
  }
}

/** Writes the depthwise convolution of `x` [N,H,W,C] with `filter` [kh,kw,C,M] into `y` [N,h,w,C*M]. */
export function depthwiseForward(
  backend: OnnxBackend,
  x: Float32Array,
  filter: Float32Array,
  y: Float32Array,
  g: ConvGeometry,
  epilogue: Epilogue = LINEAR,
): void {
  const taps = g.kernelHeight * g.kernelWidth;
  const { bias, activation } = epilogue;
  const blockAttributes = blockedActivation(activation);
  const blocked = canBlockDepthwise(backend, g) && blockAttributes !== null;
  const weights = backend.arrays.take('float32', filter.length);
  if (blocked) blockTaps(filter, taps, backend.blockSizeNchwc, false, weights);
  else {
    // [T, C*M] to [C*M, T]: the output channel of tfjs and of ONNX alike is c * M + m.
    for (let t = 0; t < taps; t++) {
      for (let k = 0; k < g.outChannels; k++) weights[k * taps + t] = filter[t * g.outChannels + k];
    }
  }
  const attributes = { ...convAttributes(g), group: { int: g.inChannels } };
  const filters = floatTensor(weights, [g.outChannels, 1, g.kernelHeight, g.kernelWidth]);
  inParts(g, x, y, (part, images, results) =>
    backend.runGraph(
      `depthwise/${blocked ? 'blocked' : 'transposed'}/${convKey(g)}/${g.inChannels}/${bias ? 'bias' : ''}/${activation}`,
      () =>
        blocked
          ? blockedGraph({ ...attributes, ...blockAttributes }, g.outChannels, bias !== undefined)
          : transposedGraph(attributes, epilogue, []),
      {
        x: floatTensor(images, [part.batch, g.inHeight, g.inWidth, g.inChannels]),
        w: filters,
        ...(bias ? { bias: floatTensor(bias, [g.outChannels]) } : {}),
      },
      { y: floatTensor(results, [part.batch, g.outHeight, g.outWidth, g.outChannels]) },
      'compute',
    ),
  );
  backend.arrays.give(weights);
}

/**
 * Writes the gradient of a depthwise convolution with respect to its input into `dx` [N,H,W,C].
 *
 * Blocked: a depthwise convolution of `dy`, spread out with zeros when strided, with the flipped filter. Other channel
 * counts, multipliers and pads: plain loops.
 */
export function depthwiseGradInput(
  backend: OnnxBackend,
  dy: Float32Array,
  filter: Float32Array,
  dx: Float32Array,
  g: ConvGeometry,
): void {
  const [strideH, strideW] = g.strides;
  const height = (g.outHeight - 1) * strideH + 1;
  const width = (g.outWidth - 1) * strideW + 1;
  const reachH = g.dilations[0] * (g.kernelHeight - 1);
  const reachW = g.dilations[1] * (g.kernelWidth - 1);
  const top = reachH - g.pads[0];
  const left = reachW - g.pads[2];
  const bottom = g.inHeight - height - top + reachH;
  const right = g.inWidth - width - left + reachW;
  if (!canBlockDepthwise(backend, g) || Math.min(top, left, bottom, right) < 0) {
    depthwiseGradInputLoops(dy, filter, dx, g);
    return;
  }
  const strided = strideH !== 1 || strideW !== 1;
  const source = strided ? spreadOut(backend, dy, g, height, width) : dy;
  const taps = g.kernelHeight * g.kernelWidth;
  const weights = backend.arrays.take('float32', filter.length);
  blockTaps(filter, taps, backend.blockSizeNchwc, true, weights);
  const adjoint: ConvGeometry = {
    ...g,
    inHeight: height,
    inWidth: width,
    outHeight: g.inHeight,
    outWidth: g.inWidth,
    strides: [1, 1],
    pads: [top, bottom, left, right],
  };
  const filters = floatTensor(weights, [g.inChannels, 1, g.kernelHeight, g.kernelWidth]);
  inParts(adjoint, source, dx, (part, images, results) =>
    backend.runGraph(
      `depthwise/blocked/${convKey(adjoint)}/${g.inChannels}//linear`,
      () => blockedGraph({ ...convAttributes(adjoint), group: { int: g.inChannels } }, g.inChannels, false),
      { x: floatTensor(images, [part.batch, height, width, g.outChannels]), w: filters },
      { y: floatTensor(results, [part.batch, g.inHeight, g.inWidth, g.inChannels]) },
      'compute',
    ),
  );
  backend.arrays.give(weights);
  if (strided) backend.arrays.give(source);
}

/** `dy` with stride - 1 zeros between its pixels, from the pool. */
function spreadOut(
  backend: OnnxBackend,
  dy: Float32Array,
  g: ConvGeometry,
  height: number,
  width: number,
): Float32Array {
  const channels = g.outChannels;
  const [strideH, strideW] = g.strides;
  const spread = backend.arrays.take('float32', g.batch * height * width * channels, true);
  let from = 0;
  for (let n = 0; n < g.batch; n++) {
    for (let r = 0; r < g.outHeight; r++) {
      for (let c = 0; c < g.outWidth; c++) {
        const to = ((n * height + r * strideH) * width + c * strideW) * channels;
        spread.set(dy.subarray(from, from + channels), to);
        from += channels;
      }
    }
  }
  return spread;
}

/**
 * Writes the gradient of a depthwise convolution with respect to its filter into `dw` [kh,kw,C,M].
 *
 * Blocked: image by image, the input is convolved with `dy` as if that were one large filter per channel; the kh x kw
 * outputs are the gradient. Stride and dilation change roles. Others: plain loops.
 */
export function depthwiseGradFilter(
  backend: OnnxBackend,
  x: Float32Array,
  dy: Float32Array,
  dw: Float32Array,
  g: ConvGeometry,
): void {
  const [top, , left] = g.pads;
  if (!canBlockDepthwise(backend, g) || top < 0 || left < 0) {
    depthwiseGradFilterLoops(x, dy, dw, g);
    return;
  }
  const channels = g.inChannels;
  const rows = gradFilterAxis(g, 0);
  const columns = gradFilterAxis(g, 1);
  const image = g.inHeight * g.inWidth * channels;
  const gradient = g.outHeight * g.outWidth * channels;
  const outputs = backend.arrays.take('float32', rows.outputs * columns.outputs * channels);
  dw.fill(0);
  for (let n = 0; n < g.batch; n++) {
    backend.runGraph(
      `depthwise/grad-filter/s${g.strides}/d${g.dilations}/p${top},${rows.after},${left},${columns.after}/${channels}`,
      () => gradFilterGraph(g, [top, left, rows.after, columns.after]),
      {
        x: floatTensor(x.subarray(n * image, (n + 1) * image), [1, g.inHeight, g.inWidth, channels]),
        dy: floatTensor(dy.subarray(n * gradient, (n + 1) * gradient), [
          1,
          g.outHeight,
          g.outWidth,
          channels,
        ]),
      },
      { dw: floatTensor(outputs, [1, rows.outputs, columns.outputs, channels]) },
      'compute',
    );
    const width = g.kernelWidth * channels;
    for (let i = 0; i < g.kernelHeight; i++) {
      const from = i * columns.outputs * channels;
      for (let j = 0; j < width; j++) dw[i * width + j] += outputs[from + j];
    }
  }
  backend.arrays.give(outputs);
}

/** Padding behind one axis and outputs along it of the gradient's convolution; outputs past the kernel are dropped. */
function gradFilterAxis(g: ConvGeometry, axis: 0 | 1): { after: number; outputs: number } {
  const size = axis === 0 ? g.inHeight : g.inWidth;
  const kernel = axis === 0 ? g.kernelHeight : g.kernelWidth;
  const steps = axis === 0 ? g.outHeight : g.outWidth;
  const before = g.pads[2 * axis];
  const span = (steps - 1) * g.strides[axis] + 1;
  const reach = g.dilations[axis] * (kernel - 1);
  const after = Math.max(0, span + reach - size - before);
  return { after, outputs: Math.floor((size + before + after - span) / g.dilations[axis]) + 1 };
}

function gradFilterGraph(g: ConvGeometry, pads: readonly number[]): OnnxGraph {
  const channels = g.inChannels;
  return {
    nodes: [
      reorder('x', 'xb'),
      reorder('dy', 'dyb'),
      { op: 'Reshape', inputs: ['dyb', 'shape'], outputs: ['w'] },
      {
        op: 'Conv',
        domain: BLOCKED_DOMAIN,
        inputs: ['xb', 'w'],
        outputs: ['yb'],
        attributes: {
          strides: { ints: g.dilations },
          dilations: { ints: g.strides },
          pads: { ints: pads },
          group: { int: channels },
        },
      },
      {
        op: 'ReorderOutput',
        domain: BLOCKED_DOMAIN,
        inputs: ['yb'],
        outputs: ['dw'],
        attributes: { channels: { int: channels }, channels_last: { int: 1 } },
      },
    ],
    inputs: [
      { name: 'x', type: 'float32', rank: 4 },
      { name: 'dy', type: 'float32', rank: 4 },
    ],
    outputs: [{ name: 'dw', type: 'float32', rank: 4 }],
    // [1,C,h,w] becomes the filter [C,1,h,w]; zero keeps an extent.
    initializers: [{ name: 'shape', type: 'int64', dims: [4], data: BigInt64Array.of(-1n, 1n, 0n, 0n) }],
  };
}

function reorder(from: string, to: string): OnnxNode {
  return {
    op: 'ReorderInput',
    domain: BLOCKED_DOMAIN,
    inputs: [from],
    outputs: [to],
    attributes: { channels_last: { int: 1 } },
  };
}

/** Visits every (filter tap, output pixel, input pixel) of a depthwise convolution by the offset of its channels. */
function forEachTap(
  g: ConvGeometry,
  visit: (filterStart: number, outputStart: number, inputStart: number) => void,
): void {
  for (let n = 0; n < g.batch; n++) {
    for (let r = 0; r < g.outHeight; r++) {
      for (let c = 0; c < g.outWidth; c++) {
        const output = ((n * g.outHeight + r) * g.outWidth + c) * g.outChannels;
        for (let i = 0; i < g.kernelHeight; i++) {
          const row = r * g.strides[0] + i * g.dilations[0] - g.pads[0];
          if (row < 0 || row >= g.inHeight) continue;
          for (let j = 0; j < g.kernelWidth; j++) {
            const column = c * g.strides[1] + j * g.dilations[1] - g.pads[2];
            if (column < 0 || column >= g.inWidth) continue;
            visit(
              (i * g.kernelWidth + j) * g.outChannels,
              output,
              ((n * g.inHeight + row) * g.inWidth + column) * g.inChannels,
            );
          }
        }
      }
    }
  }
}

/** The input gradient in plain loops: any channel count, multiplier, stride, dilation and pad. */
export function depthwiseGradInputLoops(
  dy: Float32Array,
  filter: Float32Array,
  dx: Float32Array,
  g: ConvGeometry,
): void {
  dx.fill(0);
  const multiplier = g.outChannels / g.inChannels;
  forEachTap(g, (filterStart, outputStart, inputStart) => {
    for (let c = 0, k = 0; c < g.inChannels; c++) {
      let sum = 0;
      for (let m = 0; m < multiplier; m++, k++) sum += filter[filterStart + k] * dy[outputStart + k];
      dx[inputStart + c] += sum;
    }
  });
}

/** The filter gradient in plain loops. */
export function depthwiseGradFilterLoops(
  x: Float32Array,
  dy: Float32Array,
  dw: Float32Array,
  g: ConvGeometry,
): void {
  dw.fill(0);
  const multiplier = g.outChannels / g.inChannels;
  forEachTap(g, (filterStart, outputStart, inputStart) => {
    for (let c = 0, k = 0; c < g.inChannels; c++) {
      const value = x[inputStart + c];
      for (let m = 0; m < multiplier; m++, k++) dw[filterStart + k] += value * dy[outputStart + k];
    }
  });
}
