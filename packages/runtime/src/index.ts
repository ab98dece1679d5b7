export type { BackendOptions, ConcreteBackend } from './backends/backend-loaders.js';
export { changeThreads } from './backends/change-threads.js';
export { type BackendStatus, listBackends } from './backends/list-backends.js';
export { automaticOrder, type BackendChoice, type BackendName, useBackend } from './backends/use-backend.js';
export { type BackendReport, type BackendsReport, examineBackends } from './doctor/examine-backends.js';
export { type BackendSpeed, type MeasureOptions, measureBackend } from './doctor/measure-backend.js';
export {
  formatKernelProfile,
  type KernelProfile,
  type KernelTime,
  profileKernels,
} from './doctor/profile-kernels.js';
export { RuntimeError } from './errors.js';
export type { ConvGeometry, Pads } from './gradients/conv-geometry.js';
export { runWithGradient, type SaveTensors } from './gradients/run-with-gradient.js';
export { kernelNames } from './kernels/kernel-names.js';
export {
  ApplyAffinity,
  applyAffinity,
  FuseAffinities,
  type FuseAffinitiesOptions,
  fuseAffinities,
  PairwiseAffinity,
  pairwiseAffinity,
} from './layers/affinity-layers.js';
export {
  ChannelDropout,
  type ChannelDropoutOptions,
  channelDropout,
  setRandomKey,
} from './layers/channel-dropout.js';
export {
  type Conv2DOptions,
  type ConvolutionLayerOptions,
  conv2d,
  type DepthwiseConv2DOptions,
  depthwiseConv2d,
  type Size2D,
  SymmetricConv2D,
  SymmetricDepthwiseConv2D,
} from './layers/convolution-layers.js';
export { FrozenBatchNorm, type FrozenBatchNormOptions, frozenBatchNorm } from './layers/frozen-batch-norm.js';
export type { InitializerLike, InitializerName } from './layers/initializers.js';
export { layerSeed } from './layers/layer-seed.js';
export {
  ResizeBilinear,
  ResizeBilinearLike,
  type ResizeLayerOptions,
  resizeLayer,
  resizeLike,
} from './layers/resize-layers.js';
export type { Activation } from './ops/activation.js';
export { applyAffinityTo, pairwiseAffinityOf } from './ops/affinity.js';
export { type ConvolutionOptions, convolution } from './ops/convolution.js';
export { composeFusedAffinity, type FusionWeights, fuseAffinityMaps } from './ops/fuse-affinities.js';
export { resizeBilinear, upsampleLike } from './ops/resize-bilinear.js';
export { frozenScaleShift } from './ops/scale-shift.js';
export { composeSgdUpdate, type SgdUpdate, updateBySgd } from './ops/sgd-update.js';
export { fusedSoftmaxCrossEntropy } from './ops/softmax-cross-entropy.js';
export { prepareRuntime } from './prepare-runtime.js';
export { disposeModel } from './training/dispose-model.js';
export { recompute } from './training/recompute.js';
export { type RunModelOptions, runModel } from './training/run-model.js';
export { type VariableGradients, variableGradients } from './training/variable-gradients.js';
