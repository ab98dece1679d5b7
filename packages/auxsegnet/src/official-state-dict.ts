import { fromPyTorch, pyTorchPlace, toPyTorch } from '@auxseg/backbone';
import type { TensorMap } from '@auxseg/formats';
import type * as tfl from '@tensorflow/tfjs-layers';
import { AuxSegNetError } from './auxsegnet-error.js';
import { type LoadReport, modelToTensors, refuseUnusable, writeWeights } from './weights.js';

/**
 * Tensors of the authors' checkpoints that no output depends on: their non-local blocks hold a `g` and a `W_z` that the
 * forward pass does not use, and batch normalisations count their batches. They are kept beside the weights, so that a
 * round trip loses nothing.
 */
const unusedOfficial = /^(seg|sal)_att\.(g|W_z\.\d+)\.|\.num_batches_tracked$/;

export interface OfficialLoadReport extends LoadReport {
  /** Tensors of the file that the authors' forward pass does not use; give them back to `officialStateDict`. */
  unused: TensorMap;
}

/**
 * A network's weights under the authors' parameter names, in PyTorch's layouts (OIHW).
 *
 * @param unused tensors that `loadOfficialStateDict` found and the network does not need
 */
export function officialStateDict(model: tfl.LayersModel, unused: TensorMap = new Map()): TensorMap {
  const result: TensorMap = new Map();
  for (const [name, { shape, data }] of modelToTensors(model)) {
    const place = toPyTorch({ name, shape, data: data as Float32Array });
    if (place === undefined) {
      throw new AuxSegNetError(
        'BAD_WEIGHTS',
        `Expected a weight with a PyTorch counterpart, got ${name} [${shape}].`,
        { name },
      );
    }
    result.set(place.name, { dtype: 'float32', shape: [...place.shape], data: place.data });
  }
  for (const [name, tensor] of unused) result.set(name, tensor);
  return result;
}

/**
 * Loads a state dict with the authors' names into a network. A leading `module.` (DataParallel) is passed over. Shapes
 * must fit and values be finite; missing and unexpected names are errors when `strict`. The model changes only when
 * everything fits.
 */
export function loadOfficialStateDict(
  model: tfl.LayersModel,
  stateDict: TensorMap,
  { strict = true, source = 'the state dict' }: { strict?: boolean; source?: string } = {},
): OfficialLoadReport {
  const byName = withoutModulePrefix(stateDict, source);
  const unused: TensorMap = new Map();
  const ours: TensorMap = new Map();
  const wrong: string[] = [];
  const consumed: TensorMap = new Map();
  for (const weight of model.weights) {
    const shape = weight.shape as number[];
    const place = pyTorchPlace(weight.originalName, shape);
    const tensor = place && byName.get(place.name);
    if (place === undefined || tensor === undefined) continue;
    consumed.set(place.name, tensor);
    if (tensor.shape.join() !== place.shape.join()) {
      wrong.push(`${place.name}: expected [${place.shape}], got [${tensor.shape}]`);
      continue;
    }
    ours.set(weight.originalName, {
      dtype: 'float32',
      shape: [...shape],
      // Converted when it is copied into the model, one at a time: a large checkpoint is not held a second time.
      get data() {
        return fromPyTorch(weight.originalName, shape, tensor.data as Float32Array);
      },
    });
  }
  if (wrong.length > 0) {
    throw new AuxSegNetError(
      'BAD_WEIGHTS',
      `Expected ${source} to fit this network; ${wrong.length} tensors have another shape: ${wrong.slice(0, 4).join('; ')}. Is the number of classes or the width right?`,
      { wrong },
    );
  }
  const unexpected: string[] = [];
  for (const [name, tensor] of byName) {
    if (consumed.has(name)) continue;
    if (unusedOfficial.test(name)) unused.set(name, tensor);
    else unexpected.push(name);
  }
  const missing = model.weights
    .filter((weight) => !ours.has(weight.originalName))
    .map(
      (weight) => pyTorchPlace(weight.originalName, weight.shape as number[])?.name ?? weight.originalName,
    );
  if (strict && (missing.length > 0 || unexpected.length > 0)) {
    const some = (names: string[]) =>
      names.length > 4 ? `${names.slice(0, 4).join(', ')}, ...` : names.join(', ');
    throw new AuxSegNetError(
      'BAD_WEIGHTS',
      `Expected ${source} to hold exactly this network's parameters; ${missing.length} missing (${some(missing)}), ${unexpected.length} unexpected (${some(unexpected)}). Without strict loading, what fits is loaded.`,
      { missing, unexpected },
    );
  }
  refuseUnusable(consumed, source);
  writeWeights(model, ours);
  return { loaded: [...ours.keys()], missing, unexpected, unused };
}

/** Names as a network without DataParallel has them. */
function withoutModulePrefix(stateDict: TensorMap, source: string): TensorMap {
  const plain: TensorMap = new Map();
  for (const [name, tensor] of stateDict) {
    const bare = name.replace(/^module\./, '');
    if (plain.has(bare)) {
      throw new AuxSegNetError(
        'BAD_WEIGHTS',
        `Expected one tensor for ${bare} in ${source}, got it with and without the prefix 'module.'. Remove one of them from the file.`,
        { name: bare },
      );
    }
    plain.set(bare, tensor);
  }
  return plain;
}

/**
 * Loads a ResNet-38 classifier checkpoint (PSA, SEAM and their kin: the backbone and `fc8.weight`) into a classifier.
 *
 * A `fc8.weight` of K + 1 rows, as SEAM's, has the background's first, which is left out. Further tensors, such as SEAM's
 * `f9.weight`, are reported, and an error only when `strict`; missing ones always are, since training would start from noise.
 * @throws AuxSegNetError BAD_WEIGHTS listing what is missing, unexpected or of another shape
 */
export function loadClassifierStateDict(
  model: tfl.LayersModel,
  stateDict: TensorMap,
  { strict = false, source = 'the classifier checkpoint' }: { strict?: boolean; source?: string } = {},
): OfficialLoadReport {
  const tensors = withoutModulePrefix(stateDict, source);
  const fc8 = tensors.get('fc8.weight');
  const kernel = model.weights.find((weight) => weight.originalName === 'fc8/kernel');
  const [rows] = fc8?.shape ?? [];
  const features = fc8?.shape[1] ?? 0;
  if (fc8 !== undefined && kernel !== undefined && rows === (kernel.shape[3] as number) + 1) {
    tensors.set('fc8.weight', {
      dtype: fc8.dtype,
      shape: [rows - 1, ...fc8.shape.slice(1)],
      data: (fc8.data as Float32Array).slice(features),
    });
  }
  const report = loadOfficialStateDict(model, tensors, { strict, source });
  if (report.missing.length > 0) {
    throw new AuxSegNetError(
      'BAD_WEIGHTS',
      `Expected ${source} to hold a whole ResNet-38 classifier; ${report.missing.length} missing (${report.missing.slice(0, 4).join(', ')}). \`auxseg weights inspect\` lists what it holds.`,
      { missing: report.missing },
    );
  }
  return report;
}
