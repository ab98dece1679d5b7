import { beforeAll, describe, expect, test } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { useBackend } from '../backends/use-backend.js';
import { RuntimeError } from '../errors.js';
import { randomValues, seededRandom } from '../float64.test.support.js';
import { channelDropout, setRandomKey } from '../layers/channel-dropout.js';
import { conv2d } from '../layers/convolution-layers.js';
import { frozenBatchNorm } from '../layers/frozen-batch-norm.js';
import { testedBackends } from '../tested-backends.test.support.js';
import { disposeModel } from './dispose-model.js';
import { recompute } from './recompute.js';
import { runModel } from './run-model.js';
import { type VariableGradients, variableGradients } from './variable-gradients.js';

type Symbolic = tfl.SymbolicTensor;

/** A frozen stem, four residual blocks with dropout, a shared layer, two outputs of which one is in the middle. */
function createModel(label: string): tfl.LayersModel {
  const of = (layer: tfl.layers.Layer, ...inputs: Symbolic[]) =>
    layer.apply(inputs.length === 1 ? inputs[0] : inputs) as Symbolic;
  const name = (part: string) => `${label}_${part}`;
  const image = tfl.input({ shape: [null, null, 3] });
  const stem = conv2d({
    name: name('stem'),
    filters: 8,
    kernelSize: 3,
    trainable: false,
    activation: 'relu',
  });
  let h = of(frozenBatchNorm({ name: name('stemnorm') }), of(stem, image));
  const shared = conv2d({ name: name('shared'), filters: 8, kernelSize: 1 });
  for (let block = 0; block < 4; block++) {
    let y = of(frozenBatchNorm({ name: name(`norm${block}`), activation: 'relu' }), h);
    y = of(channelDropout({ name: name(`drop${block}`), rate: 0.25 }), y);
    y = of(conv2d({ name: name(`conv${block}`), filters: 8, kernelSize: 3, dilation: 2, useBias: false }), y);
    if (block % 2 === 1) y = of(shared, y);
    h = of(tfl.layers.add({ name: name(`add${block}`) }), h, y);
    if (block === 2) continue;
  }
  const middle = h;
  const last = of(conv2d({ name: name('last'), filters: 2, kernelSize: 1 }), h);
  return tfl.model({ inputs: image, outputs: [last, middle], name: name('model') });
}

const disposeAll = ({ value, grads }: VariableGradients) => tf.dispose([value, ...Object.values(grads)]);
const bytes = () => tf.memory().numBytes;

describe.each(await testedBackends())('training memory on %s', (backend) => {
  let model: tfl.LayersModel;
  let x: tf.Tensor4D;
  const cuts = () => [0, 1, 2, 3].map((block) => `${backend}_add${block}`);

  beforeAll(async () => {
    await useBackend(backend);
    model = createModel(backend);
    model.getWeights().forEach((_, i) => {
      const layer = model.weights[i];
      if (layer.originalName.includes('moving_variance')) return;
      layer.write(
        tf.tensor(
          randomValues(layer.shape.reduce((a, b) => a! * b!, 1)!, seededRandom(i)),
          layer.shape as number[],
        ),
      );
    });
    x = tf.tensor4d(randomValues(2 * 9 * 11 * 3, seededRandom(99)), [2, 9, 11, 3]);
  });

  const lossOf = (outputs: tf.Tensor[]) =>
    tf.add(tf.mean(tf.square(outputs[0])), tf.mean(outputs[1])) as tf.Scalar;
  const stock = () => lossOf(model.apply(x, { training: true }) as tf.Tensor[]);
  const own = () => lossOf(runModel(model, x, { training: true }));
  const recomputed = () => lossOf(runModel(model, x, { training: true, recomputeBetween: cuts() }));
  const read = ({ value, grads }: { value: tf.Tensor; grads: Record<string, tf.Tensor> }) => {
    const result = Object.fromEntries(
      Object.entries(grads).map(([key, gradient]) => [key, [...gradient.dataSync()]]),
    );
    const numbers = { value: [...value.dataSync()], ...result };
    tf.dispose([value, grads]);
    return numbers;
  };

  test('the same numbers to the bit, however they are computed, and nothing left behind', () => {
    setRandomKey(3);
    const expected = read(tf.variableGrads(stock));
    expect(Object.keys(expected)).toHaveLength(1 + 4 + 2 + 2);
    const before = tf.memory().numTensors;
    for (const run of [stock, own, recomputed]) {
      expect(read(variableGradients(run))).toEqual(expected);
      expect(read(tf.variableGrads(run))).toEqual(expected);
      expect(tf.memory().numTensors).toBe(before);
    }
  });

  test('inference gives what predict gives', () => {
    const expected = (model.predict(x) as tf.Tensor[]).map((y) => [...y.dataSync()]);
    expect(runModel(model, x).map((y) => [...y.dataSync()])).toEqual(expected);
  });

  test('less is kept from one to the next', () => {
    setRandomKey(3);
    const kept = (run: () => tf.Scalar) => {
      let after = 0;
      const before = bytes();
      disposeAll(
        variableGradients(() => {
          const loss = tf.tidy(run);
          after = bytes() - before;
          return loss;
        }),
      );
      return after;
    };
    const held = (run: () => tf.Tensor[]) => {
      // Bytes at the end of the forward pass with all its intermediates still alive.
      let after = 0;
      const before = bytes();
      disposeAll(
        variableGradients(() => {
          const outputs = run();
          after = bytes() - before;
          return lossOf(outputs);
        }),
      );
      return after;
    };
    const map = 2 * 9 * 11 * 8 * 4;
    expect(kept(own)).toBeLessThanOrEqual(kept(stock));
    expect(kept(recomputed)).toBeLessThan(kept(own) - 3 * map);
    const byStock = held(() => model.apply(x, { training: true }) as tf.Tensor[]);
    const byOwn = held(() => runModel(model, x, { training: true }));
    expect(byOwn).toBeLessThan(byStock - 2 * map);
  });

  test('a frozen part keeps nothing', () => {
    const frozen = tfl.model({
      inputs: model.inputs,
      outputs: model.getLayer(`${backend}_stemnorm`).output as Symbolic,
    });
    const scale = tf.variable(tf.scalar(1), true, `${backend}-scale`);
    let kept = 0;
    const before = bytes();
    disposeAll(
      variableGradients(() => {
        const [y] = runModel(frozen, x, { training: true });
        kept = bytes() - before - y.size * 4;
        return tf.mean(tf.mul(y, scale));
      }, [scale]),
    );
    expect(kept).toBe(0);
    scale.dispose();
  });

  test('gradients with respect to the image on request', () => {
    setRandomKey(3);
    const expected = tf.grad((a) => lossOf(model.apply(a, { training: true }) as tf.Tensor[]))(x);
    const options = { training: true, differentiateInputs: true };
    for (const more of [{}, { recomputeBetween: cuts() }]) {
      const actual = tf.grad((a) => lossOf(runModel(model, a, { ...options, ...more })))(x);
      expect([...actual.dataSync()]).toEqual([...expected.dataSync()]);
      actual.dispose();
    }
    expected.dispose();
  });

  test('recompute has several outputs, unused ones too, and passes second derivatives through', () => {
    const w = tf.variable(tf.tensor1d([0.5, -2, 3]), true, `${backend}-w`);
    const a = tf.tensor1d([1, 2, 3]);
    const run = ([b]: tf.Tensor[]) => [tf.mul(b, w), tf.square(w), tf.exp(b)];
    const direct = read(variableGradients(() => tf.sum(tf.add(run([a])[0], run([a])[1])), [w]));
    const again = read(
      variableGradients(() => {
        const [p, q] = recompute(run, [a], [w]);
        return tf.sum(tf.add(p, q));
      }, [w]),
    );
    expect(again).toEqual(direct);
    const cube = (b: tf.Tensor) => tf.sum(recompute(([c]) => [tf.mul(tf.square(c), c)], [b], [])[0]);
    const second = tf.grad((b) => tf.sum(tf.grad(cube)(b)))(a);
    expect([...second.dataSync()]).toEqual([6, 12, 18]);
    w.dispose();
  });

  test('gradients that are dy itself, shared inputs, and repeated variables', () => {
    const v = tf.variable(tf.tensor1d([1, 2]), true, `${backend}-v`);
    const f = () => tf.sum(tf.mul(tf.add(tf.add(v, v), tf.reshape(v, [2])), tf.clone(v))) as tf.Scalar;
    expect(read(variableGradients(f, [v, v]))).toEqual(read(tf.variableGrads(f, [v])));
    v.dispose();
  });

  test('disposeModel leaves nothing, of a layer applied twice neither', () => {
    const { numTensors } = tf.memory();
    disposeModel(createModel(`${backend}_brief`));
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  test('errors name what is wrong', () => {
    expect(() => variableGradients(() => tf.scalar(1))).toThrow(RuntimeError);
    expect(() => variableGradients(() => tf.scalar(1))).toThrow(/depends on none/);
    expect(() => variableGradients(() => tf.ones([2]) as never)).toThrow(/scalar.*\[2\]/);
    expect(() => runModel(model, [x, x])).toThrow(/1 inputs.*got 2/);
    expect(() => runModel(model, x, { training: true, recomputeBetween: ['nowhere'] })).toThrow(/nowhere/);
  });
});
