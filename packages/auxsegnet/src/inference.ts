import type { RgbImage, ScoreMap } from '@auxseg/formats';
import { resizeBilinear as resizePixels } from '@auxseg/formats';
import { resizeBilinear } from '@auxseg/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { AuxSegNetError } from './auxsegnet-error.js';
import { type AuxSegNet, runNetwork } from './network.js';
import type { NetworkConfig } from './network-config.js';

/** Size that an image has when its longer side is `longSidePx` (0 keeps it), each side at least 1. */
export function workingSize(
  image: { width: number; height: number },
  longSidePx: number,
  scale = 1,
): { width: number; height: number } {
  const factor = scale * (longSidePx > 0 ? longSidePx / Math.max(image.width, image.height) : 1);
  return {
    width: Math.max(1, Math.round(image.width * factor)),
    height: Math.max(1, Math.round(image.height * factor)),
  };
}

/** An image as network input [1,h,w,3]: resized bilinearly without antialiasing, normalised. The caller disposes it. */
export function imageToTensor(
  image: RgbImage,
  size: { width: number; height: number },
  normalization: NetworkConfig['normalization'],
): tf.Tensor4D {
  const pixels = resizePixels(image.data, { width: image.width, height: image.height, channels: 3 }, size);
  const [mean, std] =
    normalization === 'imagenet'
      ? [
          [0.485 * 255, 0.456 * 255, 0.406 * 255],
          [0.229 * 255, 0.224 * 255, 0.225 * 255],
        ]
      : [
          [127.5, 127.5, 127.5],
          [127.5, 127.5, 127.5],
        ];
  for (let i = 0; i < pixels.length; i += 3) {
    for (let c = 0; c < 3; c++) pixels[i + c] = (pixels[i + c] - mean[c]) / std[c];
  }
  return tf.tensor4d(pixels, [1, size.height, size.width, 3]);
}

/** How a segmentation is predicted from one image. */
export interface PredictOptions {
  normalization: NetworkConfig['normalization'];
  /** Working resolution; 0 = the image's own. */
  longSidePx?: number;
  scales?: readonly number[];
  /** Also look at the mirrored image. */
  flip?: boolean;
  /** How the softmaxes of several scales are joined; the authors' later code takes the maximum. */
  scaleFusion?: 'mean' | 'max';
  head?: 'initial' | 'refined';
}

/** Class probabilities [K+1,H,W] at the image's size; with 'max' fusion they need not sum to 1. */
export interface SegmentationScores {
  width: number;
  height: number;
  channels: number;
  data: Float32Array;
}

/**
 * Predicts one image: softmax of the segmentation logits, upsampled bilinearly to the image, joined over scales and
 * flip (method facts, section 6). Throws AuxSegNetError BAD_WEIGHTS for a network without that head (the stage-0 classifier).
 */
export function predictSegmentation(
  network: AuxSegNet,
  image: RgbImage,
  options: PredictOptions,
): SegmentationScores {
  const head = options.head ?? 'refined';
  return predictHeads(network, image, options, [head])[head];
}

/** The same for several heads, with one forward pass a view. */
export function predictHeads<H extends 'initial' | 'refined'>(
  network: AuxSegNet,
  image: RgbImage,
  options: Omit<PredictOptions, 'head'>,
  heads: readonly H[],
): Record<H, SegmentationScores> {
  const { scales = [1], flip = false, scaleFusion = 'max' } = options;
  const outputs = heads.map((head) =>
    head === 'refined' ? ('refinedSegmentation' as const) : ('initialSegmentation' as const),
  );
  for (const output of outputs) requireOutput(network, output);
  const planar = tf.tidy(() => {
    const views: tf.Tensor4D[][] = heads.map(() => []);
    for (const scale of scales) {
      const input = imageToTensor(
        image,
        workingSize(image, options.longSidePx ?? 0, scale),
        options.normalization,
      );
      for (const mirrored of flip ? [false, true] : [false]) {
        const x = mirrored ? (tf.reverse(input, 2) as tf.Tensor4D) : input;
        const logits = runNetwork(network, x, outputs);
        outputs.forEach((output, index) => {
          const straight = mirrored ? tf.reverse(logits[output], 2) : logits[output];
          views[index].push(resizeBilinear(tf.softmax(straight) as tf.Tensor4D, [image.height, image.width]));
        });
      }
    }
    return views.map(
      (list) => tf.transpose(tf.squeeze(join(list, scaleFusion), [0]), [2, 0, 1]) as tf.Tensor3D,
    );
  });
  const result = {} as Record<H, SegmentationScores>;
  heads.forEach((head, index) => {
    const [channels, height, width] = planar[index].shape;
    result[head] = {
      width,
      height,
      channels,
      data: Float32Array.from(planar[index].dataSync() as Float32Array),
    };
  });
  tf.dispose(planar);
  return result;
}

function requireOutput(network: AuxSegNet, output: AuxSegNet['outputs'][number]): void {
  if (network.outputs.includes(output)) return;
  throw new AuxSegNetError(
    'BAD_WEIGHTS',
    `Expected a network with the output ${output}, got one with ${network.outputs.join(', ')}; take the model.safetensors of a stage, not the classifier.`,
    { outputs: network.outputs },
  );
}

function join(views: tf.Tensor4D[], fusion: 'mean' | 'max'): tf.Tensor {
  if (views.length === 1) return views[0];
  return fusion === 'mean'
    ? tf.div(tf.addN(views), views.length)
    : views.reduce((a, b) => tf.maximum(a, b) as tf.Tensor4D);
}

/** How saliency is predicted from one image. */
export interface PredictSaliencyOptions {
  normalization: NetworkConfig['normalization'];
  /** Working resolution; 0 = the image's own. */
  longSidePx?: number;
  head?: 'initial' | 'refined';
}

/**
 * Predicts what stands out: sigmoid of the saliency logit, upsampled bilinearly to the image, [H,W], 0..1.
 * Throws AuxSegNetError BAD_WEIGHTS for a network without a saliency head (the stage-0 classifier).
 */
export function predictSaliency(
  network: AuxSegNet,
  image: RgbImage,
  { normalization, longSidePx = 0, head = 'refined' }: PredictSaliencyOptions,
): ScoreMap {
  const output = head === 'refined' ? 'refinedSaliency' : 'initialSaliency';
  requireOutput(network, output);
  const { width, height } = image;
  const { values, size } = tf.tidy(() => {
    const input = imageToTensor(image, workingSize(image, longSidePx), normalization);
    const logits = runNetwork(network, input, [output])[output] as tf.Tensor4D;
    return {
      values: tf.sigmoid(logits).dataSync() as Float32Array,
      size: { width: logits.shape[2], height: logits.shape[1] },
    };
  });
  const data = resizePixels(values, size, { width, height });
  // Interpolation may leave 0..1 by rounding.
  for (let i = 0; i < data.length; i++) data[i] = Math.min(1, Math.max(0, data[i]));
  return { width, height, data };
}

/** Label map [H,W] of the largest score; the lower class wins ties. */
export function argmaxLabels({ width, height, channels, data }: SegmentationScores): {
  width: number;
  height: number;
  data: Uint8Array;
} {
  const pixels = width * height;
  const labels = new Uint8Array(pixels);
  const best = data.slice(0, pixels);
  for (let c = 1; c < channels; c++) {
    const offset = c * pixels;
    for (let i = 0; i < pixels; i++) {
      if (data[offset + i] > best[i]) {
        best[i] = data[offset + i];
        labels[i] = c;
      }
    }
  }
  return { width, height, data: labels };
}
