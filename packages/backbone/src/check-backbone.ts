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
 * Checks that a function keeps the promises of a {@link Backbone}: map sizes of ceil(size / outputStride) at several image
 * sizes, finite values, the same result twice, a gradient to every trainable weight, a save and load that changes
 * nothing, and no tensor left behind.
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

  const tensorsBuilt = tf.memory().numTensors;
  for (const [height, width] of sizes) {
    const first = tf.tidy(() => model.apply(testImage(height, width), { training: false }) as tf.Tensor4D);
    const second = tf.tidy(() => model.apply(testImage(height, width), { training: false }) as tf.Tensor4D);
    const expected = [1, Math.ceil(height / outputStride), Math.ceil(width / outputStride)];
    if (first.rank !== 4 || expected.some((size, axis) => first.shape[axis] !== size)) {
      findings.push(
        `${height}x${width}: expected features [${expected.join(',')},C], got [${first.shape.join(',')}]`,
      );
    }
    const [a, b] = [await first.data(), await second.data()];
    if (!a.every(Number.isFinite)) findings.push(`${height}x${width}: features are not finite`);
    if (!a.every((value, i) => value === b[i])) findings.push(`${height}x${width}: two runs differ`);
    tf.dispose([first, second]);
  }

  const [height, width] = sizes[0]!;
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  if (variables.length > 0) {
    const { value, grads } = tf.variableGrads(
      () =>
        tf.sum(
          tf.square(model.apply(testImage(height, width), { training: false }) as tf.Tensor),
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
  await model.save(
    tf.io.withSaveHandler(async (saved) => {
      artifacts = saved;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    }),
  );
  const restored = await tfl.loadLayersModel(tf.io.fromMemory(artifacts!));
  const [before, after] = tf.tidy(() =>
    [model, restored].map((m) =>
      (m.apply(testImage(height, width), { training: false }) as tf.Tensor).dataSync(),
    ),
  );
  if (!before!.every((value, i) => value === after![i]))
    findings.push('a saved and loaded model computes something else');
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

function testImage(height: number, width: number): tf.Tensor4D {
  return tf.tensor4d(hashedValues('image', height * width * 3), [1, height, width, 3]);
}
