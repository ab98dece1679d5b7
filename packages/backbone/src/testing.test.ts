import { conv2d, useBackend } from '@auxseg/runtime';
import { beforeAll, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { checkBackbone, hashedValues } from './testing.js';
import type { Backbone } from './types.js';

beforeAll(async () => {
  await useBackend('cpu');
});

const good: Backbone = (image) => {
  const features = conv2d({ name: 'c', filters: 2, kernelSize: 3, strides: 2 }).apply(
    image,
  ) as tfl.SymbolicTensor;
  return { features, outputStride: 2, named: { c: features } };
};

test('a sound backbone passes', async () => {
  await checkBackbone(good, { names: ['c'] });
});

test('a missing map, a wrong output stride and a dead weight are found together', async () => {
  const bad: Backbone = (image) => {
    const { features, named } = good(image);
    const none = tfl.layers.rescaling({ scale: 0 }).apply(features) as tfl.SymbolicTensor;
    return { features: none, outputStride: 4, named };
  };
  await expect(checkBackbone(bad, { names: ['conv4'] })).rejects.toThrow(
    /'conv4' is missing; there are c; 33x41: expected features \[2,9,11,C\], got \[2,17,21,2\].*gradient of c\S* is zero everywhere/s,
  );
});

/** Scales by a factor, which is lost when a model is saved and loaded. */
class Factor extends tfl.layers.Layer {
  static readonly className: string = 'TestFactor';
  private readonly factor: number;
  constructor(config: { factor?: number }) {
    super({});
    this.factor = config.factor ?? 1;
  }
  override computeOutputShape(shape: tfl.Shape): tfl.Shape {
    return shape;
  }
  override call(x: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.mul(Array.isArray(x) ? x[0]! : x, this.factor);
  }
}
tf.serialization.registerClass(Factor);

/** Centres a batch, as batch normalisation does that is not frozen. */
class Centred extends Factor {
  static override readonly className: string = 'TestCentred';
  override call(x: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const batch = Array.isArray(x) ? x[0]! : x;
    return tf.sub(batch, tf.mul(tf.mean(batch, 0, true), 0.5));
  }
}
tf.serialization.registerClass(Centred);

test('a named map that is no map, is not finite or is lost with the file is found', async () => {
  const bad: Backbone = (image) => {
    const { features, outputStride } = good(image);
    const pooled = tfl.layers.globalAveragePooling2d({}).apply(features) as tfl.SymbolicTensor;
    const [infinite, tripled] = [Number.POSITIVE_INFINITY, 3].map(
      (factor) => new Factor({ factor }).apply(features) as tfl.SymbolicTensor,
    );
    return { features, outputStride, named: { c: features, pooled, infinite: infinite!, tripled: tripled! } };
  };
  await expect(checkBackbone(bad)).rejects.toThrow(
    /'pooled' \[2,h,w,C\], got \[2,2\].*'infinite' is not finite.*something else for named map 'tripled'/s,
  );
});

test('images of a batch that are mixed are found', async () => {
  const bad: Backbone = (image) => {
    const { features, outputStride, named } = good(image);
    const mixed = new Centred({}).apply(features) as tfl.SymbolicTensor;
    return { features: mixed, outputStride, named };
  };
  await expect(checkBackbone(bad)).rejects.toThrow(/features of an image depends on the other images/);
});

test('hashed values agree with the Python twin', () => {
  // python3 -c "from hashed_weights import *; print(hashed_values('b2.conv_branch2a.weight', 3).tolist())"
  const expected = [-0.19451510906219482, -0.07666967809200287, 0.06506677716970444];
  expect(Array.from(hashedValues('b2.conv_branch2a.weight', 3))).toEqual(expected);
});
