import {
  backend_util,
  type Conv2DAttrs,
  type Conv2DBackpropFilterAttrs,
  type Conv2DBackpropInputAttrs,
  type FusedConv2DAttrs,
  type KernelConfig,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import type { OnnxBackend } from '../onnx-backend.js';
import { applyActivation } from './apply-activation.js';
import { callCpuKernel, callKernel } from './call-kernel.js';
import { convForward } from './conv-forward.js';
import {
  type ConvGeometry,
  type GradAttributes,
  geometryOfConvInfo,
  geometryOfShapes,
  isEmpty,
} from './conv-geometry.js';
import { convGradFilter, convGradInput } from './conv-gradients.js';
import { isFusedActivation } from './epilogue.js';
import { defineKernel, sizeOf } from './kernel.js';

type Shape4D = [number, number, number, number];

function geometryOf(x: TensorInfo, filterShape: number[], attrs: Conv2DAttrs): ConvGeometry {
  const { strides, pad, dataFormat, dilations, dimRoundingMode } = attrs;
  return geometryOfConvInfo(
    backend_util.computeConv2DInfo(
      x.shape as Shape4D,
      filterShape as Shape4D,
      strides,
      dilations,
      pad,
      dimRoundingMode,
      false,
      backend_util.convertConv2DDataFormat(dataFormat),
    ),
  );
}

function isChannelLast(attrs: { dataFormat: string }): boolean {
  return attrs.dataFormat === 'NHWC';
}

function allocateOutput(backend: OnnxBackend, g: ConvGeometry) {
  return backend.allocate([g.batch, g.outHeight, g.outWidth, g.outChannels], 'float32');
}

const conv2D = defineKernel<{ x: TensorInfo; filter: TensorInfo }, Conv2DAttrs>(
  'Conv2D',
  ({ inputs, attrs, backend }) => {
    const { x, filter } = inputs;
    if (!isChannelLast(attrs)) return callCpuKernel(backend, 'Conv2D', inputs, attrs);
    const g = geometryOf(x, filter.shape, attrs);
    if (isEmpty(g)) return callCpuKernel(backend, 'Conv2D', inputs, attrs);
    const y = allocateOutput(backend, g);
    convForward(backend, backend.floats(x), backend.floats(filter), y.values, g);
    return y.info;
  },
);

const fusedConv2D = defineKernel<
  { x: TensorInfo; filter: TensorInfo; bias?: TensorInfo; preluActivationWeights?: TensorInfo },
  FusedConv2DAttrs
>('FusedConv2D', ({ inputs, attrs, backend }) => {
  const { x, filter, bias, preluActivationWeights } = inputs;
  if (!isChannelLast(attrs)) return callCpuKernel(backend, 'FusedConv2D', inputs, attrs);
  const g = geometryOf(x, filter.shape, attrs);
  if (isEmpty(g)) return callCpuKernel(backend, 'FusedConv2D', inputs, attrs);
  const activation = isFusedActivation(attrs.activation) ? attrs.activation : 'linear';
  // A bias that is not one value per channel (a scalar broadcasts) is added afterwards.
  const ownBias = bias !== undefined && sizeOf(bias.shape) === g.outChannels;
  const fuseAll = bias === undefined || ownBias;
  const y = allocateOutput(backend, g);
  convForward(backend, backend.floats(x), backend.floats(filter), y.values, g, {
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

const conv2DBackpropInput = defineKernel<{ dy: TensorInfo; filter: TensorInfo }, Conv2DBackpropInputAttrs>(
  'Conv2DBackpropInput',
  ({ inputs, attrs, backend }) => {
    const { dy, filter } = inputs;
    if (!isChannelLast(attrs) || sizeOf(dy.shape) === 0) {
      return callCpuKernel(backend, 'Conv2DBackpropInput', inputs, attrs);
    }
    const { inputShape } = attrs;
    const g = geometryOf({ ...dy, shape: inputShape }, filter.shape, { ...attrs, dilations: 1 });
    // conv2dTranspose accepts a dy larger than the convolution's output and reads its corner.
    if (dy.shape[1] !== g.outHeight || dy.shape[2] !== g.outWidth) {
      return callCpuKernel(backend, 'Conv2DBackpropInput', inputs, attrs);
    }
    const dx = backend.allocate([...inputShape], 'float32');
    convGradInput(backend, backend.floats(dy), backend.floats(filter), dx.values, g);
    return dx.info;
  },
);

const conv2DBackpropFilter = defineKernel<{ x: TensorInfo; dy: TensorInfo }, Conv2DBackpropFilterAttrs>(
  'Conv2DBackpropFilter',
  ({ inputs, attrs, backend }) => {
    const { x, dy } = inputs;
    if (!isChannelLast(attrs) || sizeOf(dy.shape) === 0) {
      return callCpuKernel(backend, 'Conv2DBackpropFilter', inputs, attrs);
    }
    const { filterShape } = attrs;
    const g = geometryOf(x, filterShape, { ...attrs, dilations: 1 });
    const dw = backend.allocate([...filterShape], 'float32');
    convGradFilter(backend, backend.floats(x), backend.floats(dy), dw.values, g);
    return dw.info;
  },
);

/** Input gradient with explicit pads and any dilation, which tfjs's own kernel cannot express. */
const gradInput = defineKernel<
  { dy: TensorInfo; filter: TensorInfo },
  GradAttributes & { inputShape: number[] }
>('AuxConv2DGradInput', ({ inputs, attrs, backend }) => {
  const { dy, filter } = inputs;
  const g = geometryOfShapes(attrs.inputShape, dy.shape, filter.shape, attrs);
  const dx = backend.allocate([...attrs.inputShape], 'float32');
  convGradInput(backend, backend.floats(dy), backend.floats(filter), dx.values, g);
  return dx.info;
});

/** Filter gradient with explicit pads and any dilation. */
const gradFilter = defineKernel<
  { x: TensorInfo; dy: TensorInfo },
  GradAttributes & { filterShape: number[] }
>('AuxConv2DGradFilter', ({ inputs, attrs, backend }) => {
  const { x, dy } = inputs;
  const g = geometryOfShapes(x.shape, dy.shape, attrs.filterShape, attrs);
  const dw = backend.allocate([...attrs.filterShape], 'float32');
  convGradFilter(backend, backend.floats(x), backend.floats(dy), dw.values, g);
  return dw.info;
});

/** Convolution kernels, stock and our own. */
export const conv2DKernels: readonly KernelConfig[] = [
  conv2D,
  fusedConv2D,
  conv2DBackpropInput,
  conv2DBackpropFilter,
  gradInput,
  gradFilter,
];
