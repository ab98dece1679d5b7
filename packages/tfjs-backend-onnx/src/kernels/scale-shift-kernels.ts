import type { FusedBatchNormAttrs, KernelConfig, TensorInfo } from '@tensorflow/tfjs-core';
import type { OnnxBackend } from '../onnx-backend.js';
import { floatTensor } from '../ort-tensor.js';
import { callCpuKernel } from './call-kernel.js';
import { activationInitializers, activationNodes, type FusedActivation } from './epilogue.js';
import { defineKernel, sizeOf } from './kernel.js';

/** activation(x * scale + shift) per channel, in one session. */
function scaleShift(
  backend: OnnxBackend,
  x: TensorInfo,
  scale: Float32Array,
  shift: Float32Array,
  activation: FusedActivation,
): TensorInfo {
  const channels = scale.length;
  const out = backend.allocate(x.shape, 'float32');
  const dims = [out.values.length / channels, channels];
  backend.runGraph(
    `scale-shift/${activation}`,
    () => ({
      nodes: [
        { op: 'Mul', inputs: ['x', 'scale'], outputs: ['scaled'] },
        { op: 'Add', inputs: ['scaled', 'shift'], outputs: [activation === 'linear' ? 'y' : 'shifted'] },
        ...activationNodes(activation, 'shifted', 'y'),
      ],
      inputs: [
        { name: 'x', type: 'float32', rank: 2 },
        { name: 'scale', type: 'float32', rank: 1 },
        { name: 'shift', type: 'float32', rank: 1 },
      ],
      outputs: [{ name: 'y', type: 'float32', rank: 2 }],
      initializers: activationInitializers(activation),
    }),
    {
      x: floatTensor(backend.floats(x), dims),
      scale: floatTensor(scale, [channels]),
      shift: floatTensor(shift, [channels]),
    },
    { y: floatTensor(out.values, dims) },
  );
  return out.info;
}

const auxScaleShift = defineKernel<
  { x: TensorInfo; scale: TensorInfo; shift: TensorInfo },
  { activation?: FusedActivation }
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

/** The bits of 6 as a float. */
const SIX_BITS = 0x40c00000;

/**
 * dy where the activation, whose output is y, let its input through, else 0; one pass.
 *
 * Integer arithmetic on the bits of y instead of comparisons: random signs defeat branch prediction.
 */
const activationGrad = defineKernel<{ dy: TensorInfo; y: TensorInfo }, { activation: 'relu' | 'relu6' }>(
  'AuxActivationGrad',
  ({ inputs, attrs, backend }) => {
    const dy = backend.floats(inputs.dy);
    const y = backend.floats(inputs.y);
    const out = backend.allocate(inputs.dy.shape, 'float32');
    const dyBits = new Int32Array(dy.buffer, dy.byteOffset, dy.length);
    const yBits = new Int32Array(y.buffer, y.byteOffset, y.length);
    const dxBits = new Int32Array(out.values.buffer);
    if (attrs.activation === 'relu6') {
      for (let i = 0; i < dxBits.length; i++) {
        const v = yBits[i];
        dxBits[i] = dyBits[i] & ((-v & ~v & (v - SIX_BITS)) >> 31);
      }
    } else {
      for (let i = 0; i < dxBits.length; i++) {
        const v = yBits[i];
        dxBits[i] = dyBits[i] & ((-v & ~v) >> 31);
      }
    }
    return out.info;
  },
);

/** Scale and shift per channel, batch norm in its terms, and the mask of ReLU's gradient. */
export const scaleShiftKernels: readonly KernelConfig[] = [auxScaleShift, fusedBatchNorm, activationGrad];
