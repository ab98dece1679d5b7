import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { BackboneError } from './backbone-error.js';
import { hashedValues } from './hashed-values.js';
import type { Backbone } from './types.js';

export interface BackboneCheckOptions {
  /** Image sizes [height, width] to try; defaults to an odd and a square one. */
  sizes?: readonly (readonly [number, number])[];
  /** Names that `named` must have. */
  names?: readonly string[];
}

/**
 * Checks that a function keeps the promises of a {@link Backbone}: features of ceil(size / outputStride) cells at several
 * image sizes, [N,h,w,C] for every named map, finite values, the same result twice, images of a batch not mixed, a
 * gradient from the features to every trainable weight before them, a save and load that changes nothing, and no tensor
 * left behind.
 *
 * Runs on the current tfjs backend, inside any test framework.
 *
 * @throws BackboneError `nonconformant` with every finding in `details.findings`
 */
export async function checkBackbone(backbone: Backbone, options: BackboneCheckOptions = {}): Promise<void> {
  const {
    sizes = [
      [33, 41],
      [64, 64],
    ],
    names = [],
  } = options;
  const findings: string[] = [];
  const tensorsBefore = tf.memory().numTensors;

  const input = tfl.input({ shape: [null, null, 3] });
  const { features, outputStride, named } = backbone(input);
  const model = tfl.model({ inputs: input, outputs: features });
  for (const name of names) {
    if (!named[name])
      findings.push(`named map '${name}' is missing; there are ${Object.keys(named).join(', ')}`);
  }
  // A map may stand under several names, and the features be one of them.
  const outputs = [...new Set([features, ...Object.values(named)])];
  const nameOf = (map: tfl.SymbolicTensor) =>
    map === features ? 'features' : `named map '${Object.keys(named).find((name) => named[name] === map)}'`;
  const whole = tfl.model({ inputs: input, outputs });
  const run = (target: tfl.LayersModel, images: tf.Tensor4D) =>
    [target.apply(images, { training: false })].flat() as tf.Tensor[];

  const tensorsBuilt = tf.memory().numTensors;
  for (const [height, width] of sizes) {
    const where = `${height}x${width}`;
    const results = tf.tidy(() => {
      const images = testImages(2, height, width);
      return [images, images, tf.slice(images, 1, 1)].map((batch) => run(whole, batch));
    });
    const [first, second, alone] = results as [tf.Tensor[], tf.Tensor[], tf.Tensor[]];
    for (const [i, map] of outputs.entries()) {
      const what = nameOf(map);
      const expected =
        map === features ? [2, Math.ceil(height / outputStride), Math.ceil(width / outputStride)] : [2];
      const { shape } = first[i]!;
      if (shape.length !== 4 || expected.some((size, axis) => shape[axis] !== size)) {
        const size = map === features ? expected.join(',') : '2,h,w';
        findings.push(`${where}: expected ${what} [${size},C], got [${shape.join(',')}]`);
      }
      const [a, b, c] = [await first[i]!.data(), await second[i]!.data(), await alone[i]!.data()];
      if (!a.every(Number.isFinite)) findings.push(`${where}: ${what} is not finite`);
      else if (!a.every((value, at) => value === b[at]))
        findings.push(`${where}: two runs give different ${what}`);
      else if (!c.every((value, at) => near(value, a[a.length / 2 + at]!)))
        findings.push(`${where}: ${what} of an image depends on the other images of its batch`);
    }
    tf.dispose(results);
  }

  const [height, width] = sizes[0]!;
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  if (variables.length > 0) {
    const { value, grads } = tf.variableGrads(
      () =>
        tf.sum(
          tf.square(model.apply(testImages(1, height, width), { training: false }) as tf.Tensor),
        ) as tf.Scalar,
      variables,
    );
    for (const variable of variables) {
      const gradient = grads[variable.name];
      const values = gradient ? await gradient.data() : undefined;
      if (!values) findings.push(`no gradient reaches ${variable.name}`);
      else if (!values.every(Number.isFinite))
        findings.push(`the gradient of ${variable.name} is not finite`);
      else if (values.every((v) => v === 0))
        findings.push(`the gradient of ${variable.name} is zero everywhere`);
    }
    tf.dispose([value, grads]);
  }

  let artifacts: tf.io.ModelArtifacts | undefined;
  await whole.save(
    tf.io.withSaveHandler(async (saved) => {
      artifacts = saved;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    }),
  );
  const restored = await tfl.loadLayersModel(tf.io.fromMemory(artifacts!));
  const [before, after] = tf.tidy(() =>
    [whole, restored].map((target) => run(target, testImages(1, height, width)).map((x) => x.dataSync())),
  );
  for (const [i, map] of outputs.entries()) {
    if (!before![i]!.every((value, at) => Object.is(value, after![i]![at])))
      findings.push(`a saved and loaded model computes something else for ${nameOf(map)}`);
  }
  restored.dispose();

  const left = tf.memory().numTensors - tensorsBuilt;
  if (left !== 0)
    findings.push(`${left} tensors are left behind by running, differentiating or loading the model`);
  model.dispose();
  const leftAfterDispose = tf.memory().numTensors - tensorsBefore;
  if (leftAfterDispose > 0) findings.push(`${leftAfterDispose} tensors survive the model's disposal`);

  if (findings.length > 0) {
    throw new BackboneError(
      'nonconformant',
      `Expected a backbone that keeps the promises of FeatureMaps; found: ${findings.join('; ')}.`,
      { findings },
    );
  }
}

/** Equal but for the order in which a backend adds. */
function near(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-4 * Math.max(1, Math.abs(a));
}

function testImages(count: number, height: number, width: number): tf.Tensor4D {
  return tf.tensor4d(hashedValues('image', count * height * width * 3), [count, height, width, 3]);
}
