export {
  type CheckDataOptions,
  checkData,
  type DataFinding,
  type DataFindingCode,
  type DataReport,
} from './check-data.js';
export { createLoader, type Loader, type LoaderOptions } from './create-loader.js';
export {
  createSyntheticDataset,
  type SyntheticDataset,
  type SyntheticDatasetOptions,
} from './create-synthetic-dataset.js';
export { DatasetError, type DatasetErrorCode } from './dataset-error.js';
export type { WholeImage } from './decode-whole-image.js';
export { hasTruth } from './has-truth.js';
export { imageIdOf } from './image-id.js';
export { IMAGE_EXTENSIONS, isImageName } from './is-image-name.js';
export { type IterateImagesOptions, iterateImages } from './iterate-images.js';
export { listImageFiles } from './list-image-files.js';
export { listVocSplits } from './list-voc-splits.js';
export { type CocoSplit, listCocoSplits, locateCocoSplit } from './locate-coco-split.js';
export { mapConcurrently } from './map-concurrently.js';
export { normalizationStatistics, normalizeImage } from './normalization.js';
export { type CocoDataset, type CocoDatasetOptions, openCocoDataset } from './open-coco-dataset.js';
export { type FolderDataset, type FolderDatasetOptions, openFolderDataset } from './open-folder-dataset.js';
export {
  labelsFromMask,
  openVocDataset,
  type VocDataset,
  type VocDatasetOptions,
  type VocLabelSource,
} from './open-voc-dataset.js';
export { type ListEntry, parseList } from './parse-list.js';
export { parsePalette } from './parse-palette.js';
export { parseVocAnnotation } from './parse-voc-annotation.js';
export { createRandom, type Random, randomPermutation } from './random.js';
export { type ReadImageOptions, readImage, readImageSize } from './read-image.js';
export { readMask } from './read-mask.js';
export { readTextFile } from './read-text-file.js';
export { recogniseLayout } from './recognise-layout.js';
export { repairMask } from './repair-mask.js';
export { type RepairMasksOptions, type RepairMasksResult, repairMasks } from './repair-masks.js';
export { type SynthesizeOptions, synthesizeDataset } from './synthesize-dataset.js';
export { SYNTHETIC_CLASSES } from './synthetic-scene.js';
export type {
  Batch,
  CustomTransform,
  CustomTransformFunction,
  Dataset,
  ImageSample,
  ImageSource,
  LabelTarget,
  Normalization,
  SaliencyTarget,
  SyntheticSceneOptions,
  TransformOptions,
} from './types.js';
export { VOC_CLASSES } from './voc-classes.js';
export { createWorkerPool, type WorkerPool } from './worker-pool.js';
export {
  digestDataset,
  type WriteDatasetOptions,
  type WriteDatasetResult,
  writeDataset,
} from './write-dataset.js';
