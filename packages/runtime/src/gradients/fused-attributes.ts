import type * as tf from '@tensorflow/tfjs-core';
import { RuntimeError } from '../errors.js';
import type { ConvAttrs } from './conv-geometry.js';

/** Attributes of tfjs's FusedConv2D and FusedDepthwiseConv2D kernels. */
export interface FusedConvAttrs extends ConvAttrs {
  activation?: string;
}

/** The data id object that a backend gives each buffer; it lives as long as the buffer does. */
const attributesByData = new WeakMap<object, FusedConvAttrs>();

/** Remembers with which attributes a fused kernel made an output. */
export function rememberFusedAttributes(output: tf.TensorInfo, attrs: FusedConvAttrs): void {
  attributesByData.set(output.dataId, attrs);
}

/** The attributes with which a fused kernel made this tensor; throws RuntimeError `unprepared-backend`. */
export function fusedAttributesOf(output: tf.Tensor): FusedConvAttrs {
  const attrs = attributesByData.get(output.dataId);
  if (attrs == null) {
    throw new RuntimeError(
      'unprepared-backend',
      'Expected this fused convolution to have run on a prepared backend, but its kernel was registered later; ' +
        'call prepareRuntime() after the backend is loaded, or choose it with useBackend().',
      { shape: output.shape },
    );
  }
  return attrs;
}
