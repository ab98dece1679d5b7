import { applyAffinity, conv2d, layerSeed, pairwiseAffinity } from '@auxseg/runtime';
import * as tfl from '@tensorflow/tfjs-layers';
import { AffinityError } from './affinity-error.js';
import type { AffinityOptions } from './types.js';

/**
 * One task's own affinity and the features that it enhances:
 * A = softmax_row(scale * theta(X) phi(X)^T), X' = X + W(A g(X)); theta, phi, g and W are 1x1 convolutions with bias.
 *
 * X [N,h,w,C] -> affinity [N,hw,hw], enhanced [N,h,w,C]. Layers: `<task>_att.theta`, `<task>_att.phi`, `<task>_g`, `<task>_W`.
 *
 * @throws AffinityError `bad-option`
 * @see method.md 2.3; Wang et al. 2018, "Non-local Neural Networks" (embedded Gaussian)
 */
export function taskAffinity(
  task: 'seg' | 'sal',
  features: tfl.SymbolicTensor,
  options: AffinityOptions,
): { affinity: tfl.SymbolicTensor; enhanced: tfl.SymbolicTensor } {
  const outputChannels = features.shape[3]!;
  const { channels = outputChannels, zeroInit = false, scale = 'none', trainable = true, seed = 0 } = options;
  if (!(Number.isInteger(channels) && channels > 0)) {
    throw new AffinityError(
      'bad-option',
      `Expected channels to be a whole number above 0; got ${channels}.`,
      { channels },
    );
  }
  const factor = scale === 'none' ? 1 : scale === 'sqrt' ? 1 / Math.sqrt(channels) : scale;
  if (!(Number.isFinite(factor) && factor > 0)) {
    throw new AffinityError(
      'bad-option',
      `Expected scale to be 'none', 'sqrt' or a number above 0; got ${scale}.`,
      { scale },
    );
  }
  const project = (x: tfl.SymbolicTensor, name: string, filters: number, zero = false) => {
    // PyTorch's default for nn.Conv2d: kernel and bias uniform in +-1/sqrt(fan in).
    const bound = 1 / Math.sqrt(x.shape[3]!);
    const initializer = (unit: string) =>
      zero
        ? tfl.initializers.zeros()
        : tfl.initializers.randomUniform({
            minval: -bound,
            maxval: bound,
            seed: layerSeed(seed, `${name}/${unit}`),
          });
    return conv2d({
      name,
      filters,
      kernelSize: 1,
      kernelInitializer: initializer('kernel'),
      biasInitializer: initializer('bias'),
      trainable,
    }).apply(x) as tfl.SymbolicTensor;
  };
  let theta = project(features, `${task}_att.theta`, channels);
  if (factor !== 1) {
    theta = tfl.layers
      .rescaling({ name: `${task}_att.scale`, scale: factor })
      .apply(theta) as tfl.SymbolicTensor;
  }
  const phi = project(features, `${task}_att.phi`, channels);
  const affinity = pairwiseAffinity({ name: `${task}_att` }).apply([theta, phi]) as tfl.SymbolicTensor;
  const g = project(features, `${task}_g`, channels);
  const gathered = applyAffinity({ name: `${task}_att.gather` }).apply([affinity, g]) as tfl.SymbolicTensor;
  const update = project(gathered, `${task}_W`, outputChannels, zeroInit);
  const enhanced = tfl.layers
    .add({ name: `${task}_enhanced` })
    .apply([features, update]) as tfl.SymbolicTensor;
  return { affinity, enhanced };
}
