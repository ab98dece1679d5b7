import * as tf from '@tensorflow/tfjs-core';
import {
  type ConvAttrs,
  type ConvGeometry,
  convGeometry,
  withoutNumericPad,
} from '../gradients/conv-geometry.js';
import {
  composeConv2DFilterGradient,
  composeConv2DInputGradient,
  composeDepthwiseFilterGradient,
  composeDepthwiseInputGradient,
} from '../gradients/conv2d-gradients.js';
import { registerHostKernels } from './host-kernels.js';
import { kernelNames } from './kernel-names.js';
import { wrapKernel } from './patch-convolutions.js';

type Shape4D = [number, number, number, number];

interface OpAttribute {
  name: string;
  type: number;
  value: unknown;
}

/** What tfjs-node's backend offers for running an operation of TensorFlow's by name. */
interface NodeBackend {
  binding: Record<'TF_ATTR_TYPE' | 'TF_ATTR_INT' | 'TF_ATTR_STRING' | 'TF_ATTR_BOOL' | 'TF_FLOAT', number>;
  isUsingGpuDevice: boolean;
  executeSingleOutput(name: string, attributes: OpAttribute[], inputs: tf.TensorInfo[]): tf.Tensor;
}

const bool = ({ binding }: NodeBackend, name: string, value: boolean): OpAttribute => ({
  name,
  type: binding.TF_ATTR_BOOL,
  value,
});

const floatType = ({ binding }: NodeBackend): OpAttribute => ({
  name: 'T',
  type: binding.TF_ATTR_TYPE,
  value: binding.TF_FLOAT,
});

/** Attributes of an NHWC convolution's gradient, with explicit padding. */
function convAttributes(backend: NodeBackend, { strides, pads }: ConvGeometry): OpAttribute[] {
  const { TF_ATTR_INT, TF_ATTR_STRING } = backend.binding;
  return [
    floatType(backend),
    { name: 'strides', type: TF_ATTR_INT, value: [1, ...strides, 1] },
    { name: 'padding', type: TF_ATTR_STRING, value: 'EXPLICIT' },
    { name: 'explicit_paddings', type: TF_ATTR_INT, value: [0, 0, ...pads, 0, 0] },
    { name: 'data_format', type: TF_ATTR_STRING, value: 'NHWC' },
    { name: 'dilations', type: TF_ATTR_INT, value: [1, 1, 1, 1] },
  ];
}

/**
 * Runs one of TensorFlow's four operations for gradients of convolutions; `sizes` is the shape of its result. Where
 * oneDNN has no implementation for the shapes, which nothing tells beforehand, `compose` takes over.
 */
function runGradientOp(
  backend: NodeBackend,
  op: string,
  sizes: number[],
  geometry: ConvGeometry,
  inputsWith: (sizes: tf.Tensor) => tf.TensorInfo[],
  compose: () => tf.Tensor4D,
): tf.Tensor4D {
  const shape = tf.tensor1d(sizes, 'int32');
  try {
    const attributes = convAttributes(backend, geometry);
    return backend.executeSingleOutput(op, attributes, inputsWith(shape)) as tf.Tensor4D;
  } catch (error) {
    if (/could not create a primitive/.test((error as Error).message)) return compose();
    throw error;
  } finally {
    shape.dispose();
  }
}

/** What TensorFlow's kernels on the CPU take: no dilation, no empty maps, strides alike, pads within the taps' reach. */
function suitsTensorFlow(geometry: ConvGeometry, filterShape: readonly number[], size: number): boolean {
  const [top, bottom, left, right] = geometry.pads;
  return (
    size > 0 &&
    geometry.dilations.every((dilation) => dilation === 1) &&
    geometry.strides[0] === geometry.strides[1] &&
    Math.max(top, bottom) < filterShape[0] &&
    Math.max(left, right) < filterShape[1]
  );
}

/**
 * Kernels for libtensorflow: its own gradients of convolutions where they apply (dilation 1), the exact adjoint of
 * resizing, numeric and explicit padding for `conv2dTranspose`, and, on the CPU, the affinity fusion of the host kernels.
 */
export function prepareNode(): void {
  const register = (
    kernelName: string,
    kernel: (
      backend: NodeBackend,
      inputs: Record<string, tf.Tensor4D>,
      attrs: ConvGeometry & Record<'inputShape' | 'filterShape', Shape4D>,
    ) => tf.Tensor,
  ) =>
    tf.registerKernel({
      kernelName,
      backendName: 'tensorflow',
      kernelFunc: ({ inputs, attrs, backend }) =>
        kernel(backend as NodeBackend, inputs as Record<string, tf.Tensor4D>, attrs as never),
    });
  const registerConvolution = (
    names: { input: string; filter: string },
    ops: { input: string; filter: string },
    composeInput: typeof composeConv2DInputGradient,
    composeFilter: typeof composeConv2DFilterGradient,
  ) => {
    register(names.input, (backend, { dy, filter }, { inputShape, ...geometry }) => {
      const compose = () => composeInput(dy, filter, inputShape, geometry);
      const inputs = (sizes: tf.Tensor) => [sizes, filter, dy];
      return suitsTensorFlow(geometry, filter.shape, tf.util.sizeFromShape(inputShape) * dy.size)
        ? runGradientOp(backend, ops.input, inputShape, geometry, inputs, compose)
        : compose();
    });
    register(names.filter, (backend, { x, dy }, { filterShape, ...geometry }) => {
      const compose = () => composeFilter(x, dy, filterShape, geometry);
      const inputs = (sizes: tf.Tensor) => [x, sizes, dy];
      return suitsTensorFlow(geometry, filterShape, x.size * dy.size)
        ? runGradientOp(backend, ops.filter, filterShape, geometry, inputs, compose)
        : compose();
    });
  };
  registerConvolution(
    { input: kernelNames.convInputGradient, filter: kernelNames.convFilterGradient },
    { input: 'Conv2DBackpropInput', filter: 'Conv2DBackpropFilter' },
    composeConv2DInputGradient,
    composeConv2DFilterGradient,
  );
  registerConvolution(
    { input: kernelNames.depthwiseInputGradient, filter: kernelNames.depthwiseFilterGradient },
    { input: 'DepthwiseConv2dNativeBackpropInput', filter: 'DepthwiseConv2dNativeBackpropFilter' },
    composeDepthwiseInputGradient,
    composeDepthwiseFilterGradient,
  );
  register(kernelNames.resizeBilinearGradient, (backend, { dy }, attrs) => {
    const { inputShape, alignCorners, halfPixelCenters } = attrs as unknown as {
      inputShape: Shape4D;
      alignCorners: boolean;
      halfPixelCenters: boolean;
    };
    // TensorFlow reads the shape of this one only; tfjs-node's own kernel forgets about half-pixel centres.
    const like = tf.zeros(inputShape);
    try {
      const flags = [
        bool(backend, 'align_corners', alignCorners),
        bool(backend, 'half_pixel_centers', halfPixelCenters),
      ];
      return backend.executeSingleOutput('ResizeBilinearGrad', [floatType(backend), ...flags], [dy, like]);
    } finally {
      like.dispose();
    }
  });
  // The kernel of conv2dTranspose, which here refuses any padding but 'same' and 'valid', and fails for some shapes.
  wrapKernel('Conv2DBackpropInput', 'tensorflow', (original, params) => {
    const attrs = withoutNumericPad(params.attrs as unknown as ConvAttrs & { inputShape: Shape4D });
    if (attrs.dataFormat === 'NCHW') return original(params);
    const { dy, filter } = params.inputs as Record<string, tf.Tensor4D>;
    const geometry = convGeometry(attrs.inputShape, filter.shape, { ...attrs, dilations: 1 });
    return tf.engine().runKernel(kernelNames.convInputGradient, { dy, filter }, {
      ...geometry,
      inputShape: attrs.inputShape,
    } as never) as tf.Tensor;
  });
  const backend = tf.findBackend('tensorflow') as unknown as NodeBackend | null;
  if (backend != null && !backend.isUsingGpuDevice) registerHostKernels('tensorflow');
}
