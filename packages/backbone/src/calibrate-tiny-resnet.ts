import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { BackboneError } from './backbone-error.js';
import { tinyResNetBlocks } from './tiny-resnet.js';

/** Keeps a channel without variance from being divided by zero. */
const EPSILON = 1e-4;
/** Factor on a residual branch after it has been brought to unit variance: nothing normalises the sum later. */
const BRANCH_SCALE = 0.5;

/**
 * Rescales and shifts the initial weights of `createTinyResNet` so that, on these images, every convolution's channels have
 * mean 0 and variance 1 before the activation.
 *
 * The network has no normalisation layers; without this, features share a large common mean that global average pooling
 * hands on, and a few hundred steps learn nothing. Changes the model's weights in place. The images [N,H,W,3] are the
 * network's normalised input, some dozens of them; not disposed.
 *
 * @throws BackboneError `bad-weights` for a model without the layers of that network
 * @see Mishkin & Matas, "All you need is a good init", ICLR 2016 (layer-sequential unit variance)
 */
export function calibrateTinyResNet(model: tfl.LayersModel, images: tf.Tensor4D): void {
  tf.tidy(() => {
    let x = images;
    const first = read(model, 't1', { stride: 2 });
    standardise([first], first.apply(x));
    x = tf.relu(first.apply(x));
    for (const { name, stride, dilation } of tinyResNetBlocks) {
      const a = read(model, `${name}.a`, { stride, dilation });
      const b = read(model, `${name}.b`, { dilation });
      const shortcut = has(model, `${name}.shortcut`) ? read(model, `${name}.shortcut`, { stride }) : null;
      standardise([a], a.apply(x));
      const hidden = tf.relu(a.apply(x));
      standardise([b], b.apply(hidden));
      b.write(tf.mul(b.kernel(), BRANCH_SCALE), tf.mul(b.bias(), BRANCH_SCALE));
      if (shortcut === null) x = tf.relu(tf.add(x, b.apply(hidden)));
      else {
        standardise([shortcut], shortcut.apply(x));
        standardise([shortcut, b], tf.add(shortcut.apply(x), b.apply(hidden)));
        x = tf.relu(tf.add(shortcut.apply(x), b.apply(hidden)));
      }
    }
  });
}

interface Convolution {
  kernel(): tf.Tensor4D;
  bias(): tf.Tensor1D;
  /** The convolution with bias and without activation. */
  apply(x: tf.Tensor4D): tf.Tensor4D;
  write(kernel: tf.Tensor, bias: tf.Tensor): void;
}

/** Divides the convolutions whose sum is `output` by its standard deviation by channel; the last one takes the mean off. */
function standardise(convolutions: readonly Convolution[], output: tf.Tensor4D): void {
  const { mean, variance } = tf.moments(output, [0, 1, 2]);
  const deviation = tf.add(tf.sqrt(variance), EPSILON);
  convolutions.forEach((one, index) => {
    const bias = tf.div(one.bias(), deviation);
    const last = index === convolutions.length - 1;
    one.write(tf.div(one.kernel(), deviation), last ? tf.sub(bias, tf.div(mean, deviation)) : bias);
  });
}

function has(model: tfl.LayersModel, name: string): boolean {
  return model.layers.some((layer) => layer.name === name);
}

function read(
  model: tfl.LayersModel,
  name: string,
  { stride = 1, dilation = 1 }: { stride?: number; dilation?: number },
): Convolution {
  const layer = model.layers.find((candidate) => candidate.name === name);
  if (layer === undefined) {
    throw new BackboneError(
      'bad-weights',
      `Expected a model with the layers of createTinyResNet, found no '${name}'; other backbones need no calibration.`,
      { name },
    );
  }
  const [kernel, bias] = layer.weights;
  return {
    kernel: () => kernel.read() as tf.Tensor4D,
    bias: () => bias.read() as tf.Tensor1D,
    apply(x) {
      const filter = kernel.read() as tf.Tensor4D;
      const pad = (dilation * (filter.shape[0] - 1)) / 2;
      const pads: [[number, number], [number, number], [number, number], [number, number]] = [
        [0, 0],
        [pad, pad],
        [pad, pad],
        [0, 0],
      ];
      return tf.add(tf.conv2d(x, filter, stride, pads, 'NHWC', dilation), bias.read());
    },
    write(newKernel, newBias) {
      kernel.write(newKernel);
      bias.write(newBias);
    },
  };
}
