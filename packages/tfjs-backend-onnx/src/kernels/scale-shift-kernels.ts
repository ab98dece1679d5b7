import type { FusedBatchNormAttrs, KernelConfig, TensorInfo } from '@tensorflow/tfjs-core';
import type { OnnxBackend } from '../onnx-backend.js';
import { runInChunks } from '../simd-workspace.js';
import { callCpuKernel } from './call-kernel.js';
import { ACTIVATION_BOUNDS, type BoundedActivation } from './epilogue.js';
import { defineKernel, sizeOf } from './kernel.js';

/** activation(x * scale + shift) per channel, in one pass. */
function scaleShift(
  backend: OnnxBackend,
  x: TensorInfo,
  scale: Float32Array,
  shift: Float32Array,
  activation: BoundedActivation,
): TensorInfo {
  const channels = scale.length;
  const out = backend.allocate(x.shape, 'float32');
  const [low, high] = ACTIVATION_BOUNDS[activation];
  runInChunks(
    [backend.floats(x)],
    [scale, shift],
    channels,
    out.values,
    (kernels, [values, scales, shifts], rows) =>
      kernels.scaleShift(values, scales, shifts, rows, channels, low, high),
  );
  return out.info;
}

const auxScaleShift = defineKernel<
  { x: TensorInfo; scale: TensorInfo; shift: TensorInfo },
  { activation?: BoundedActivation }
>('AuxScaleShift', ({ inputs, attrs, backend }) =>
  scaleShift(
    backend,
    inputs.x,
    backend.floats(inputs.scale),
    backend.floats(inputs.shift),
    attrs.activation ?? 'linear',
  ),
);

const fusedBatchNorm = defineKernel<
  { x: TensorInfo; mean: TensorInfo; variance: TensorInfo; offset?: TensorInfo; scale?: TensorInfo },
  FusedBatchNormAttrs
>('FusedBatchNorm', ({ inputs, attrs, backend }) => {
  const { x, mean, variance, offset, scale } = inputs;
  const channels = x.shape[x.shape.length - 1];
  const perChannel = [mean, variance, offset, scale].every(
    (t) => t === undefined || sizeOf(t.shape) === channels,
  );
  if (!perChannel || sizeOf(x.shape) === 0) return callCpuKernel(backend, 'FusedBatchNorm', inputs, attrs);
  const means = backend.floats(mean);
  const variances = backend.floats(variance);
  const scales = scale && backend.floats(scale);
  const offsets = offset && backend.floats(offset);
  const factor = new Float32Array(channels);
  const constant = new Float32Array(channels);
  for (let c = 0; c < channels; c++) {
    const f = (scales ? scales[c] : 1) / Math.sqrt(variances[c] + attrs.varianceEpsilon);
    factor[c] = f;
    constant[c] = (offsets ? offsets[c] : 0) - means[c] * f;
  }
  return scaleShift(backend, x, factor, constant, 'linear');
});

/** Outputs of an activation from which on its gradient is zero. */
const CEILING = { relu: Number.POSITIVE_INFINITY, relu6: 6 } as const;

/** dy where the activation, whose output is y, let its input through, else 0. */
const activationGrad = defineKernel<{ dy: TensorInfo; y: TensorInfo }, { activation: 'relu' | 'relu6' }>(
  'AuxActivationGrad',
  ({ inputs, attrs, backend }) => {
    const out = backend.allocate(inputs.dy.shape, 'float32');
    const high = CEILING[attrs.activation];
    runInChunks(
      [backend.floats(inputs.dy), backend.floats(inputs.y)],
      [],
      1,
      out.values,
      (kernels, [dy, y], count) => kernels.maskGradient(dy, y, count, high),
    );
    return out.info;
  },
);

/** Gradient of `AuxScaleShift` with respect to x: dy * scale where the activation with output y lets it through. */
const scaleShiftGrad = defineKernel<
  { dy: TensorInfo; scale: TensorInfo; y?: TensorInfo },
  { activation?: BoundedActivation }
>('AuxScaleShiftGrad', ({ inputs, attrs, backend }) => {
  const { dy, scale, y } = inputs;
  const activation = attrs.activation ?? 'linear';
  const channels = sizeOf(scale.shape);
  const out = backend.allocate(dy.shape, 'float32');
  const scales = backend.floats(scale);
  if (activation === 'linear' || y === undefined) {
    runInChunks(
      [backend.floats(dy)],
      [scales, new Float32Array(channels)],
      channels,
      out.values,
      (kernels, [values, factors, zeros], rows) =>
        kernels.scaleShift(values, factors, zeros, rows, channels, ...ACTIVATION_BOUNDS.linear),
    );
  } else {
    runInChunks(
      [backend.floats(dy), backend.floats(y)],
      [scales],
      channels,
      out.values,
      (kernels, [values, outputs, factors], rows) =>
        kernels.maskedScale(values, outputs, factors, rows, channels, CEILING[activation]),
    );
  }
  return out.info;
});

/** Scale and shift per channel, batch norm in its terms, and the mask of ReLU's gradient. */
export const scaleShiftKernels: readonly KernelConfig[] = [
  auxScaleShift,
  scaleShiftGrad,
  fusedBatchNorm,
  activationGrad,
];
