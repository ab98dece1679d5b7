import { backend_util, type KernelConfig, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { floatTensor } from '../ort-tensor.js';
import { callCpuKernel, callKernel } from './call-kernel.js';
import { defineKernel, SMALL, sizeOf } from './kernel.js';

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

/** ReduceSum takes its axes as an input since operator set 13, its siblings as an attribute until 18. */
function reductionKernel(name: string, op: string): KernelConfig {
  return defineKernel<{ x: TensorInfo }, ReductionAttributes>(name, ({ inputs, attrs, backend }) => {
    const { x } = inputs;
    if (x.dtype !== 'float32' || sizeOf(x.shape) < SMALL) return callCpuKernel(backend, name, inputs, attrs);
    const axes = util.parseAxisParam((attrs.axis ?? attrs.reductionIndices) as number[], x.shape);
    const [kept, lost] = backend_util.computeOutAndReduceShapes(x.shape, axes);
    if (sizeOf(lost) === 1) return callCpuKernel(backend, name, inputs, attrs);
    const outShape = attrs.keepDims ? backend_util.expandShapeToKeepDim(kept, axes) : kept;
    const out = backend.allocate(outShape, 'float32');
    const { dims, reduced } = mergeAxes(x.shape, axes);
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
  reductionKernel('Max', 'ReduceMax'),
  reductionKernel('Min', 'ReduceMin'),
  reductionKernel('Prod', 'ReduceProd'),
  columnSums,
];
