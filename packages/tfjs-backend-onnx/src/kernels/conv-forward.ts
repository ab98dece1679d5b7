import type { OnnxBackend } from '../onnx-backend.js';
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxValue } from '../onnx-model.js';
import type { OrtTensor } from '../ort-binding.js';
import { floatTensor } from '../ort-tensor.js';
import { blockFilter, blockFlippedFilter } from './blocked-filter.js';
import { type ConvGeometry, isPointwise } from './conv-geometry.js';
import { activationInitializers, activationNodes, blockedActivation, type Epilogue } from './epilogue.js';
import { matMulInto } from './mat-mul.js';
import { winogradForward } from './winograd.js';
import { planWinograd } from './winograd-tiling.js';
import { isWinogradEpilogue } from './winograd-transforms.js';

/** The domain of onnxruntime's blocked (NCHWc) operators. */
export const BLOCKED_DOMAIN = 'com.microsoft.nchwc';

/** onnxruntime reads channel-last images into blocks four channels at a time. */
const REORDER_MULTIPLE = 4;
/** With fewer channels the padding to whole blocks costs more than the blocked kernel gains. */
const MIN_BLOCKED_CHANNELS = 8;

/** Whether the blocked kernel can take an image of so many channels. */
export function canBlock(backend: OnnxBackend, inChannels: number): boolean {
  return (
    backend.blockSizeNchwc > 1 && inChannels % REORDER_MULTIPLE === 0 && inChannels >= MIN_BLOCKED_CHANNELS
  );
}

/** Convolution attributes of ONNX; its pads are [top, left, bottom, right]. */
export function convAttributes(g: ConvGeometry): Record<string, OnnxAttribute> {
  const [top, bottom, left, right] = g.pads;
  return {
    kernel_shape: { ints: [g.kernelHeight, g.kernelWidth] },
    pads: { ints: [top, left, bottom, right] },
    strides: { ints: g.strides },
    dilations: { ints: g.dilations },
  };
}

/** The part of a session key that names a convolution's attributes. */
export function convKey(g: ConvGeometry): string {
  return `${g.kernelHeight}x${g.kernelWidth}/s${g.strides}/p${g.pads}/d${g.dilations}`;
}

/** Rounds up to a multiple. */
export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

const LINEAR: Epilogue = { activation: 'linear' };

/**
 * Writes the convolution of `x` [N,H,W,C] with `filter` [kh,kw,C,K] into `y` [N,h,w,K].
 *
 * Four ways, fastest first where it applies: one matrix product (1x1, stride 1), Winograd's algorithm (3x3, stride 1, many channels),
 * onnxruntime's blocked kernel between two channel-last reorders, and its channel-first kernel between two transposes.
 */
export function convForward(
  backend: OnnxBackend,
  x: Float32Array,
  filter: Float32Array,
  y: Float32Array,
  g: ConvGeometry,
  epilogue: Epilogue = LINEAR,
): void {
  if (isPointwise(g)) {
    pointwise(backend, x, filter, y, g, epilogue);
    return;
  }
  if (backend.winograd && isWinogradEpilogue(epilogue)) {
    const tiling = planWinograd(g);
    if (tiling !== null) {
      winogradForward(backend, x, filter, y, g, tiling, epilogue);
      return;
    }
  }
  if (canBlock(backend, g.inChannels) && blockedActivation(epilogue.activation) !== null) {
    const block = backend.blockSizeNchwc;
    const taps = g.kernelHeight * g.kernelWidth;
    const blocked = backend.arrays.take(
      'float32',
      taps * roundUp(g.inChannels, block) * roundUp(g.outChannels, block),
    );
    blockFilter(filter, { taps, inChannels: g.inChannels, outChannels: g.outChannels, block }, blocked);
    blockedConv(backend, x, blocked, y, g, epilogue);
    backend.arrays.give(blocked);
  } else {
    transposedConv(backend, x, filter, y, g, epilogue);
  }
}

/** The stride-1 convolution of `dy` that is the input gradient of one of geometry `g`, with the filter flipped and transposed. */
function adjointOf(g: ConvGeometry): ConvGeometry {
  const reachH = g.dilations[0] * (g.kernelHeight - 1);
  const reachW = g.dilations[1] * (g.kernelWidth - 1);
  return {
    ...g,
    inHeight: g.outHeight,
    inWidth: g.outWidth,
    inChannels: g.outChannels,
    outHeight: g.inHeight,
    outWidth: g.inWidth,
    outChannels: g.inChannels,
    pads: [reachH - g.pads[0], reachH - g.pads[1], reachW - g.pads[2], reachW - g.pads[3]],
  };
}

/**
 * Writes the convolution of `dy` [N,h,w,K] with the flipped, transposed filter [kh,kw,C,K] into `dx` [N,H,W,C], the input gradient of a
 * stride-1 convolution of geometry `g`, and returns whether it could: by Winograd's algorithm or the blocked kernel.
 *
 * The caller has checked that no pad exceeds dilation * (kernel - 1).
 */
export function convFlipped(
  backend: OnnxBackend,
  dy: Float32Array,
  filter: Float32Array,
  dx: Float32Array,
  g: ConvGeometry,
): boolean {
  const adjoint = adjointOf(g);
  const tiling = backend.winograd ? planWinograd(adjoint) : null;
  if (tiling !== null) {
    winogradForward(backend, dy, filter, dx, adjoint, tiling, { activation: 'linear' }, true);
    return true;
  }
  if (!canBlock(backend, g.outChannels)) return false;
  const block = backend.blockSizeNchwc;
  const taps = g.kernelHeight * g.kernelWidth;
  const blocked = backend.arrays.take(
    'float32',
    taps * roundUp(g.inChannels, block) * roundUp(g.outChannels, block),
  );
  blockFlippedFilter(filter, { taps, inChannels: g.inChannels, outChannels: g.outChannels, block }, blocked);
  blockedConv(backend, dy, blocked, dx, adjoint, LINEAR);
  backend.arrays.give(blocked);
  return true;
}

function pointwise(
  backend: OnnxBackend,
  x: Float32Array,
  filter: Float32Array,
  y: Float32Array,
  g: ConvGeometry,
  epilogue: Epilogue,
): void {
  const pixels = g.batch * g.inHeight * g.inWidth;
  productWithEpilogue(backend, x, filter, y, [pixels, g.inChannels, g.outChannels], epilogue);
}

/** Writes activation(a [M,K] b [K,N] + bias [N]) into `y` [M,N]. */
export function productWithEpilogue(
  backend: OnnxBackend,
  a: Float32Array,
  b: Float32Array,
  y: Float32Array,
  [rows, inner, columns]: readonly [number, number, number],
  { activation, bias }: Epilogue,
): void {
  if (bias === undefined) {
    matMulInto(
      backend,
      { values: a, dims: [rows, inner] },
      { values: b, dims: [inner, columns] },
      { values: y, dims: [rows, columns] },
    );
  } else {
    backend.runGraph(
      'gemm',
      () => ({
        nodes: [{ op: 'Gemm', inputs: ['a', 'b', 'bias'], outputs: ['y'] }],
        inputs: [
          { name: 'a', type: 'float32', rank: 2 },
          { name: 'b', type: 'float32', rank: 2 },
          { name: 'bias', type: 'float32', rank: 1 },
        ],
        outputs: [{ name: 'y', type: 'float32', rank: 2 }],
      }),
      {
        a: floatTensor(a, [rows, inner]),
        b: floatTensor(b, [inner, columns]),
        bias: floatTensor(bias, [columns]),
      },
      { y: floatTensor(y, [rows, columns]) },
      'compute',
    );
  }
  activateInPlace(backend, y, activation);
}

/** A session of its own, because inside the product's it would read a temporary instead of the result itself. */
function activateInPlace(
  backend: OnnxBackend,
  values: Float32Array,
  activation: Epilogue['activation'],
): void {
  if (activation === 'linear') return;
  backend.runGraph(
    `activation/${activation}`,
    () => ({
      nodes: activationNodes(activation, 'x', 'y'),
      inputs: [{ name: 'x', type: 'float32', rank: 1 }],
      outputs: [{ name: 'y', type: 'float32', rank: 1 }],
      initializers: activationInitializers(activation),
    }),
    { x: floatTensor(values, [values.length]) },
    { y: floatTensor(values, [values.length]) },
  );
}

/** Convolution with a filter that is in blocked order already. */
function blockedConv(
  backend: OnnxBackend,
  x: Float32Array,
  filter: Float32Array,
  y: Float32Array,
  g: ConvGeometry,
  epilogue: Epilogue,
): void {
  const block = backend.blockSizeNchwc;
  const inChannels = roundUp(g.inChannels, block);
  const outChannels = roundUp(g.outChannels, block);
  const { bias, activation } = epilogue;
  const constants: Record<string, OrtTensor> = {
    w: floatTensor(filter, [outChannels, inChannels, g.kernelHeight, g.kernelWidth]),
  };
  if (bias) constants['bias'] = floatTensor(padTo(bias, outChannels), [outChannels]);
  inParts(g, x, y, (part, images, results) =>
    backend.runGraph(
      `conv/blocked/${convKey(g)}/${g.outChannels}/${bias ? 'bias' : ''}/${activation}`,
      () =>
        blockedGraph(
          { ...convAttributes(g), ...blockedActivation(activation) },
          g.outChannels,
          bias !== undefined,
        ),
      { ...constants, x: floatTensor(images, [part.batch, g.inHeight, g.inWidth, g.inChannels]) },
      { y: floatTensor(results, [part.batch, g.outHeight, g.outWidth, g.outChannels]) },
      'compute',
    ),
  );
}

/** Floats of input or output up to which images share a run. */
const RUN_FLOATS = 2 * 2 ** 20;

/**
 * Calls `run` with consecutive parts of a batch, each small enough for its reordered copies to stay in the cache and on the
 * heap: larger ones are mapped afresh by each run, a page fault per 4 KiB.
 */
export function inParts(
  g: ConvGeometry,
  x: Float32Array,
  y: Float32Array,
  run: (part: ConvGeometry, x: Float32Array, y: Float32Array) => void,
): void {
  const inSize = g.inHeight * g.inWidth * g.inChannels;
  const outSize = g.outHeight * g.outWidth * g.outChannels;
  const images = Math.max(1, Math.floor(RUN_FLOATS / Math.max(inSize, outSize)));
  if (images >= g.batch) {
    run(g, x, y);
    return;
  }
  for (let first = 0; first < g.batch; first += images) {
    const end = Math.min(g.batch, first + images);
    run(
      { ...g, batch: end - first },
      x.subarray(first * inSize, end * inSize),
      y.subarray(first * outSize, end * outSize),
    );
  }
}

/** Reorder to blocks, convolve, reorder back; shared by plain and depthwise convolution. */
export function blockedGraph(
  attributes: Record<string, OnnxAttribute>,
  outChannels: number,
  withBias: boolean,
): OnnxGraph {
  const inputs: OnnxValue[] = [
    { name: 'x', type: 'float32', rank: 4 },
    { name: 'w', type: 'float32', rank: 4 },
  ];
  if (withBias) inputs.push({ name: 'bias', type: 'float32', rank: 1 });
  return {
    nodes: [
      {
        op: 'ReorderInput',
        domain: BLOCKED_DOMAIN,
        inputs: ['x'],
        outputs: ['xb'],
        attributes: { channels_last: { int: 1 } },
      },
      {
        op: 'Conv',
        domain: BLOCKED_DOMAIN,
        inputs: withBias ? ['xb', 'w', 'bias'] : ['xb', 'w'],
        outputs: ['yb'],
        attributes,
      },
      {
        op: 'ReorderOutput',
        domain: BLOCKED_DOMAIN,
        inputs: ['yb'],
        outputs: ['y'],
        attributes: { channels: { int: outChannels }, channels_last: { int: 1 } },
      },
    ],
    inputs,
    outputs: [{ name: 'y', type: 'float32', rank: 4 }],
  };
}

function transposedConv(
  backend: OnnxBackend,
  x: Float32Array,
  filter: Float32Array,
  y: Float32Array,
  g: ConvGeometry,
  epilogue: Epilogue,
): void {
  const { bias, activation } = epilogue;
  const feeds: Record<string, OrtTensor> = {
    x: floatTensor(x, [g.batch, g.inHeight, g.inWidth, g.inChannels]),
    w: floatTensor(filter, [g.kernelHeight, g.kernelWidth, g.inChannels, g.outChannels]),
  };
  if (bias) feeds['bias'] = floatTensor(bias, [g.outChannels]);
  backend.runGraph(
    `conv/transposed/${convKey(g)}/${bias ? 'bias' : ''}/${activation}`,
    () => ({
      ...transposedGraph(convAttributes(g), epilogue, [
        { op: 'Transpose', inputs: ['w'], outputs: ['wt'], attributes: { perm: { ints: [3, 2, 0, 1] } } },
      ]),
    }),
    feeds,
    { y: floatTensor(y, [g.batch, g.outHeight, g.outWidth, g.outChannels]) },
    'compute',
  );
}

/** Transpose to channel-first, convolve with `wt` (made by `filterNodes` from `w`), transpose back. */
export function transposedGraph(
  attributes: Record<string, OnnxAttribute>,
  epilogue: Epilogue,
  filterNodes: readonly OnnxNode[],
): OnnxGraph {
  const { bias, activation } = epilogue;
  const inputs: OnnxValue[] = [
    { name: 'x', type: 'float32', rank: 4 },
    { name: 'w', type: 'float32', rank: 4 },
  ];
  if (bias) inputs.push({ name: 'bias', type: 'float32', rank: 1 });
  const weights = filterNodes.length > 0 ? 'wt' : 'w';
  return {
    nodes: [
      { op: 'Transpose', inputs: ['x'], outputs: ['xt'], attributes: { perm: { ints: [0, 3, 1, 2] } } },
      ...filterNodes,
      { op: 'Conv', inputs: bias ? ['xt', weights, 'bias'] : ['xt', weights], outputs: ['yt'], attributes },
      ...activationNodes(activation, 'yt', 'ya'),
      {
        op: 'Transpose',
        inputs: [activation === 'linear' ? 'yt' : 'ya'],
        outputs: ['y'],
        attributes: { perm: { ints: [0, 2, 3, 1] } },
      },
    ],
    inputs,
    outputs: [{ name: 'y', type: 'float32', rank: 4 }],
    initializers: activationInitializers(activation),
  };
}

/** A copy with zeros appended, or the array itself when it is long enough. */
function padTo(values: Float32Array, length: number): Float32Array {
  if (values.length === length) return values;
  const padded = new Float32Array(length);
  padded.set(values);
  return padded;
}
