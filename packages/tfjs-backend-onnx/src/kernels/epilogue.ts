import type { OnnxAttribute, OnnxNode } from '../onnx-model.js';

/** Activations that run inside the convolution's or product's own session; onnxruntime's sigmoid is left out, see unary-kernels.ts. */
export type FusedActivation = 'linear' | 'relu' | 'relu6' | 'tanh' | 'elu';

/** What follows a convolution or a product before its result is written: a bias per channel, then an activation. */
export interface Epilogue {
  bias?: Float32Array;
  activation: FusedActivation;
}

const ACTIVATION_OPS: Record<Exclude<FusedActivation, 'linear' | 'relu6'>, string> = {
  relu: 'Relu',
  tanh: 'Tanh',
  elu: 'Elu',
};

/** Bounds between which an activation leaves its input alone, and to which it holds it. */
export const ACTIVATION_BOUNDS = {
  linear: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
  relu: [0, Number.POSITIVE_INFINITY],
  relu6: [0, 6],
} as const;
export type BoundedActivation = keyof typeof ACTIVATION_BOUNDS;

/** Whether a tfjs activation name is one of `FusedActivation`. */
export function isFusedActivation(name: string): name is FusedActivation {
  return name === 'linear' || name === 'relu6' || name in ACTIVATION_OPS;
}

/** The node that applies an activation, none when linear; `Clip` reads its bounds from `zero` and `six`. */
export function activationNodes(activation: FusedActivation, from: string, to: string): OnnxNode[] {
  if (activation === 'linear') return [];
  if (activation === 'relu6') return [{ op: 'Clip', inputs: [from, 'zero', 'six'], outputs: [to] }];
  return [{ op: ACTIVATION_OPS[activation], inputs: [from], outputs: [to] }];
}

/** Constants of `activationNodes`. */
export function activationInitializers(activation: FusedActivation) {
  if (activation !== 'relu6') return [];
  return [
    { name: 'zero', type: 'float32' as const, dims: [], data: Float32Array.of(0) },
    { name: 'six', type: 'float32' as const, dims: [], data: Float32Array.of(6) },
  ];
}

/** The attributes by which onnxruntime's blocked convolution applies an activation, or null where it cannot. */
export function blockedActivation(activation: FusedActivation): Record<string, OnnxAttribute> | null {
  switch (activation) {
    case 'linear':
      return {};
    case 'relu6':
      return { activation: { string: 'Clip' }, activation_params: { floats: [0, 6] } };
    case 'relu':
    case 'tanh':
      return { activation: { string: ACTIVATION_OPS[activation] } };
    default:
      return null;
  }
}
