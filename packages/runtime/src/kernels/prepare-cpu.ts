import * as tf from '@tensorflow/tfjs-core';
import type { ConvGeometry } from '../gradients/conv-geometry.js';
import {
  cpuConv2DFilterGradient,
  cpuConv2DInputGradient,
  cpuDepthwiseFilterGradient,
  cpuDepthwiseInputGradient,
} from './cpu-conv-gradients.js';
import { registerHostKernels } from './host-kernels.js';
import { kernelNames } from './kernel-names.js';

interface CpuBackend {
  readSync(dataId: object): Float32Array;
  write(values: Float32Array, shape: readonly number[], dtype: 'float32'): object;
}

type Gradient = (
  extents: Parameters<typeof cpuConv2DInputGradient>[0],
  a: Float32Array,
  b: Float32Array,
) => Float32Array;

/** Kernels of our own for the cpu backend: plain loops, where a composition would be slower still. */
export function prepareCpu(): void {
  const register = (kernelName: string, gradient: Gradient, ofInput: boolean) => {
    tf.registerKernel({
      kernelName,
      backendName: 'cpu',
      kernelFunc: ({ inputs, attrs, backend }) => {
        const cpu = backend as CpuBackend;
        const { x, dy, filter } = inputs as Record<string, tf.TensorInfo>;
        const geometry = attrs as unknown as ConvGeometry & { inputShape: number[]; filterShape: number[] };
        const extents = {
          ...{ strides: geometry.strides, pads: geometry.pads, dilations: geometry.dilations },
          input: ofInput ? geometry.inputShape : x.shape,
          filter: ofInput ? filter.shape : geometry.filterShape,
          output: dy.shape,
        };
        const values = ofInput
          ? gradient(extents, cpu.readSync(dy.dataId), cpu.readSync(filter.dataId))
          : gradient(extents, cpu.readSync(x.dataId), cpu.readSync(dy.dataId));
        const shape = ofInput ? extents.input : extents.filter;
        return { dataId: cpu.write(values, shape, 'float32'), shape: [...shape], dtype: 'float32' };
      },
    });
  };
  register(kernelNames.convInputGradient, cpuConv2DInputGradient, true);
  register(kernelNames.convFilterGradient, cpuConv2DFilterGradient, false);
  register(kernelNames.depthwiseInputGradient, cpuDepthwiseInputGradient, true);
  register(kernelNames.depthwiseFilterGradient, cpuDepthwiseFilterGradient, false);
  registerHostKernels('cpu');
}
