import {
  type AvgPoolAttrs,
  backend_util,
  type KernelConfig,
  type MaxPoolAttrs,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { floatTensor } from '../ort-tensor.js';
import { callCpuKernel } from './call-kernel.js';
import { defineKernel, sizeOf } from './kernel.js';

/** Pooling between two transposes; averages leave the padding out, as TensorFlow's do. */
function poolKernel(name: 'MaxPool' | 'AvgPool', op: 'MaxPool' | 'AveragePool'): KernelConfig {
  return defineKernel<{ x: TensorInfo }, MaxPoolAttrs & AvgPoolAttrs>(name, ({ inputs, attrs, backend }) => {
    const { x } = inputs;
    if (x.dtype !== 'float32' || sizeOf(x.shape) < backend.smallTensor || sizeOf(x.shape) === 0) {
      return callCpuKernel(backend, name, inputs, attrs);
    }
    const info = backend_util.computePool2DInfo(
      x.shape as [number, number, number, number],
      attrs.filterSize,
      attrs.strides,
      1,
      attrs.pad,
      attrs.dimRoundingMode,
    );
    const { top, bottom, left, right } = info.padInfo;
    // onnxruntime rounds extents down and wants windows that reach into the image.
    const rows = Math.floor((info.inHeight + top + bottom - info.filterHeight) / info.strideHeight) + 1;
    const columns = Math.floor((info.inWidth + left + right - info.filterWidth) / info.strideWidth) + 1;
    const reaches = Math.max(top, bottom) < info.filterHeight && Math.max(left, right) < info.filterWidth;
    if (!reaches || rows !== info.outHeight || columns !== info.outWidth) {
      return callCpuKernel(backend, name, inputs, attrs);
    }
    const attributes = {
      kernel_shape: { ints: [info.filterHeight, info.filterWidth] },
      strides: { ints: [info.strideHeight, info.strideWidth] },
      pads: { ints: [top, left, bottom, right] },
    };
    const out = backend.allocate(info.outShape, 'float32');
    backend.runGraph(
      `pool/${op}/${JSON.stringify(attributes)}`,
      () => ({
        nodes: [
          { op: 'Transpose', inputs: ['x'], outputs: ['xt'], attributes: { perm: { ints: [0, 3, 1, 2] } } },
          { op, inputs: ['xt'], outputs: ['yt'], attributes },
          { op: 'Transpose', inputs: ['yt'], outputs: ['y'], attributes: { perm: { ints: [0, 2, 3, 1] } } },
        ],
        inputs: [{ name: 'x', type: 'float32', rank: 4 }],
        outputs: [{ name: 'y', type: 'float32', rank: 4 }],
      }),
      { x: floatTensor(backend.floats(x), x.shape) },
      { y: floatTensor(out.values, info.outShape) },
    );
    return out.info;
  });
}

/** Two-dimensional pooling. */
export const poolKernels: readonly KernelConfig[] = [
  poolKernel('MaxPool', 'MaxPool'),
  poolKernel('AvgPool', 'AveragePool'),
];
