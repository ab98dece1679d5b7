/** Scores of one set of predictions or labels; fractions 0..1, null for a class that occurs nowhere. */
export interface Score {
  meanIoU: number;
  perClassIoU?: (number | null)[];
  pixelAccuracy?: number;
}

/** Scores of the pseudo labels of one stage. */
export interface PseudoLabelScore extends Score {
  stage: number;
  precision: number;
  recall: number;
  ignoredFraction?: number;
}

/** Scores of one stage on the validation images, by head: `initial`, `refined`, `refinedCrf`, ... */
export type ValidationScores = { stage: number } & { [head: string]: Score | number | undefined };

/** Scores of a training to compare with, such as segmentation only. */
export interface BaselineScore extends Score {
  name: string;
  description?: string;
  /** Stages' worth of training. */
  rounds?: number;
  head?: string;
  /** Stage of the main run that has seen the same number of steps; the last one if absent. */
  compareWithStage?: number;
}

/** `a` minus `b` in mIoU, with the interval of a paired bootstrap over images. */
export interface ComparisonResult {
  name: string;
  a?: string | number;
  b?: string | number;
  difference: number;
  low: number;
  high: number;
  /** Confidence of the interval, 0.95 if absent. */
  level?: number;
}

/** `summary.json` of a run directory; every part may be missing. */
export interface RunSummary {
  classes?: string[];
  pseudoLabels?: PseudoLabelScore[];
  saliency?: { stage: number; mae: number; maxFBeta: number }[];
  validation?: ValidationScores[];
  baselines?: BaselineScore[];
  comparisons?: ComparisonResult[];
  timings?: { step: string; seconds: number }[] | Record<string, number>;
}

/** `state.json` of a run directory, as far as it is shown. */
export interface RunState {
  name?: string;
  /** Foreground class names; label value = index + 1. */
  classes?: string[];
  stages?: number;
  backend?: string;
  steps?: { name: string; status: string; seconds?: number }[];
}

/** One line of `log.jsonl`. */
export interface LogEntry {
  time?: string;
  phase: string;
  step: number;
  totalSteps?: number;
  epoch?: number;
  lr?: number;
  losses: Record<string, number>;
}

export type PictureKind = 'photo' | 'cam' | 'saliency' | 'label' | 'prediction' | 'truth' | 'affinity';

/** The pictures of one image, from `pictures/index.json`. */
export interface PictureStrip {
  id: string;
  /** Names of the classes in the image. */
  labels: string[];
  split?: string;
  items: { title: string; file: string; kind: PictureKind; stage?: number }[];
}

/** Everything a page is made from. */
export interface RunData {
  /** Name of the folder, without its path. */
  folder: string;
  config: string | null;
  state: RunState | null;
  log: LogEntry[];
  /** Lines of the log that are no entries (a kill can cut off the last one). */
  brokenLogLines: number;
  summary: RunSummary | null;
  pictures: PictureStrip[];
  /** PNG bytes by `file` of the pictures' items; a missing file has no entry. */
  pictureFiles: Map<string, Uint8Array>;
  /** Strips that exist, of which `pictures` holds the first of each split. */
  pictureCount: number;
}
