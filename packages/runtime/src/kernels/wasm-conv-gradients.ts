import type * as tf from '@tensorflow/tfjs-core';
import type { ConvGeometry } from '../gradients/conv-geometry.js';
import { floatsAt, offsetOf, simdOf, type WasmBackend, withScratch, withView } from './wasm-heap.js';
import { multiplyViews } from './wasm-mat-mul.js';

type Shape4D = [number, number, number, number];

/**
 * Filter gradient of a convolution on wasm: the input once as zero-padded channel-first stride phases, then for each tap
 * one window and one product [C, N*OH*OW] x [N*OH*OW, K], all with the same packed dy, written where it belongs.
 */
export function wasmConv2DFilterGradient(
  backend: WasmBackend,
  x: tf.TensorInfo,
  dy: tf.TensorInfo,
  filterShape: Shape4D,
  { strides: [sh, sw], pads: [top, , left], dilations: [dh, dw] }: ConvGeometry,
): tf.TensorInfo {
  const [kh, kw, c, k] = filterShape;
  const [n, h, w] = x.shape;
  const [, oh, ow] = dy.shape;
  const positions = n * oh * ow;
  const out = backend.makeOutput(filterShape, 'float32');
  const outOffset = offsetOf(backend, out);
  if (positions === 0) {
    floatsAt(backend, outOffset, kh * kw * c * k).fill(0);
    return out;
  }
  const simd = simdOf(backend);
  // Only the phases that some tap reads are stored, and of each only as far as the last tap reaches.
  const mapH = Math.ceil(((kh - 1) * dh + 1 + (oh - 1) * sh) / sh);
  const mapW = Math.ceil(((kw - 1) * dw + 1 + (ow - 1) * sw) / sw);
  const plane = n * mapH * mapW;
  const wholeMaps = kh === 1 && kw === 1 && sh === 1 && sw === 1;
  withScratch(backend, sh * sw * c * plane, (maps) => {
    floatsAt(backend, maps, sh * sw * c * plane).fill(0);
    simd.packPhases(offsetOf(backend, x), maps, n, h, w, c, sh, sw, top, left, mapH, mapW);
    withScratch(backend, wholeMaps ? 0 : c * positions, (window) =>
      withView(backend, offsetOf(backend, dy), positions * k, (dyView) => {
        for (let r = 0; r < kh; r++) {
          for (let s = 0; s < kw; s++) {
            const phase = ((r * dh) % sh) * sw + ((s * dw) % sw);
            const start =
              maps + (phase * c * plane + Math.floor((r * dh) / sh) * mapW + Math.floor((s * dw) / sw)) * 4;
            if (!wholeMaps) simd.copyWindows(start, window, c * n, mapH * mapW, mapW, oh, ow);
            withView(backend, wholeMaps ? maps : window, c * positions, (tap) =>
              withView(backend, outOffset + (r * kw + s) * c * k * 4, c * k, (target) =>
                multiplyViews(backend, {
                  a: tap,
                  b: dyView,
                  out: target,
                  rows: c,
                  inner: positions,
                  columns: k,
                }),
              ),
            );
          }
        }
      }),
    );
  });
  return out;
}

/** [kh,kw,C,K] -> [kh,kw,K,C], rotated by 180 degrees if `rotate`. */
export function wasmTransposeFilter(
  backend: WasmBackend,
  filter: tf.TensorInfo,
  rotate: boolean,
): tf.TensorInfo {
  const [kh, kw, c, k] = filter.shape;
  const out = backend.makeOutput([kh, kw, k, c], 'float32');
  const simd = simdOf(backend);
  const from = offsetOf(backend, filter);
  const to = offsetOf(backend, out);
  const taps = kh * kw;
  for (let tap = 0; tap < taps; tap++) {
    simd.transpose(from + tap * c * k * 4, to + (rotate ? taps - 1 - tap : tap) * c * k * 4, c, k, c);
  }
  return out;
}

const geometryNumbers = ({ strides, pads, dilations }: ConvGeometry) => [
  strides[0],
  strides[1],
  pads[0],
  pads[2],
  dilations[0],
  dilations[1],
];

/** Filter gradient of a depthwise convolution with multiplier 1. */
export function wasmDepthwiseFilterGradient(
  backend: WasmBackend,
  x: tf.TensorInfo,
  dy: tf.TensorInfo,
  filterShape: Shape4D,
  geometry: ConvGeometry,
): tf.TensorInfo {
  const out = backend.makeOutput(filterShape, 'float32');
  const [n, h, w, c] = x.shape;
  const [, oh, ow] = dy.shape;
  const [kh, kw] = filterShape;
  const numbers = geometryNumbers(geometry);
  simdOf(backend).depthwiseFilterGradient(
    ...[
      offsetOf(backend, x),
      offsetOf(backend, dy),
      offsetOf(backend, out),
      n,
      h,
      w,
      c,
      oh,
      ow,
      kh,
      kw,
      ...numbers,
    ],
  );
  return out;
}

/** Input gradient of a depthwise convolution with multiplier 1. */
export function wasmDepthwiseInputGradient(
  backend: WasmBackend,
  dy: tf.TensorInfo,
  filter: tf.TensorInfo,
  inputShape: Shape4D,
  geometry: ConvGeometry,
): tf.TensorInfo {
  const out = backend.makeOutput(inputShape, 'float32');
  const [n, h, w, c] = inputShape;
  const [, oh, ow] = dy.shape;
  const [kh, kw] = filter.shape;
  const numbers = geometryNumbers(geometry);
  simdOf(backend).depthwiseInputGradient(
    ...[offsetOf(backend, dy), offsetOf(backend, filter), offsetOf(backend, out), n, h, w, c, oh, ow, kh, kw],
    ...numbers,
  );
  return out;
}

/** Integer and float arrays one after another in scratch memory; returns the byte offset of each. */
export function placeArrays(
  backend: WasmBackend,
  offset: number,
  arrays: (Int32Array | Float32Array)[],
): number[] {
  let at = offset;
  return arrays.map((array) => {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    backend.wasm.HEAPU8.set(bytes, at);
    const start = at;
    at += array.byteLength;
    return start;
  });
}
