import type { TensorMap } from '@auxseg/formats';
import type * as tfl from '@tensorflow/tfjs-layers';
import { assignWeights, weightsOfLayers } from './assign-weights.js';
import { mobileNetV2Layers } from './mobilenet-v2-layers.js';
import type { LoadReport } from './types.js';

/**
 * Fills the MobileNetV2 layers of a model, alone or inside a larger network, from tensors with Keras's names.
 *
 * Names are `<layer>/kernel` [kh,kw,in,out], `<layer>/depthwise_kernel` [3,3,C,1], `<layer>/bias`, batch norm folded
 * in. Every layer of the backbone must be there; further tensors are reported, not refused. The model changes only
 * when everything fits.
 *
 * @throws BackboneError `bad-weights` naming what is missing, has another shape or holds NaN
 */
export function loadMobileNetV2Weights(model: tfl.LayersModel, tensors: TensorMap): LoadReport {
  const names = new Set(mobileNetV2Layers(1, 32).map((layer) => layer.name));
  const targets = weightsOfLayers(model, names).map(({ variable, weightName }) => ({
    variable,
    weightName,
    sourceName: weightName,
    sourceShape: variable.shape as number[],
    convert: (data: ArrayLike<number>) => Float32Array.from(data),
  }));
  assignWeights(
    targets,
    tensors,
    'Is this MobileNetV2 of the same width, with batch norm folded into the convolutions?',
  );
  const used = new Set(targets.map((target) => target.sourceName));
  return { loaded: targets.length, unused: [...tensors.keys()].filter((name) => !used.has(name)) };
}
