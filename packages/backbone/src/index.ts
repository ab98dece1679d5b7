export { BackboneError, type BackboneErrorCode } from './backbone-error.js';
export { calibrateTinyResNet } from './calibrate-tiny-resnet.js';
export { loadMobileNetV2Weights } from './load-mobilenet-v2-weights.js';
export { loadResNet38Weights } from './load-resnet38-weights.js';
export { createMobileNetV2, type MobileNetV2Options } from './mobilenet-v2.js';
export { type MobileNetV2Layer, mobileNetV2Layers } from './mobilenet-v2-layers.js';
export { pyTorchNameOfMxnet } from './mxnet-names.js';
export {
  fromPyTorch,
  type NamedWeight,
  type PyTorchPlace,
  pyTorchPlace,
  toPyTorch,
} from './pytorch-layout.js';
export { createResNet38, type ResNet38Options } from './resnet38.js';
export {
  type BasicBlock,
  type BottleneckBlock,
  type ResNet38Block,
  resNet38Blocks,
} from './resnet38-blocks.js';
export { createTinyResNet, type TinyResNetOptions } from './tiny-resnet.js';
export type { Backbone, FeatureMaps, LoadReport } from './types.js';
