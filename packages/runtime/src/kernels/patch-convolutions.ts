import * as tf from '@tensorflow/tfjs-core';
import { type ConvAttrs, withoutNumericPad } from '../gradients/conv-geometry.js';
import { rememberFusedAttributes } from '../gradients/fused-attributes.js';

/** Replaces a registered kernel by one that calls it; returns false if there is none. */
export function wrapKernel(
  kernelName: string,
  backendName: string,
  wrap: (original: tf.KernelFunc, params: Parameters<tf.KernelFunc>[0]) => ReturnType<tf.KernelFunc>,
): boolean {
  const config = tf.getKernel(kernelName, backendName);
  if (config == null) return false;
  tf.unregisterKernel(kernelName, backendName);
  tf.registerKernel({ ...config, kernelFunc: (params) => wrap(config.kernelFunc, params) });
  return true;
}

/**
 * Makes the four convolution kernels of a backend safe: numeric padding becomes explicit (with a non-square kernel it
 * writes outside the wasm heap's buffers), and fused calls leave their attributes behind for the gradient.
 */
export function patchConvolutions(backendName: string): void {
  for (const kernelName of ['Conv2D', 'DepthwiseConv2dNative', 'FusedConv2D', 'FusedDepthwiseConv2D']) {
    const fused = kernelName.startsWith('Fused');
    wrapKernel(kernelName, backendName, (original, params) => {
      const attrs = withoutNumericPad(params.attrs as unknown as ConvAttrs);
      const output = original({ ...params, attrs: attrs as never });
      if (fused) rememberFusedAttributes(output as tf.TensorInfo, attrs);
      return output;
    });
  }
}
