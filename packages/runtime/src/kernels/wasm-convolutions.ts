import * as tf from '@tensorflow/tfjs-core';
import { RuntimeError } from '../errors.js';
import { type ConvAttrs, explicitPads, withoutNumericPad } from '../gradients/conv-geometry.js';
import { rememberFusedAttributes } from '../gradients/fused-attributes.js';
import { wrapKernel } from './patch-convolutions.js';
import { callCpuKernel } from './wasm-cpu-kernels.js';
import type { WasmBackend } from './wasm-heap.js';

type Shape4D = [number, number, number, number];

/**
 * The same convolution with the padding that its last windows reach, and its output's shape.
 *
 * For 'same' tfjs leaves the padding to XNNPACK, which writes nothing where windows do not cover the input; and the two
 * count windows differently where an output size is rounded up.
 */
function withExactPads(x: tf.TensorInfo, filter: tf.TensorInfo, attrs: ConvAttrs, depthwise: boolean) {
  const { strides, pad, dilations, dimRoundingMode } = withoutNumericPad(attrs);
  const shape = x.shape as Shape4D;
  const info = tf.backend_util.computeConv2DInfo(
    ...([shape, filter.shape as Shape4D, strides, dilations ?? 1] as const),
    ...([pad as 'same', dimRoundingMode, depthwise] as const),
  );
  if (info.outShape.some((size) => size < 0)) {
    throw new RuntimeError(
      'bad-shape',
      `Expected a filter that fits into its padded input, got a [${filter.shape}] filter for [${shape}], which leaves [${info.outShape}].`,
      { input: shape, filter: filter.shape, output: info.outShape },
    );
  }
  const { top, left } = info.padInfo;
  const after = (out: number, stride: number, window: number, size: number, before: number) =>
    Math.max(0, (out - 1) * stride + window - size - before);
  const bottom = after(info.outHeight, info.strideHeight, info.effectiveFilterHeight, shape[1], top);
  const right = after(info.outWidth, info.strideWidth, info.effectiveFilterWidth, shape[2], left);
  const exact = { ...attrs, pad: explicitPads([top, bottom, left, right]), dimRoundingMode: undefined };
  return { exact, outShape: info.outShape };
}

/** Makes the four convolutions right for 'same' and rounded sizes, and for tensors without elements. */
export function repairConvolutions(): void {
  for (const kernelName of ['Conv2D', 'DepthwiseConv2dNative', 'FusedConv2D', 'FusedDepthwiseConv2D']) {
    wrapKernel(kernelName, 'wasm', (original, params) => {
      const { x, filter, bias } = params.inputs as unknown as Record<string, tf.TensorInfo>;
      const attrs = params.attrs as unknown as ConvAttrs;
      if (attrs.dataFormat === 'NCHW') return original(params);
      const { exact, outShape } = withExactPads(x, filter, attrs, kernelName.includes('Depthwise'));
      const isOutEmpty = outShape.includes(0);
      // tfjs-wasm refuses biases of other ranks.
      const isBiasOdd = bias != null && bias.shape.length !== 1;
      if (!isOutEmpty && !x.shape.includes(0) && !isBiasOdd)
        return original({ ...params, attrs: exact as never });
      // XNNPACK writes outside the heap for an empty output.
      const backend = params.backend as unknown as WasmBackend;
      const output = isOutEmpty
        ? backend.makeOutput(outShape, x.dtype)
        : callCpuKernel(backend, kernelName, params.inputs as never, { ...params.attrs, ...exact });
      if (kernelName.startsWith('Fused')) rememberFusedAttributes(output as tf.TensorInfo, exact);
      return output;
    });
  }
}
