import * as z from 'zod';
import { AuxSegNetError } from './auxsegnet-error.js';
import { networkConfigSchema } from './network-config.js';
import { type PresetName, presetNames, presets } from './presets.js';

const fraction = z.number().min(0).max(1);
const range = z
  .tuple([z.number().positive(), z.number().positive().max(100)])
  .refine(([smallest, largest]) => smallest <= largest, 'Expected the smallest value before the largest');

const datasetSchema = z.strictObject({
  kind: z.enum(['voc', 'folder', 'synthetic', 'coco']),
  /** Folder of the data set; `--data` on the command line replaces it. */
  root: z.string().optional(),
  /** Split names (voc, coco, synthetic) or list files. Masks of `train` are never read for training. */
  train: z.string().default('train_aug'),
  /** Images of `train` on which pseudo labels are scored. */
  score: z.string().default('train'),
  val: z.string().default('val'),
  /** Keep only these foreground classes. */
  classes: z.array(z.string()).optional(),
  /** COCO only: 'labelled' (default) leaves out images without a region that is no crowd, 'all' keeps them. */
  include: z.enum(['labelled', 'all']).optional(),
  /** Images are resized so that their longer side has this many pixels before anything else; 0 keeps them. */
  longSidePx: z.int().min(0).default(0),
  /** Worker threads that decode and augment; 0 does it in the main thread. */
  workers: z.int().min(0).default(1),
  /** Synthetic set only: images per split and their side. */
  synthetic: z
    .strictObject({
      train: z.int().positive(),
      val: z.int().positive(),
      sizePx: z.int().min(32),
      seed: z.int(),
    })
    .optional(),
});

const saliencyShape = {
  /** unsupervised: the detector. */
  method: z.enum(['mbplus', 'rbd', 'combined']).default('combined'),
  /** files: folder of `<id>.png` (or .jpg, .webp, ...), relative to the data folder. */
  directory: z.string().optional(),
  /** files: what follows the id in file names, e.g. `_sal`. */
  suffix: z.string().optional(),
  /** files: value / 255 (default), or each map stretched to 0..1. */
  scale: z.enum(['255', 'min-max']).optional(),
  /** constant: the value. */
  value: fraction.default(0.5),
  /** prediction: a trained network (stage-k/model.safetensors of any run), whose saliency head is asked. */
  weights: z.string().optional(),
} as const;

const plainSaliencySources = [
  'files',
  'unsupervised',
  'constant',
  'prediction',
  'oracle',
  'dataset',
] as const;

const saliencySchema = z.strictObject({
  source: z.enum([...plainSaliencySources, 'combine']),
  ...saliencyShape,
  // The last two have no defaults, so that run directories made before they existed still belong to their recipes.
  /** combine: how the maps of `sources` become one; default mean. */
  rule: z.enum(['mean', 'max', 'product']).optional(),
  /** combine: the sources. */
  sources: z
    .array(z.strictObject({ source: z.enum(plainSaliencySources), ...saliencyShape }))
    .min(1)
    .optional(),
});

const scheduleShape = {
  epochs: z.int().positive(),
  batchSize: z.int().positive(),
  /** Batches whose gradients are averaged before one update. */
  accumulate: z.int().positive().default(1),
  lr: z.number().positive(),
  /** Multiplies the rate of parameters whose name holds seg, sal or fc8 (not cross_att). */
  headLrScale: z.number().positive().default(10),
  /** Exponent of the polynomial decay. */
  power: z.number().positive().default(0.9),
  warmupSteps: z.int().min(0).default(0),
  momentum: fraction.default(0.9),
  weightDecay: z.number().min(0).default(0),
  /** Side of the square crop; 0 uses the whole (resized) image, which then must all have one size. */
  cropPx: z.int().min(0),
  /** Random scale, uniform in this range. */
  scale: range.default([1, 1]),
  /** One scale per batch (authors) or per sample. */
  scalePer: z.enum(['batch', 'sample']).default('sample'),
  flip: z.boolean().default(true),
  /** Strength of brightness, contrast and saturation jitter, 0 = none. */
  colourJitter: z.number().min(0).max(1).default(0),
  /** Label of pixels that the crop adds: 255 = ignore; the authors' code teaches background (0). */
  paddingLabel: z.union([z.literal(0), z.literal(255)]).default(255),
  checkpointEverySteps: z.int().positive().default(50),
  /** Keep only what the backbone's blocks end in and compute the rest again in the backward pass: slower, less memory. */
  recompute: z.boolean().default(false),
  /** Threads that each train a part of every batch (data parallelism), with `threads` divided among them; on CPU backends. */
  replicas: z.int().min(1).max(64).default(1),
} as const;

const lossWeightsSchema = z.strictObject({
  classification: z.number().min(0).default(1),
  saliency: z.number().min(0).default(1),
  segmentation: z.number().min(0).default(1),
});

const kernelSchema = (bilateral: boolean) =>
  z.strictObject({
    sxy: z.number().positive(),
    ...(bilateral ? { srgb: z.number().positive() } : {}),
    compat: z.number(),
  }) as z.ZodType<{ sxy: number; srgb?: number; compat: number }>;

const crfSchema = z.strictObject({
  gaussian: kernelSchema(false),
  bilateral: kernelSchema(true),
  iterations: z.int().min(0),
});

const branchSchema = z.strictObject({
  /** Folder name under branches/. */
  name: z.string().regex(/^[a-z0-9][a-z0-9-]*$/),
  description: z.string().default(''),
  /** Start from the model of this stage (0 = from the backbone's initial weights). */
  fromStage: z.int().min(0).default(0),
  /** Train on the labels that this stage wrote. */
  labelsOfStage: z.int().min(0).default(0),
  /** Trainings in a row on the same labels, each with a new schedule, warm-started. */
  rounds: z.int().positive().default(1),
  affinity: networkConfigSchema.shape.affinity.shape.name.optional(),
  losses: lossWeightsSchema.optional(),
  /** The stage of the main run that the last round is compared with; an earlier round meets an earlier stage. */
  compareWithStage: z.int().min(0),
});

const recipeFields = z.strictObject({
  name: z.string().default('run'),
  preset: z.enum(presetNames),
  seed: z.int().default(1),
  backend: z.enum(['auto', 'onnx', 'wasm', 'cpu', 'webgpu', 'node', 'node-gpu']).default('auto'),
  /** Threads inside the backend's operations, shared among replicas, and workers of the CRF; 0 leaves the choice to them. */
  threads: z.int().min(0).default(0),
  data: datasetSchema,
  saliency: saliencySchema,
  network: networkConfigSchema,
  classifier: z.strictObject({
    ...scheduleShape,
    /** resnet38: a trained classifier (PSA's, SEAM's: `fc8.weight` beside the backbone) that is taken instead of training one. */
    weights: z.string().optional(),
    /** Output stride of the classifier's backbone where the backbone offers a choice. */
    outputStride: z.union([z.literal(4), z.literal(8), z.literal(16), z.literal(32)]).optional(),
  }),
  cam: z.strictObject({
    scales: z.array(z.number().positive()).min(1).default([1]),
    flip: z.boolean().default(true),
  }),
  pseudoLabel: z.strictObject({
    camThreshold: fraction.default(0.2),
    /** Foreground above; null takes what the saliency source states. */
    saliencyThreshold: fraction.nullable().default(0.06),
    /** Optional third zone: between this and saliencyThreshold the map says nothing; null = no such zone. */
    saliencyBackground: fraction.nullable().default(null),
    /** Saliency that the head of stage 1 learns as foreground, from this on; null = where the source says foreground begins. */
    saliencyTarget: fraction.nullable().default(null),
    /** The same for updated maps, which a CRF has sharpened; saliencyTarget is 0.5 there where nothing is said. */
    updated: z
      .strictObject({
        camThreshold: fraction.optional(),
        saliencyThreshold: fraction.nullable().optional(),
        saliencyBackground: fraction.nullable().optional(),
        saliencyTarget: fraction.optional(),
      })
      .default({}),
    /** Propagate CAMs by the affinity before fusion. */
    propagate: z.boolean().default(true),
  }),
  stages: z.int().min(0).default(4),
  /** What stage 1 starts from: the backbone's initial weights, or the classifier's where those are random. */
  warmStart: z.enum(['backbone', 'classifier']).default('backbone'),
  train: z.strictObject({
    ...scheduleShape,
    losses: lossWeightsSchema.default({ classification: 1, saliency: 1, segmentation: 1 }),
  }),
  crf: z.strictObject({ saliency: crfSchema, segmentation: crfSchema }),
  evaluation: z.strictObject({
    scales: z.array(z.number().positive()).min(1).default([1]),
    flip: z.boolean().default(false),
    scaleFusion: z.enum(['mean', 'max']).default('max'),
    /** Also score every stage's refined head after the segmentation CRF. */
    crf: z.boolean().default(true),
    bootstrapSamples: z.int().positive().default(1000),
  }),
  branches: z.array(branchSchema).default([]),
  pictures: z.int().min(0).default(6),
});

/** A recipe: everything that a run needs besides the data; `run` writes it, resolved, to config.yaml. */
export const recipeSchema = recipeFields.superRefine(({ stages, branches }, context) => {
  // Found here, and not by the branch when the whole run lies behind it.
  branches.forEach((branch, index) => {
    const complain = (key: keyof typeof branch, message: string) =>
      context.addIssue({ code: 'custom', path: ['branches', index, key], message });
    for (const key of ['fromStage', 'labelsOfStage'] as const)
      if (branch[key] > stages) complain(key, `Expected a stage of this recipe, 0 to ${stages}`);
    if (branches.findIndex(({ name }) => name === branch.name) < index)
      complain('name', 'Expected a name that no branch before it has');
  });
});

export type Recipe = z.infer<typeof recipeSchema>;
export type SaliencySettings = z.infer<typeof saliencySchema>;
export type Schedule = z.infer<z.ZodObject<typeof scheduleShape>>;
export type Branch = z.infer<typeof branchSchema>;
export type LossWeights = z.infer<typeof lossWeightsSchema>;
export type CrfConfig = z.infer<typeof crfSchema>;

/**
 * Turns what a user wrote (YAML already parsed) into a full recipe: preset defaults, then the user's values, then
 * `overrides` ('train.epochs=2'). Throws AuxSegNetError BAD_RECIPE that lists every problem with its path, and for a
 * misspelt key the nearest known one.
 */
export function resolveRecipe(
  input: unknown,
  { overrides = [], source = 'the recipe' }: { overrides?: readonly string[]; source?: string } = {},
): Recipe {
  if (!isObject(input)) {
    throw new AuxSegNetError(
      'BAD_RECIPE',
      `Expected ${source} to be a mapping of keys to values, got ${describe(input)}.`,
    );
  }
  const user = structuredClone(input);
  for (const override of overrides) applyOverride(user, override);
  const preset = user['preset'];
  if (typeof preset !== 'string' || !(preset in presets)) {
    throw new AuxSegNetError(
      'BAD_RECIPE',
      `Expected 'preset' in ${source} to be one of ${presetNames.join(', ')}, got ${describe(preset)}.`,
      { preset },
    );
  }
  const parsed = recipeSchema.safeParse(mergeDeep(presets[preset as PresetName], user));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => {
    const at = issue.path.join('.');
    if (issue.code === 'unrecognized_keys') {
      const known = keysAt(recipeSchema, issue.path as (string | number)[]);
      return issue.keys
        .map((key) => {
          const near = nearest(key, known);
          return `unknown key '${at ? `${at}.` : ''}${key}'${near ? ` (did you mean '${near}'?)` : ''}; known here: ${known.join(', ')}`;
        })
        .join('; ');
    }
    return `'${at}': ${issue.message}, got ${describe(valueAt(user, issue.path as (string | number)[]))}`;
  });
  throw new AuxSegNetError(
    'BAD_RECIPE',
    `${source} has ${problems.length} problem(s): ${problems.join(' | ')}`,
    {
      problems,
    },
  );
}

/** Recursively merges plain objects; arrays and scalars of `over` replace. */
export function mergeDeep(base: unknown, over: unknown): unknown {
  if (!isObject(base) || !isObject(over)) return over === undefined ? base : over;
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over))
    merged[key] = key in base ? mergeDeep(base[key], value) : value;
  return merged;
}

function applyOverride(target: Record<string, unknown>, override: string): void {
  const equals = override.indexOf('=');
  if (equals < 1) {
    throw new AuxSegNetError(
      'BAD_RECIPE',
      `Expected --set key=value (for example train.epochs=2), got '${override}'.`,
    );
  }
  const path = override.slice(0, equals).split('.');
  const text = override.slice(equals + 1);
  let value: unknown = text;
  try {
    value = JSON.parse(text);
  } catch {
    // Not JSON: a plain word such as identity or wasm.
  }
  let at = target;
  for (const key of path.slice(0, -1)) {
    if (!isObject(at[key])) at[key] = {};
    at = at[key] as Record<string, unknown>;
  }
  at[path[path.length - 1]] = value;
}

function keysAt(schema: z.ZodType, path: (string | number)[]): string[] {
  let at = unwrap(schema);
  for (const part of path) {
    if (at instanceof z.ZodObject) at = unwrap(at.shape[part as string] as z.ZodType);
    else if (at instanceof z.ZodArray) at = unwrap(at.element as z.ZodType);
    else return [];
  }
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

function unwrap(schema: z.ZodType): z.ZodType {
  let at = schema;
  while (at instanceof z.ZodDefault || at instanceof z.ZodOptional || at instanceof z.ZodNullable) {
    at = at.unwrap() as z.ZodType;
  }
  return at;
}

function nearest(word: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

function valueAt(value: unknown, path: (string | number)[]): unknown {
  let at = value;
  for (const key of path) at = (at as Record<string | number, unknown> | undefined)?.[key];
  return at;
}

function describe(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
