import type { NamedTensor, TensorMap } from '@auxseg/formats';
import type * as tfl from '@tensorflow/tfjs-layers';
import { assignWeights, weightsOfLayers } from './assign-weights.js';
import { BackboneError } from './backbone-error.js';
import { pyTorchNameOfMxnet } from './mxnet-names.js';
import { fromPyTorch, pyTorchPlace } from './pytorch-layout.js';
import { resNet38Blocks } from './resnet38-blocks.js';
import type { LoadReport } from './types.js';

/**
 * Fills the ResNet-38 layers of a model, alone or inside a larger network, from a PyTorch state dict (the authors',
 * PSA's, SEAM's; `module.` prefixes are ignored) or from the MXNet ImageNet file.
 *
 * Tensors are in PyTorch's layout (OIHW). Every layer of the backbone must be there; further tensors (heads, the
 * ImageNet classifier) are reported, not refused. The model changes only when everything fits.
 *
 * @throws BackboneError `bad-weights` naming what is missing, has another shape, holds NaN, or is there twice
 */
export function loadResNet38Weights(model: tfl.LayersModel, tensors: TensorMap): LoadReport {
  const renamed = new Map<string, NamedTensor>();
  const originalNames = new Map<string, string>();
  for (const [name, tensor] of tensors) {
    const official = pyTorchNameOfMxnet(name) ?? name.replace(/^module\./, '');
    if (renamed.has(official)) {
      throw new BackboneError(
        'bad-weights',
        `Expected one tensor for '${official}'; got '${originalNames.get(official)}' and '${name}'. Remove one of them from the file.`,
        { name: official, given: [originalNames.get(official), name] },
      );
    }
    renamed.set(official, tensor);
    originalNames.set(official, name);
  }
  const targets = weightsOfLayers(model, resNet38LayerNames()).map(({ variable, weightName }) => {
    const shape = variable.shape as number[];
    const place = pyTorchPlace(weightName, shape)!;
    return {
      variable,
      weightName,
      sourceName: place.name,
      sourceShape: place.shape,
      convert: (data: ArrayLike<number>) => fromPyTorch(weightName, shape, data),
    };
  });
  assignWeights(targets, renamed, 'Is this ResNet-38 of the same width?');
  const used = new Set(targets.map((target) => target.sourceName));
  return {
    loaded: targets.length,
    unused: [...originalNames].filter(([official]) => !used.has(official)).map(([, name]) => name),
  };
}

function resNet38LayerNames(): Set<string> {
  const names = ['conv1a', 'bn7'];
  for (const { name, kind } of resNet38Blocks) {
    const units = ['bn_branch2a', 'conv_branch2a', 'bn_branch2b1', 'conv_branch2b1', 'conv_branch1'];
    if (kind === 'bottleneck') units.push('bn_branch2b2', 'conv_branch2b2');
    names.push(...units.map((unit) => `${name}.${unit}`));
  }
  return new Set(names);
}
