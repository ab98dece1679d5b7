import {
  type CastAttrs,
  type FillAttrs,
  type KernelConfig,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { callCpuKernel } from './call-kernel.js';
import { defineKernel } from './kernel.js';

const fill = defineKernel<object, FillAttrs>('Fill', ({ inputs, attrs, backend }) => {
  const { shape, value } = attrs;
  const dtype = attrs.dtype ?? util.inferDtype(value);
  if (dtype !== 'float32' || typeof value !== 'number') return callCpuKernel(backend, 'Fill', inputs, attrs);
  const out = backend.allocate(shape, 'float32');
  out.values.fill(value);
  return out.info;
});

const zerosLike = defineKernel<{ x: TensorInfo }, object>('ZerosLike', ({ inputs, attrs, backend }) => {
  const { x } = inputs;
  if (x.dtype !== 'float32') return callCpuKernel(backend, 'ZerosLike', inputs, attrs);
  return backend.allocate(x.shape, 'float32', true).info;
});

const onesLike = defineKernel<{ x: TensorInfo }, object>('OnesLike', ({ inputs, attrs, backend }) => {
  const { x } = inputs;
  if (x.dtype !== 'float32') return callCpuKernel(backend, 'OnesLike', inputs, attrs);
  const out = backend.allocate(x.shape, 'float32');
  out.values.fill(1);
  return out.info;
});

/** Integers and booleans to float32 in one typed copy; every other conversion as the cpu backend does it. */
const cast = defineKernel<{ x: TensorInfo }, CastAttrs>('Cast', ({ inputs, attrs, backend }) => {
  const { x } = inputs;
  if (attrs.dtype !== 'float32' || (x.dtype !== 'int32' && x.dtype !== 'bool')) {
    return callCpuKernel(backend, 'Cast', inputs, attrs);
  }
  const out = backend.allocate(x.shape, 'float32');
  out.values.set(backend.numbers(x));
  return out.info;
});

/** Constants and type conversion. */
export const fillKernels: readonly KernelConfig[] = [fill, zerosLike, onesLike, cast];
