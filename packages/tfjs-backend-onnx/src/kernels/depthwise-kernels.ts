import {
  backend_util,
  type DepthwiseConv2dNativeAttrs,
  type DepthwiseConv2dNativeBackpropFilterAttrs,
  type DepthwiseConv2dNativeBackpropInputAttrs,
  type FusedDepthwiseConv2DAttrs,
  type KernelConfig,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { applyActivation } from './apply-activation.js';
import { callCpuKernel, callKernel } from './call-kernel.js';
import {
  type ConvGeometry,
  type GradAttributes,
  geometryOfConvInfo,
  geometryOfShapes,
  isEmpty,
} from './conv-geometry.js';
import { depthwiseForward, depthwiseGradFilter, depthwiseGradInput } from './depthwise.js';
import { isFusedActivation } from './epilogue.js';
import { defineKernel, sizeOf } from './kernel.js';

type Shape4D = [number, number, number, number];
type DepthwiseAttributes = Pick<
  DepthwiseConv2dNativeAttrs,
  'strides' | 'pad' | 'dilations' | 'dimRoundingMode'
>;

function geometryOf(inputShape: number[], filterShape: number[], attrs: DepthwiseAttributes): ConvGeometry {
  return geometryOfConvInfo(
    backend_util.computeConv2DInfo(
      inputShape as Shape4D,
      filterShape as Shape4D,
      attrs.strides,
      attrs.dilations ?? [1, 1],
      attrs.pad,
      attrs.dimRoundingMode,
      true,
    ),
  );
}

const depthwise = defineKernel<{ x: TensorInfo; filter: TensorInfo }, DepthwiseConv2dNativeAttrs>(
  'DepthwiseConv2dNative',
  ({ inputs, attrs, backend }) => {
    const { x, filter } = inputs;
    const g = geometryOf(x.shape, filter.shape, attrs);
    if (isEmpty(g)) return callCpuKernel(backend, 'DepthwiseConv2dNative', inputs, attrs);
    const y = backend.allocate([g.batch, g.outHeight, g.outWidth, g.outChannels], 'float32');
    depthwiseForward(backend, backend.floats(x), backend.floats(filter), y.values, g);
    return y.info;
  },
);

const fusedDepthwise = defineKernel<
  { x: TensorInfo; filter: TensorInfo; bias?: TensorInfo; preluActivationWeights?: TensorInfo },
  FusedDepthwiseConv2DAttrs & { leakyreluAlpha?: number }
>('FusedDepthwiseConv2D', ({ inputs, attrs, backend }) => {
  const { x, filter, bias, preluActivationWeights } = inputs;
  const g = geometryOf(x.shape, filter.shape, attrs);
  if (isEmpty(g)) return callCpuKernel(backend, 'FusedDepthwiseConv2D', inputs, attrs);
  const activation = isFusedActivation(attrs.activation) ? attrs.activation : 'linear';
  const ownBias = bias !== undefined && sizeOf(bias.shape) === g.outChannels;
  const fuseAll = bias === undefined || ownBias;
  const y = backend.allocate([g.batch, g.outHeight, g.outWidth, g.outChannels], 'float32');
  depthwiseForward(backend, backend.floats(x), backend.floats(filter), y.values, g, {
    bias: ownBias ? backend.floats(bias) : undefined,
    activation: fuseAll ? activation : 'linear',
  });
  let result = y.info;
  if (!fuseAll) {
    result = callKernel(backend, 'Add', { a: y.info, b: bias });
    backend.disposeIntermediateTensorInfo(y.info);
  }
  if (fuseAll && activation === attrs.activation) return result;
  return applyActivation(backend, result, attrs.activation, {
    preluActivationWeights,
    leakyreluAlpha: attrs.leakyreluAlpha,
  });
});

const backpropInput = defineKernel<
  { dy: TensorInfo; filter: TensorInfo },
  DepthwiseConv2dNativeBackpropInputAttrs
>('DepthwiseConv2dNativeBackpropInput', ({ inputs, attrs, backend }) => {
  const { dy, filter } = inputs;
  const g = geometryOf(attrs.inputShape, filter.shape, attrs);
  const dx = backend.allocate([...attrs.inputShape], 'float32');
  depthwiseGradInput(backend, backend.floats(dy), backend.floats(filter), dx.values, g);
  return dx.info;
});

const backpropFilter = defineKernel<
  { x: TensorInfo; dy: TensorInfo },
  DepthwiseConv2dNativeBackpropFilterAttrs
>('DepthwiseConv2dNativeBackpropFilter', ({ inputs, attrs, backend }) => {
  const { x, dy } = inputs;
  const g = geometryOf(x.shape, attrs.filterShape, attrs);
  const dw = backend.allocate([...attrs.filterShape], 'float32');
  depthwiseGradFilter(backend, backend.floats(x), backend.floats(dy), dw.values, g);
  return dw.info;
});

/** Input gradient with explicit pads and any dilation. */
const gradInput = defineKernel<
  { dy: TensorInfo; filter: TensorInfo },
  GradAttributes & { inputShape: number[] }
>('AuxDepthwiseGradInput', ({ inputs, attrs, backend }) => {
  const { dy, filter } = inputs;
  const g = geometryOfShapes(attrs.inputShape, dy.shape, filter.shape, attrs);
  const dx = backend.allocate([...attrs.inputShape], 'float32');
  depthwiseGradInput(backend, backend.floats(dy), backend.floats(filter), dx.values, g);
  return dx.info;
});

/** Filter gradient with explicit pads and any dilation. */
const gradFilter = defineKernel<
  { x: TensorInfo; dy: TensorInfo },
  GradAttributes & { filterShape: number[] }
>('AuxDepthwiseGradFilter', ({ inputs, attrs, backend }) => {
  const { x, dy } = inputs;
  const g = geometryOfShapes(x.shape, dy.shape, attrs.filterShape, attrs);
  const dw = backend.allocate([...attrs.filterShape], 'float32');
  depthwiseGradFilter(backend, backend.floats(x), backend.floats(dy), dw.values, g);
  return dw.info;
});

/** Depthwise convolution kernels, stock and our own. */
export const depthwiseKernels: readonly KernelConfig[] = [
  depthwise,
  fusedDepthwise,
  backpropInput,
  backpropFilter,
  gradInput,
  gradFilter,
];
