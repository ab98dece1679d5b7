import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { RuntimeError } from '../errors.js';
import { runWithGradient } from '../gradients/run-with-gradient.js';

let randomKey = 0;
let firstSampleOfBatch = 0;

/**
 * Sets the key from which channelDropout layers draw their masks in the next forward passes.
 *
 * The same key, layer name and shape give the same mask, whatever ran before: set it once a step, for instance to the
 * step's number. Integers from 0 to 2^53.
 *
 * @param firstSample index of the first image in the whole batch, for a pass over a part of it: the part then draws what it
 *   would have drawn in the whole
 */
export function setRandomKey(key: number, firstSample = 0): void {
  if (!Number.isSafeInteger(key) || key < 0) {
    throw new RuntimeError(
      'bad-random-key',
      `Expected the random key to be an integer from 0 to 2^53, got ${key}.`,
      {
        key,
      },
    );
  }
  randomKey = key;
  firstSampleOfBatch = firstSample;
}

/** 32-bit FNV-1a of a string, its bits mixed so that similar strings start unrelated streams. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    state = Math.imul(state ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}

const STEP = 0x6d2b79f5;

/**
 * Mulberry32 from its draw number `skipped` on: 32 bits of state are plenty for one mask, and its stream is the same on
 * every platform.
 */
function uniformStream(seed: number, skipped: number): () => number {
  let state = (seed + Math.imul(STEP, skipped)) >>> 0;
  return () => {
    state = (state + STEP) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Options of {@link channelDropout}. */
export interface ChannelDropoutOptions {
  /** Part of the mask's key, so give it one that does not change between runs. */
  name?: string;
  /** Probability of dropping a channel, 0 <= rate < 1. */
  rate: number;
}

/** Layer behind {@link channelDropout}; exported for `instanceof` and serialisation. */
export class ChannelDropout extends tfl.layers.Layer {
  /** @nocollapse */
  static className = 'AuxChannelDropout';
  private readonly rate: number;

  constructor(options: ChannelDropoutOptions) {
    super({ ...options });
    this.rate = options.rate;
    if (!(this.rate >= 0 && this.rate < 1)) {
      throw new RuntimeError(
        'bad-layer-option',
        `Expected rate of layer "${this.name}" to be at least 0 and below 1, got ${JSON.stringify(options.rate)}.`,
        { layer: this.name, option: 'rate', value: options.rate },
      );
    }
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    return inputShape as tfl.Shape;
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: Record<string, unknown>): tf.Tensor {
    const x = (Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor4D;
    if (kwargs?.['training'] !== true || this.rate === 0) return tf.clone(x);
    const [n, , , c] = x.shape;
    const draw = uniformStream(hash(`${this.name}/${randomKey}`), firstSampleOfBatch * c);
    const keep = 1 / (1 - this.rate);
    const values = Float32Array.from({ length: n * c }, () => (draw() < this.rate ? 0 : keep));
    return runWithGradient(
      'channelDropout',
      { x },
      (save) => {
        const mask = tf.tensor4d(values, [n, 1, 1, c]);
        save([mask]);
        return tf.mul(x, mask);
      },
      (dy, [mask]) => ({ x: () => tf.mul(dy, mask) }),
    );
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), rate: this.rate };
  }
}

/**
 * Drops whole channels of each image in training and scales the others by 1/(1-rate); the identity otherwise
 * (PyTorch's Dropout2d).
 *
 * [N,H,W,C] -> [N,H,W,C]; the mask depends on {@link setRandomKey}'s key and the layer's name alone.
 * Throws RuntimeError `bad-layer-option` for a rate outside [0, 1).
 */
export function channelDropout(options: ChannelDropoutOptions): ChannelDropout {
  return new ChannelDropout(options);
}
