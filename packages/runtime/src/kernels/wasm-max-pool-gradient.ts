import * as tf from '@tensorflow/tfjs-core';
import { floatsAt, offsetOf, type WasmBackend } from './wasm-heap.js';

/** Attributes of tfjs's MaxPoolGrad kernel. */
export interface MaxPoolAttrs {
  filterSize: number | [number, number];
  strides: number | [number, number];
  pad: 'valid' | 'same' | number;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** Gradient of max pooling; tfjs's own kernel loses windows that reach over the lower or right border. */
export function wasmMaxPoolGradient(
  backend: WasmBackend,
  dy: tf.TensorInfo,
  input: tf.TensorInfo,
  { filterSize, strides, pad, dimRoundingMode }: MaxPoolAttrs,
): tf.TensorInfo {
  const shape = input.shape as [number, number, number, number];
  const info = tf.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
  const out = backend.makeOutput(shape, 'float32');
  const [n, h, w, c] = shape;
  const { outHeight, outWidth, strideHeight, strideWidth, filterHeight, filterWidth, padInfo } = info;
  const x = floatsAt(backend, offsetOf(backend, input), n * h * w * c);
  const upstream = floatsAt(backend, offsetOf(backend, dy), n * outHeight * outWidth * c);
  const dx = floatsAt(backend, offsetOf(backend, out), n * h * w * c).fill(0);
  let at = 0;
  for (let image = 0; image < n; image++)
    for (let i = 0; i < outHeight; i++)
      for (let j = 0; j < outWidth; j++) {
        const top = i * strideHeight - padInfo.top;
        const left = j * strideWidth - padInfo.left;
        const bottom = Math.min(h, top + filterHeight);
        const right = Math.min(w, left + filterWidth);
        for (let a = 0; a < c; a++, at++) {
          let best = -1;
          for (let u = Math.max(0, top); u < bottom; u++)
            for (let v = Math.max(0, left); v < right; v++) {
              const candidate = ((image * h + u) * w + v) * c + a;
              if (best < 0 || x[candidate] > x[best]) best = candidate;
            }
          if (best >= 0) dx[best] += upstream[at];
        }
      }
  return out;
}
