import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { AffinityError } from './affinity-error.js';
import { refine } from './refine.js';
import type { AffinityModule } from './types.js';

export interface AffinityCheckOptions {
  /** Channels of the features given to the module. Default 6. */
  channels?: number;
  /** Map sizes [h, w] to try. Default [3,4], [1,5], [6,6]. */
  sizes?: readonly (readonly [number, number])[];
  /**
   * Weights that may have a zero gradient, by `<layer>/<weight>`. A bias of phi always may: it shifts a whole row of
   * the softmax's argument.
   */
  mayBeUntouched?: readonly RegExp[];
}

/**
 * Checks that a function keeps the promises of an {@link AffinityModule}: output shapes at several map sizes and batch
 * sizes, finite values, the same result twice, images of a batch not mixed, a gradient to every trainable weight and to
 * both inputs, a save and load that changes nothing, a prediction as part of a network, and no tensor left behind.
 *
 * Random weights (seeded) replace the initial ones for the gradient check, so that zero-initialised modules pass.
 * Runs on the current tfjs backend, inside any test framework.
 *
 * @throws AffinityError `nonconformant` with every finding in `details.findings`
 */
export async function checkAffinityModule(
  module: AffinityModule,
  options: AffinityCheckOptions = {},
): Promise<void> {
  const {
    channels = 6,
    sizes = [
      [3, 4],
      [1, 5],
      [6, 6],
    ],
    mayBeUntouched = [],
  } = options;
  const findings: string[] = [];
  const tensorsBefore = tf.memory().numTensors;

  const inputs = ['seg', 'sal'].map((task) =>
    tfl.input({ shape: [null, null, channels], name: `${task}_features` }),
  );
  const output = module({ seg: inputs[0]!, sal: inputs[1]! });
  const hasAffinity = output.affinity !== null;
  const names = ['seg', 'sal', 'affinity', 'refined seg', 'refined sal'];
  const outputs = [output.seg, output.sal];
  if (output.affinity) {
    outputs.push(
      output.affinity,
      refine(output.affinity, output.seg, 'check_refined_seg'),
      refine(output.affinity, output.sal, 'check_refined_sal'),
    );
  }
  const model = tfl.model({ inputs, outputs });
  randomize(model);
  const tensorsBuilt = tf.memory().numTensors;
  const run = (target: tfl.LayersModel, features: tf.Tensor[]) =>
    target.apply(features, { training: false }) as tf.Tensor[];

  for (const [h, w] of sizes) {
    const where = `${h}x${w}`;
    const results = tf.tidy(() => {
      const features = testFeatures(2, h, w, channels);
      return [
        ...run(model, features),
        ...run(model, features),
        ...run(
          model,
          features.map((x) => tf.slice(x, 1, 1)),
        ),
      ];
    });
    const third = results.length / 3;
    for (let i = 0; i < third; i++) {
      const [first, second, alone] = [results[i]!, results[i + third]!, results[i + 2 * third]!];
      const expected = i === 2 ? [2, h * w, h * w] : [2, h, w, channels];
      if (String(first.shape) !== String(expected)) {
        findings.push(
          `${where}: expected ${names[i]} [${expected.join(',')}], got [${first.shape.join(',')}]`,
        );
        continue;
      }
      const [a, b, c] = [await first.data(), await second.data(), await alone.data()];
      if (!a.every(Number.isFinite)) findings.push(`${where}: ${names[i]} is not finite`);
      if (!a.every((value, at) => value === b[at]))
        findings.push(`${where}: two runs give different ${names[i]}`);
      const half = a.length / 2;
      if (!c.every((value, at) => Math.abs(value - a[half + at]!) <= 1e-4 * Math.max(1, Math.abs(value)))) {
        findings.push(`${where}: ${names[i]} of an image depends on the other images of its batch`);
      }
    }
    tf.dispose(results);
  }

  const [h, w] = sizes[0]!;
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const features = tf.tidy(() => testFeatures(2, h, w, channels).map((x) => tf.keep(tf.variable(x))));
  const { value, grads } = tf.variableGrads(() => {
    // Position-dependent factors: a plain sum is blind to a softmax and to row sums.
    const terms = run(model, features).map((x, i) => {
      const weight = tf.reshape(tf.cos(tf.range(0, x.size, 1)), x.shape);
      return tf.sum(tf.mul(tf.mul(weight, x), i + 1));
    });
    return tf.addN(terms) as tf.Scalar;
  }, [...variables, ...features]);
  for (const [index, variable] of [...variables, ...features].entries()) {
    const name = variables.includes(variable)
      ? variable.name
      : `the ${index === variables.length ? 'seg' : 'sal'} features`;
    const values = await grads[variable.name]?.data();
    if (!values) findings.push(`no gradient reaches ${name}`);
    else if (!values.every(Number.isFinite)) findings.push(`the gradient of ${name} is not finite`);
    else if (
      values.every((v) => v === 0) &&
      ![/phi\/bias/, ...mayBeUntouched].some((pattern) => pattern.test(name))
    ) {
      findings.push(`the gradient of ${name} is zero everywhere`);
    }
  }
  tf.dispose([value, grads, features]);

  let artifacts: tf.io.ModelArtifacts | undefined;
  await model.save(
    tf.io.withSaveHandler(async (saved) => {
      artifacts = saved;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    }),
  );
  const restored = await tfl.loadLayersModel(tf.io.fromMemory(artifacts!));
  const [before, after] = [model, restored].map((target) =>
    tf.tidy(() => run(target, testFeatures(1, h, w, channels)).map((x) => x.dataSync())),
  );
  for (const [i, name] of names.slice(0, outputs.length).entries()) {
    if (!before![i]!.every((value, at) => Object.is(value, after![i]![at])))
      findings.push(`a saved and loaded module computes something else for ${name}`);
  }
  restored.dispose();

  findings.push(...checkInsideNetwork(module, channels, [h, w]));

  const left = tf.memory().numTensors - tensorsBuilt;
  if (left !== 0)
    findings.push(`${left} tensors are left behind by running, differentiating or loading the module`);
  model.dispose();
  const survivors = tf.memory().numTensors - tensorsBefore;
  if (survivors > 0) findings.push(`${survivors} tensors survive the module's disposal`);

  if (findings.length > 0) {
    throw new AffinityError(
      'nonconformant',
      `Expected a module that keeps the promises of AffinityModule (affinity: ${hasAffinity ? 'yes' : 'none'}); found: ${findings.join('; ')}.`,
      { findings },
    );
  }
}

/**
 * `model.predict` of a network in which others read the features too. tfjs-layers frees an intermediate tensor that a layer takes twice
 * after that layer.
 */
function checkInsideNetwork(
  module: AffinityModule,
  channels: number,
  [h, w]: readonly [number, number],
): string[] {
  const inputs = [1, 2].map(() => tfl.input({ shape: [null, null, channels] }));
  const pass = (x: tfl.SymbolicTensor): tfl.SymbolicTensor =>
    tfl.layers.activation({ activation: 'linear' }).apply(x) as tfl.SymbolicTensor;
  const [seg, sal] = inputs.map(pass);
  const { seg: enhancedSeg, sal: enhancedSal, affinity } = module({ seg: seg!, sal: sal! });
  // What is an output itself is never freed.
  const outputs = [enhancedSeg, enhancedSal, ...(affinity ? [affinity] : []), seg!, sal!].map(pass);
  const network = tfl.model({ inputs, outputs });
  try {
    tf.tidy(() => tf.dispose(network.predict(testFeatures(1, h, w, channels))));
    return [];
  } catch (cause) {
    return [
      `model.predict of a network whose heads read the features too fails: ${(cause as Error).message} (does a layer take one tensor twice?)`,
    ];
  } finally {
    network.dispose();
  }
}

function testFeatures(n: number, h: number, w: number, channels: number): tf.Tensor4D[] {
  return [1, 2].map((seed) => tf.randomNormal([n, h, w, channels], 0, 1, 'float32', seed) as tf.Tensor4D);
}

function randomize(model: tfl.LayersModel): void {
  tf.tidy(() => {
    model.setWeights(
      model
        .getWeights()
        .map((weight, i) => tf.randomNormal(weight.shape, 0, 0.4, 'float32', 100 + i) as tf.Tensor),
    );
  });
}
