import { DatasetError } from './dataset-error.js';
import type { Random } from './random.js';
import type { TransformOptions } from './types.js';

/** Where the pixels of one output come from: the image mirrored, resized to `scaledWidth` x `scaledHeight`, then cut or padded. */
export interface Geometry {
  readonly sourceWidth: number;
  readonly sourceHeight: number;
  readonly flip: boolean;
  readonly scaledWidth: number;
  readonly scaledHeight: number;
  readonly outputWidth: number;
  readonly outputHeight: number;
  /** First pixel taken from the resized image, and where it lands in the output. */
  readonly cutX: number;
  readonly cutY: number;
  readonly putX: number;
  readonly putY: number;
  readonly copyWidth: number;
  readonly copyHeight: number;
}

/** Multipliers of torchvision's colour jitter. */
export interface JitterFactors {
  readonly brightness: number;
  readonly contrast: number;
  readonly saturation: number;
}

export interface SamplePlan {
  readonly geometry: Geometry;
  readonly jitter: JitterFactors | null;
}

/** The largest side of a resized image: beyond it a scale is a mistake rather than a wish. */
const MAX_SIDE = 32768;

/** Checks a transform once, when a loader is created. @throws DatasetError 'bad-option' naming the option. */
export function checkTransform(transform: TransformOptions): void {
  const demand = (ok: boolean, name: string, expected: string, came: unknown): void => {
    if (!ok) {
      throw new DatasetError(
        'bad-option',
        `Expected transform.${name} to be ${expected}, came ${JSON.stringify(came)}.`,
        { option: name, came },
      );
    }
  };
  const side = (v: unknown): boolean => Number.isInteger(v) && (v as number) > 0 && (v as number) <= MAX_SIDE;
  const { resize, flip, scale, crop, padLabel, padSaliency, jitter } = transform;
  if (resize)
    demand(Object.values(resize).every(side), 'resize', `integers in 1..${MAX_SIDE} pixels`, resize);
  if (typeof flip === 'number') demand(flip >= 0 && flip <= 1, 'flip', 'a probability in 0..1', flip);
  if (scale) {
    demand(
      scale.min > 0 && scale.max >= scale.min && scale.max <= 100,
      'scale',
      '0 < min <= max <= 100',
      scale,
    );
    demand(
      scale.per === undefined || scale.per === 'sample' || scale.per === 'batch',
      'scale.per',
      "'sample' or 'batch'",
      scale.per,
    );
  }
  if (crop !== undefined)
    demand(
      typeof crop === 'number' ? side(crop) : side(crop.width) && side(crop.height),
      'crop',
      'one or two sides in pixels',
      crop,
    );
  if (padLabel !== undefined)
    demand(
      Number.isInteger(padLabel) && padLabel >= 0 && padLabel <= 255,
      'padLabel',
      'a label in 0..255',
      padLabel,
    );
  if (padSaliency !== undefined)
    demand(
      padSaliency === -1 || (padSaliency >= 0 && padSaliency <= 1),
      'padSaliency',
      'a value in 0..1, or -1 to mark padding',
      padSaliency,
    );
  for (const step of transform.custom ?? []) {
    demand(
      typeof step.module === 'string' && step.module !== '',
      'custom',
      'a list of { module, options }',
      step,
    );
  }
  for (const [name, v] of Object.entries(jitter ?? {}))
    demand(v === undefined || (v >= 0 && v <= 10), `jitter.${name}`, 'a number in 0..10', v);
}

/** The size an image has after `resize` and a scale factor. */
export function resizedSize(
  width: number,
  height: number,
  resize: TransformOptions['resize'],
  scale: number,
): { width: number; height: number } {
  let w = width;
  let h = height;
  if (resize && 'width' in resize) {
    w = resize.width;
    h = resize.height;
  } else if (resize) {
    const ratio =
      'longer' in resize ? resize.longer / Math.max(width, height) : resize.shorter / Math.min(width, height);
    w = width * ratio;
    h = height * ratio;
  }
  return { width: Math.max(1, Math.round(w * scale)), height: Math.max(1, Math.round(h * scale)) };
}

/**
 * Draws everything random about one sample. Every number is drawn whether it is used or not, so that switching one option off leaves the
 * others' draws as they were.
 * @param batchScale the scale drawn for the whole batch, when `scale.per` is 'batch'.
 */
export function planSample(
  size: { width: number; height: number },
  transform: TransformOptions,
  random: Random,
  batchScale: number | null,
): SamplePlan {
  const flipDraw = random.uniform(0, 1);
  const scaleDraw = random.uniform(0, 1);
  const xDraw = random.uniform(0, 1);
  const yDraw = random.uniform(0, 1);
  const jitterDraws = [random.uniform(-1, 1), random.uniform(-1, 1), random.uniform(-1, 1)];

  const probability = transform.flip === true ? 0.5 : transform.flip || 0;
  const range = transform.scale;
  const scale = range ? (batchScale ?? range.min + (range.max - range.min) * scaleDraw) : 1;
  const scaled = resizedSize(size.width, size.height, transform.resize, scale);

  const crop =
    typeof transform.crop === 'number' ? { width: transform.crop, height: transform.crop } : transform.crop;
  const outputWidth = crop?.width ?? scaled.width;
  const outputHeight = crop?.height ?? scaled.height;
  const center = typeof transform.crop === 'object' && transform.crop.position === 'center';
  // A larger image is cut at a random place, a smaller one put at a random place of the padding (as the official code does).
  const place = (from: number, to: number, draw: number): { cut: number; put: number; copy: number } => {
    const spare = Math.abs(from - to);
    const at = center ? spare >> 1 : Math.floor(draw * (spare + 1));
    return from >= to ? { cut: at, put: 0, copy: to } : { cut: 0, put: at, copy: from };
  };
  const x = place(scaled.width, outputWidth, xDraw);
  const y = place(scaled.height, outputHeight, yDraw);

  const j = transform.jitter;
  const factor = (strength: number | undefined, draw: number): number => {
    const low = Math.max(0, 1 - (strength ?? 0));
    const high = 1 + (strength ?? 0);
    return low + ((high - low) * (draw + 1)) / 2;
  };
  return {
    geometry: {
      sourceWidth: size.width,
      sourceHeight: size.height,
      flip: flipDraw < probability,
      scaledWidth: scaled.width,
      scaledHeight: scaled.height,
      outputWidth,
      outputHeight,
      cutX: x.cut,
      cutY: y.cut,
      putX: x.put,
      putY: y.put,
      copyWidth: x.copy,
      copyHeight: y.copy,
    },
    jitter: j
      ? {
          brightness: factor(j.brightness, jitterDraws[0]),
          contrast: factor(j.contrast, jitterDraws[1]),
          saturation: factor(j.saturation, jitterDraws[2]),
        }
      : null,
  };
}
