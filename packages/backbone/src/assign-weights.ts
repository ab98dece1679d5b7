import type { TensorMap } from '@auxseg/formats';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { BackboneError } from './backbone-error.js';

/** A layer's variable; tfjs-layers exports the class under no name. */
export type LayerVariable = tfl.layers.Layer['weights'][number];

/** One weight tensor of a model that a file should fill. */
export interface WeightTarget {
  variable: LayerVariable;
  /** `<layer>/<weight>`. */
  weightName: string;
  /** Name in the file, and the shape that it must have there. */
  sourceName: string;
  sourceShape: readonly number[];
  /** From the file's layout to ours. */
  convert: (data: ArrayLike<number>) => Float32Array;
}

/** The weights of the layers called `layerNames`, in the model's order, by the names that the layers gave them. */
export function weightsOfLayers(
  model: tfl.LayersModel,
  layerNames: ReadonlySet<string>,
): { variable: LayerVariable; weightName: string }[] {
  return model.layers
    .filter((layer) => layerNames.has(layer.name))
    .flatMap((layer) =>
      layer.weights.map((variable) => {
        // The variable's own name gets a suffix when a second model in the process has the same layers.
        const kind = variable.originalName.slice(variable.originalName.lastIndexOf('/') + 1);
        return { variable, weightName: `${layer.name}/${kind}` };
      }),
    );
}

/**
 * Fills every target or none.
 *
 * @throws BackboneError `bad-weights` listing every missing name, every wrong shape and every tensor that is not finite
 */
export function assignWeights(targets: readonly WeightTarget[], tensors: TensorMap, remedy: string): void {
  const missing: string[] = [];
  const wrong: string[] = [];
  const notFinite: string[] = [];
  for (const { sourceName, sourceShape } of targets) {
    const tensor = tensors.get(sourceName);
    if (!tensor) missing.push(sourceName);
    else if (
      tensor.shape.length !== sourceShape.length ||
      tensor.shape.some((size, axis) => size !== sourceShape[axis])
    ) {
      wrong.push(`${sourceName} [${tensor.shape.join(',')}] (expected [${sourceShape.join(',')}])`);
    } else if (tensor.dtype === 'int64') wrong.push(`${sourceName} ${tensor.dtype} (expected floats)`);
    // NaN in a frozen stem would reach no loss on backends whose ReLU makes 0 of it.
    else if (!allFinite(tensor.data as ArrayLike<number>)) notFinite.push(sourceName);
  }
  if (targets.length === 0 || missing.length > 0 || wrong.length > 0 || notFinite.length > 0) {
    const parts = [
      targets.length === 0 && 'the model has no layer of this backbone',
      missing.length > 0 && `${missing.length} missing: ${abridged(missing)}`,
      wrong.length > 0 && `${wrong.length} of the wrong shape: ${abridged(wrong)}`,
      notFinite.length > 0 && `${notFinite.length} with NaN or infinity: ${abridged(notFinite)}`,
    ].filter(Boolean);
    throw new BackboneError(
      'bad-weights',
      `Expected ${targets.length} weight tensors that fit the model; of the ${tensors.size} given, ${parts.join('; ')}. ${remedy}`,
      { missing, wrong, notFinite, given: tensors.size },
    );
  }
  for (const { variable, sourceName, convert } of targets) {
    const values = convert(tensors.get(sourceName)!.data as ArrayLike<number>);
    tf.tidy(() => {
      variable.write(tf.tensor(values, variable.shape as number[], 'float32'));
    });
  }
}

function allFinite(data: ArrayLike<number>): boolean {
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return false;
  return true;
}

/** How many names an error spells out; `details` has all of them. */
const namesInMessage = 6;

function abridged(names: readonly string[]): string {
  const shown = names.slice(0, namesInMessage).join(', ');
  return names.length > namesInMessage ? `${shown}, ... (${names.length - namesInMessage} more)` : shown;
}
