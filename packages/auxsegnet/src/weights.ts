import { type NamedTensor, readSafetensors, type TensorMap, writeSafetensors } from '@auxseg/formats';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import * as z from 'zod';
import { AuxSegNetError } from './auxsegnet-error.js';
import { type NetworkConfig, networkConfigSchema } from './network-config.js';

/** What a weight file of ours says about itself. */
export interface WeightsMetadata {
  network: NetworkConfig;
  /** Foreground class names. */
  classes: string[];
  /** 'auxsegnet' or 'classifier'. */
  kind: 'auxsegnet' | 'classifier';
  /** Longer side that images had in training before their augmentation, pixels; 0 = their own. */
  longSidePx?: number;
}

/** All weights of a model as named float32 tensors ('layer/kernel', TensorFlow layouts). */
export function modelToTensors(model: tfl.LayersModel): TensorMap {
  const tensors: TensorMap = new Map();
  for (const weight of model.weights) {
    const value = weight.read();
    tensors.set(weight.originalName, {
      dtype: 'float32',
      shape: [...value.shape],
      data: Float32Array.from(value.dataSync() as Float32Array),
    });
  }
  return tensors;
}

export interface LoadReport {
  loaded: string[];
  /** Weights of the model that the file does not hold. */
  missing: string[];
  /** Tensors of the file that the model does not have. */
  unexpected: string[];
}

/**
 * Copies tensors into a model's weights by name. A tensor of another shape, or with values that are not finite, is always
 * an error; missing and unexpected names are errors when `strict`. The model changes only when everything fits.
 */
export function loadTensors(
  model: tfl.LayersModel,
  tensors: TensorMap,
  { strict = true, source = 'the weight file' }: { strict?: boolean; source?: string } = {},
): LoadReport {
  const report: LoadReport = { loaded: [], missing: [], unexpected: [] };
  const wrong: string[] = [];
  const known = new Set<string>();
  for (const weight of model.weights) {
    const name = weight.originalName;
    known.add(name);
    const tensor = tensors.get(name);
    if (tensor === undefined) report.missing.push(name);
    else if (tensor.shape.join() !== weight.shape.join())
      wrong.push(`${name}: expected [${weight.shape}], got [${tensor.shape}]`);
    else report.loaded.push(name);
  }
  for (const name of tensors.keys()) if (!known.has(name)) report.unexpected.push(name);
  if (wrong.length > 0 || (strict && (report.missing.length > 0 || report.unexpected.length > 0))) {
    throw new AuxSegNetError(
      'BAD_WEIGHTS',
      [
        `Expected ${source} to hold the ${model.weights.length} weights of this network`,
        ...(wrong.length ? [`${wrong.length} of another shape (${some(wrong)})`] : []),
        ...(report.missing.length ? [`${report.missing.length} missing (${some(report.missing)})`] : []),
        ...(report.unexpected.length
          ? [`${report.unexpected.length} unexpected (${some(report.unexpected)})`]
          : []),
        'use the preset, width and number of classes that the file was made with',
      ].join('; '),
      { ...report, wrong },
    );
  }
  refuseUnusable(new Map(report.loaded.map((name) => [name, tensors.get(name)!])), source);
  writeWeights(model, tensors);
  return report;
}

/**
 * Refuses tensors that hold NaN or infinity, and 64-bit integers, which are counters or indices. A network with a NaN
 * among its weights still predicts: some backends' ReLU makes 0 of it.
 */
export function refuseUnusable(tensors: TensorMap, source: string): void {
  const unusable: string[] = [];
  for (const [name, tensor] of tensors) {
    const flaw = flawOf(tensor);
    if (flaw !== null) unusable.push(`${name}: ${flaw}`);
  }
  if (unusable.length === 0) return;
  throw new AuxSegNetError(
    'BAD_WEIGHTS',
    `Expected finite floating-point weights in ${source}; ${unusable.length} tensors are something else (${some(unusable)}). Did the training that wrote it diverge, or is the file damaged?`,
    { unusable },
  );
}

function flawOf({ dtype, data }: NamedTensor): string | null {
  if (dtype === 'int64') return dtype;
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return `${data[i]} at ${i}`;
  return null;
}

/** Copies checked tensors into the weights of their names. */
export function writeWeights(model: tfl.LayersModel, tensors: TensorMap): void {
  for (const weight of model.weights) {
    const tensor = tensors.get(weight.originalName);
    if (tensor === undefined) continue;
    const value = tf.tensor(ownFloats(tensor.data as Float32Array), tensor.shape);
    weight.write(value);
    value.dispose();
  }
}

/** Some backends keep the array they are given: a view would keep the whole file in memory. */
function ownFloats(data: Float32Array): Float32Array {
  const whole = data.byteLength === data.buffer.byteLength && data.BYTES_PER_ELEMENT === 4;
  return whole && Object.prototype.toString.call(data) === '[object Float32Array]'
    ? data
    : Float32Array.from(data);
}

/** A model and what is needed to rebuild it as one safetensors file. */
export function encodeModel(model: tfl.LayersModel, metadata: WeightsMetadata): Uint8Array {
  return writeSafetensors(modelToTensors(model), {
    format: 'auxseg',
    kind: metadata.kind,
    network: JSON.stringify(metadata.network),
    classes: JSON.stringify(metadata.classes),
    ...(metadata.longSidePx === undefined ? {} : { longSidePx: String(metadata.longSidePx) }),
  });
}

/** Reads a file written by `encodeModel`; `metadata` is null for any other safetensors file. */
export function decodeModel(
  bytes: Uint8Array,
  source = 'the weight file',
): { tensors: TensorMap; metadata: WeightsMetadata | null } {
  const { tensors, metadata } = readSafetensors(bytes);
  return { tensors, metadata: parseWeightsMetadata(metadata, source) };
}

const metadataSchema = z.object({
  network: networkConfigSchema,
  classes: z.array(z.string()).min(1),
  kind: z.enum(['auxsegnet', 'classifier']).default('auxsegnet'),
  // Files of before it was written have none.
  longSidePx: z.coerce.number().int().min(0).optional(),
});

/**
 * What the text beside the tensors of a safetensors file says about them; null when `encodeModel` did not write it.
 *
 * @throws AuxSegNetError BAD_WEIGHTS for a text that it cannot have written
 */
export function parseWeightsMetadata(
  text: Record<string, string>,
  source = 'the weight file',
): WeightsMetadata | null {
  if (text['format'] !== 'auxseg') return null;
  const unreadable = (reason: string) =>
    new AuxSegNetError(
      'BAD_WEIGHTS',
      `Expected the network's configuration in the metadata of ${source}, which auxseg wrote; ${reason}. Was the file edited, or written by a newer version?`,
    );
  let value: unknown;
  try {
    value = {
      network: JSON.parse(text['network'] ?? 'null'),
      classes: JSON.parse(text['classes'] ?? 'null'),
      kind: text['kind'],
      longSidePx: text['longSidePx'],
    };
  } catch (cause) {
    throw unreadable((cause as Error).message);
  }
  const parsed = metadataSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw unreadable(
    parsed.error.issues.map(({ path, message }) => `'${path.join('.')}': ${message}`).join(', '),
  );
}

function some(names: string[]): string {
  return names.length > 4 ? `${names.slice(0, 4).join(', ')}, ...` : names.join(', ');
}
