export { type CreateReportOptions, createReport } from './create-report.js';
export { DEFAULT_IMAGES_PER_SPLIT, readRunDirectory } from './read-run-directory.js';
export { renderReport } from './render-report.js';
export { colourHeatMap, type HeatMapOptions } from './renderers/colour-heat-map.js';
export { colourLabels, type LabelColourOptions } from './renderers/colour-labels.js';
export { type MarkPointOptions, markPoint } from './renderers/mark-point.js';
export { shrinkImage } from './renderers/shrink-image.js';
export { ReportError, type ReportErrorCode } from './report-error.js';
export type {
  BaselineScore,
  ComparisonResult,
  LogEntry,
  PictureKind,
  PictureStrip,
  PseudoLabelScore,
  RunData,
  RunState,
  RunSummary,
  Score,
  ValidationScores,
} from './run-data.js';
