import {
  backend_util,
  type ConcatAttrs,
  type KernelConfig,
  type PadV2Attrs,
  type ReverseAttrs,
  type SliceAttrs,
  slice_util,
  type TensorInfo,
  type TransposeAttrs,
  util,
} from '@tensorflow/tfjs-core';
import type { NumericArray, NumericType } from '../array-pool.js';

import { callCpuKernel } from './call-kernel.js';
import { defineKernel, sizeOf } from './kernel.js';
import { transposeInto } from './transpose-into.js';

function isNumeric(dtype: string): dtype is NumericType {
  return dtype === 'float32' || dtype === 'int32' || dtype === 'bool';
}

/** Below this many elements a plain loop copies faster than `TypedArray.set`. */
const SET_THRESHOLD = 24;

function copyRun(
  from: NumericArray,
  fromStart: number,
  to: NumericArray,
  toStart: number,
  length: number,
): void {
  if (length >= SET_THRESHOLD) to.set(from.subarray(fromStart, fromStart + length), toStart);
  else for (let i = 0; i < length; i++) to[toStart + i] = from[fromStart + i];
}

/** Copies a box of `size` between two row-major arrays, starting at the given corner of each. */
function copyBox(
  from: { values: NumericArray; shape: readonly number[]; start: readonly number[] },
  to: { values: NumericArray; shape: readonly number[]; start: readonly number[] },
  size: readonly number[],
): void {
  let rank = size.length;
  // Trailing axes taken whole on both sides are part of one contiguous run.
  let run = 1;
  while (rank > 0) {
    rank--;
    run *= size[rank];
    if (size[rank] !== from.shape[rank] || size[rank] !== to.shape[rank]) break;
  }
  const fromStrides = util.computeStrides([...from.shape, 1]);
  const toStrides = util.computeStrides([...to.shape, 1]);
  let fromBase = 0;
  let toBase = 0;
  for (let axis = 0; axis < size.length; axis++) {
    fromBase += from.start[axis] * fromStrides[axis];
    toBase += to.start[axis] * toStrides[axis];
  }
  const index = new Array<number>(rank).fill(0);
  if (sizeOf(size) === 0) return;
  for (;;) {
    copyRun(from.values, fromBase, to.values, toBase, run);
    let axis = rank - 1;
    for (; axis >= 0; axis--) {
      index[axis]++;
      fromBase += fromStrides[axis];
      toBase += toStrides[axis];
      if (index[axis] < size[axis]) break;
      fromBase -= size[axis] * fromStrides[axis];
      toBase -= size[axis] * toStrides[axis];
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}

const slice = defineKernel<{ x: TensorInfo }, SliceAttrs>('Slice', ({ inputs, attrs, backend }) => {
  const { x } = inputs;
  if (!isNumeric(x.dtype)) return callCpuKernel(backend, 'Slice', inputs, attrs);
  const [begin, size] = slice_util.parseSliceParams(x as never, attrs.begin, attrs.size);
  slice_util.assertParamsValid(x as never, begin, size);
  const out = backend.allocate(size, x.dtype);
  copyBox(
    { values: backend.numbers(x), shape: x.shape, start: begin },
    { values: out.values, shape: size, start: new Array<number>(size.length).fill(0) },
    size,
  );
  return out.info;
});

const pad = defineKernel<{ x: TensorInfo }, PadV2Attrs>('PadV2', ({ inputs, attrs, backend }) => {
  const { x } = inputs;
  const { paddings, constantValue } = attrs;
  if (!isNumeric(x.dtype)) return callCpuKernel(backend, 'PadV2', inputs, attrs);
  const shape = x.shape.map((extent, axis) => paddings[axis][0] + extent + paddings[axis][1]);
  const out = backend.allocate(shape, x.dtype);
  out.values.fill(constantValue);
  copyBox(
    { values: backend.numbers(x), shape: x.shape, start: new Array<number>(shape.length).fill(0) },
    { values: out.values, shape, start: paddings.map(([before]) => before) },
    x.shape,
  );
  return out.info;
});

const concat = defineKernel<TensorInfo[], ConcatAttrs>('Concat', ({ inputs, attrs, backend }) => {
  const axis = util.parseAxisParam(attrs.axis, inputs[0].shape)[0];
  const { dtype } = inputs[0];
  // All of them, empty ones too, as the other backends check.
  backend_util.assertParamsConsistent(
    inputs.map((part) => part.shape),
    axis,
  );
  const parts = inputs.filter((part) => sizeOf(part.shape) > 0);
  if (parts.length === 0 || !isNumeric(dtype) || inputs.some((part) => part.dtype !== dtype)) {
    return callCpuKernel(backend, 'Concat', inputs, attrs);
  }
  const shape = backend_util.computeOutShape(
    parts.map((part) => part.shape),
    axis,
  );
  const out = backend.allocate(shape, dtype);
  const start = new Array<number>(shape.length).fill(0);
  const zero = [...start];
  for (const part of parts) {
    copyBox(
      { values: backend.numbers(part), shape: part.shape, start: zero },
      { values: out.values, shape, start },
      part.shape,
    );
    start[axis] += part.shape[axis];
  }
  return out.info;
});

/** Extents and permutation without axes of extent 1 and with axes merged that stay neighbours. */
function mergePermutation(
  shape: readonly number[],
  perm: readonly number[],
): { dims: number[]; perm: number[] } {
  const wide = perm.filter((axis) => shape[axis] !== 1);
  const rank = new Map([...wide].sort((a, b) => a - b).map((axis, position) => [axis, position]));
  // Runs of axes that follow each other in both orders, in the order of the result.
  const runs: { first: number; size: number }[] = [];
  let previous = -2;
  for (const axis of wide) {
    const position = rank.get(axis)!;
    if (position === previous + 1) runs[runs.length - 1].size *= shape[axis];
    else runs.push({ first: position, size: shape[axis] });
    previous = position;
  }
  const source = [...runs].sort((a, b) => a.first - b.first);
  return { dims: source.map((run) => run.size), perm: runs.map((run) => source.indexOf(run)) };
}

const transpose = defineKernel<{ x: TensorInfo }, TransposeAttrs>(
  'Transpose',
  ({ inputs, attrs, backend }) => {
    const { x } = inputs;
    if (x.dtype !== 'float32' || sizeOf(x.shape) < backend.smallTensor)
      return callCpuKernel(backend, 'Transpose', inputs, attrs);
    const out = backend.allocate(
      attrs.perm.map((axis) => x.shape[axis]),
      'float32',
    );
    const { dims, perm } = mergePermutation(x.shape, attrs.perm);
    if (dims.length === 1) out.values.set(backend.floats(x));
    else transposeInto(backend, backend.floats(x), dims, perm, out.values);
    return out.info;
  },
);

const reverse = defineKernel<{ x: TensorInfo }, ReverseAttrs>('Reverse', ({ inputs, attrs, backend }) => {
  const { x } = inputs;
  if (!isNumeric(x.dtype)) return callCpuKernel(backend, 'Reverse', inputs, attrs);
  const { shape } = x;
  const mirrored = new Set(util.parseAxisParam(attrs.dims, [...shape]));
  const out = backend.allocate(shape, x.dtype);
  const from = backend.numbers(x);
  // Axes behind the last mirrored one are a contiguous run.
  const rank = Math.max(-1, ...mirrored) + 1;
  const run = sizeOf(shape.slice(rank));
  const strides = util.computeStrides([...shape, 1]);
  const steps = shape.slice(0, rank).map((_, axis) => (mirrored.has(axis) ? -1 : 1) * strides[axis]);
  let source = 0;
  for (const axis of mirrored) source += (shape[axis] - 1) * strides[axis];
  const index = new Array<number>(rank).fill(0);
  for (let to = 0; to < out.values.length; to += run) {
    copyRun(from, source, out.values, to, run);
    for (let axis = rank - 1; axis >= 0; axis--) {
      source += steps[axis];
      if (++index[axis] < shape[axis]) break;
      source -= shape[axis] * steps[axis];
      index[axis] = 0;
    }
  }
  return out.info;
});

/** Kernels that only move values. */
export const layoutKernels: readonly KernelConfig[] = [slice, pad, concat, transpose, reverse];
