export {
  type CocoSegmentation,
  rleFromBox,
  rleFromPolygon,
  rleFromPolygons,
  rleFromSegmentation,
} from './coco-polygons.js';
export {
  type BinaryMask,
  type CocoRle,
  decodeRle,
  encodeRle,
  mergeRle,
  paintRle,
  rleArea,
  rleFromCounts,
  rleFromString,
  rleToString,
} from './coco-rle.js';
export { FormatError, type FormatErrorCode } from './format-error.js';
export { readGrayPng, writeGrayPng } from './grey-png.js';
export type { GrayImage, ImageSize, LabelMap, RgbImage, ScoreMap } from './images.js';
export { type IndexedPng, readIndexedPng, writeIndexedPng } from './indexed-png.js';
export * as limits from './limits.js';
export { readMxnetParams, writeMxnetParams } from './mxnet-params.js';
export { type NpyHeader, readNpy, readNpyHeader, writeNpy } from './npy.js';
export { readNpz, writeNpz } from './npz.js';
export { readClassLabelsNpy, readPickledNpy } from './pickled-npy.js';
export type { DecodedPng, PngColorType, PngInfo } from './png-decode.js';
export { readPngInfo } from './png-info.js';
export {
  type PyTorchCheckpoint,
  type PyTorchCheckpointOptions,
  readPyTorchCheckpoint,
} from './pytorch-checkpoint.js';
export { readPngSamples } from './read-png-samples.js';
export { detectWeightsFormat, readWeights, type Weights, type WeightsFormat } from './read-weights.js';
export { resizeBilinear } from './resize-bilinear.js';
export { resizeNearest } from './resize-nearest.js';
export { readRgbPng, writeRgbPng } from './rgb-png.js';
export { readSafetensors, type Safetensors, writeSafetensors } from './safetensors.js';
export type { NamedTensor, TensorDType, TensorMap, TypedArray } from './tensors.js';
export { OpaqueObject } from './unpickle.js';
export { vocPalette } from './voc-palette.js';
export { writePyTorchCheckpoint } from './write-pytorch-checkpoint.js';
