import { backend_util, type KernelConfig, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { floatTensor } from '../ort-tensor.js';
import { callCpuKernel, callKernel } from './call-kernel.js';
import { defineKernel, sizeOf } from './kernel.js';

interface ReductionAttributes {
  axis?: number | number[];
  reductionIndices?: number | number[];
  keepDims?: boolean;
}

/** Neighbouring axes of one kind merged: extents, and which of them are reduced. */
function mergeAxes(shape: readonly number[], axes: readonly number[]): { dims: number[]; reduced: number[] } {
  const dims: number[] = [];
  const reduced: number[] = [];
  let previous: boolean | undefined;
  shape.forEach((extent, axis) => {
    if (extent === 1) return;
    const isReduced = axes.includes(axis);
    if (isReduced === previous) dims[dims.length - 1] *= extent;
    else {
      if (isReduced) reduced.push(dims.length);
      dims.push(extent);
    }
    previous = isReduced;
  });
  return { dims, reduced };
}

/** onnxruntime adds in single precision: from about so many terms on, what is added falls below the sum's last digits. */
const MAX_FLOAT_TERMS = 2048;

/** Sums of x [outer, length, inner] over the middle, in double precision, divided by `divisor`. */
function sumInDouble(
  x: Float32Array,
  length: number,
  inner: number,
  divisor: number,
  out: Float32Array,
): void {
  const sums = new Float64Array(inner);
  for (let start = 0, first = 0; first < out.length; first += inner) {
    sums.fill(0);
    if (inner === 1) {
      let sum = 0;
      for (const end = start + length; start < end; start++) sum += x[start];
      sums[0] = sum;
    } else {
      for (let row = 0; row < length; row++, start += inner)
        for (let i = 0; i < inner; i++) sums[i] += x[start + i];
    }
    for (let i = 0; i < inner; i++) out[first + i] = sums[i] / divisor;
  }
}

/** ReduceSum takes its axes as an input since operator set 13, its siblings as an attribute until 18. */
function reductionKernel(name: string, op: string): KernelConfig {
  return defineKernel<{ x: TensorInfo }, ReductionAttributes>(name, ({ inputs, attrs, backend }) => {
    const { x } = inputs;
    if (x.dtype !== 'float32' || sizeOf(x.shape) < backend.smallTensor)
      return callCpuKernel(backend, name, inputs, attrs);
    const axes = util.parseAxisParam((attrs.axis ?? attrs.reductionIndices) as number[], x.shape);
    const [kept, lost] = backend_util.computeOutAndReduceShapes(x.shape, axes);
    const { dims, reduced } = mergeAxes(x.shape, axes);
    const inDouble = sizeOf(lost) > MAX_FLOAT_TERMS && op !== 'ReduceProd';
    if (sizeOf(lost) === 1 || (inDouble && reduced.length > 1))
      return callCpuKernel(backend, name, inputs, attrs);
    const outShape = attrs.keepDims ? backend_util.expandShapeToKeepDim(kept, axes) : kept;
    const out = backend.allocate(outShape, 'float32');
    if (inDouble) {
      const inner = sizeOf(dims.slice(reduced[0] + 1));
      const divisor = op === 'ReduceMean' ? dims[reduced[0]] : 1;
      sumInDouble(backend.floats(x), dims[reduced[0]], inner, divisor, out.values);
      return out.info;
    }
    const axesAsInput = op === 'ReduceSum';
    backend.runGraph(
      `reduce/${op}/${dims.length}/${reduced.join()}`,
      () => ({
        nodes: [
          {
            op,
            inputs: axesAsInput ? ['x', 'axes'] : ['x'],
            outputs: ['y'],
            attributes: { keepdims: { int: 0 }, ...(axesAsInput ? {} : { axes: { ints: reduced } }) },
          },
        ],
        inputs: [{ name: 'x', type: 'float32', rank: dims.length }],
        outputs: [{ name: 'y', type: 'float32', rank: dims.length - reduced.length }],
        initializers: axesAsInput
          ? [
              {
                name: 'axes',
                type: 'int64',
                dims: [reduced.length],
                data: BigInt64Array.from(reduced, (axis) => BigInt(axis)),
              },
            ]
          : [],
      }),
      { x: floatTensor(backend.floats(x), dims) },
      {
        y: floatTensor(
          out.values,
          dims.filter((_, axis) => !reduced.includes(axis)),
        ),
      },
    );
    return out.info;
  });
}

/** Largest or smallest value along one run of axes, NaN if there is one, which onnxruntime's reductions overlook. */
function extremumKernel(name: 'Max' | 'Min'): KernelConfig {
  return defineKernel<{ x: TensorInfo }, ReductionAttributes>(name, ({ inputs, attrs, backend }) => {
    const { x } = inputs;
    const axes = util.parseAxisParam((attrs.axis ?? attrs.reductionIndices) as number[], x.shape);
    const [kept] = backend_util.computeOutAndReduceShapes(x.shape, axes);
    const { dims, reduced } = mergeAxes(x.shape, axes);
    if (x.dtype !== 'float32' || reduced.length !== 1 || sizeOf(x.shape) < backend.smallTensor) {
      return callCpuKernel(backend, name, inputs, attrs);
    }
    const out = backend.allocate(
      attrs.keepDims ? backend_util.expandShapeToKeepDim(kept, axes) : kept,
      'float32',
    );
    const inner = sizeOf(dims.slice(reduced[0] + 1));
    extremum(backend.floats(x), dims[reduced[0]], inner, name === 'Max' ? 1 : -1, out.values);
    return out.info;
  });
}

/** `x` is [outer, length, inner]; `sign` 1 keeps the largest, -1 the smallest. */
function extremum(x: Float32Array, length: number, inner: number, sign: number, out: Float32Array): void {
  for (let position = 0; position < out.length; position++) {
    const start = Math.floor(position / inner) * length * inner + (position % inner);
    let best = x[start];
    for (let i = 1, at = start + inner; i < length; i++, at += inner) {
      const value = x[at];
      // A NaN fails every comparison, so it enters by the first and stays by the second.
      if (!(sign * value <= sign * best) && !Number.isNaN(best)) best = value;
    }
    out[position] = best;
  }
}

/** Sums over all axes but the last: the gradient of a bias. */
const columnSums = defineKernel<{ x: TensorInfo }, object>('AuxColumnSums', ({ inputs, backend }) => {
  const { x } = inputs;
  const axis = x.shape.map((_, index) => index).slice(0, -1);
  return callKernel(backend, 'Sum', { x }, { axis, keepDims: false });
});

/** Reductions over any axes. */
export const reductionKernels: readonly KernelConfig[] = [
  reductionKernel('Sum', 'ReduceSum'),
  reductionKernel('Mean', 'ReduceMean'),
  extremumKernel('Max'),
  extremumKernel('Min'),
  reductionKernel('Prod', 'ReduceProd'),
  columnSums,
];
