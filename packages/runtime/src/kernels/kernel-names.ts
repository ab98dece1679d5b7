/**
 * Kernels through which a backend may offer its own version of what we need; each is optional.
 *
 * Geometry attributes are `strides` [sh,sw], `pads` [top,bottom,left,right] and `dilations` [dh,dw]. Activations are
 * `linear`, `relu` or `relu6`. A backend without a kernel gets a composition of tf operations.
 */
export const kernelNames = {
  /** {dy, filter}, geometry + inputShape -> gradient of conv2d's input */
  convInputGradient: 'AuxConv2DGradInput',
  /** {x, dy}, geometry + filterShape -> gradient of conv2d's filter */
  convFilterGradient: 'AuxConv2DGradFilter',
  /** {dy, filter}, geometry + inputShape -> gradient of depthwiseConv2d's input */
  depthwiseInputGradient: 'AuxDepthwiseGradInput',
  /** {x, dy}, geometry + filterShape -> gradient of depthwiseConv2d's filter */
  depthwiseFilterGradient: 'AuxDepthwiseGradFilter',
  /** {x [kh,kw,C,K]}, rotate -> [kh,kw,K,C], rotated by 180 degrees on request */
  transposeFilter: 'AuxTransposeFilter',
  /** {x, scale, shift}, activation -> activation(x * scale + shift) */
  scaleShift: 'AuxScaleShift',
  /** {dy, scale, y?}, activation -> gradient of scaleShift's x */
  scaleShiftGradient: 'AuxScaleShiftGrad',
  /** {dy, y}, activation -> dy where the activation with output y lets it through */
  activationGradient: 'AuxActivationGrad',
  /** {dy, y} -> gradient of a softmax over the last axis with result y */
  softmaxGradient: 'AuxSoftmaxGrad',
  /** {x [..., C]} -> sums over all axes but the last, [C] */
  columnSums: 'AuxColumnSums',
  /** {dy}, inputShape, alignCorners, halfPixelCenters -> gradient of a bilinear resize */
  resizeBilinearGradient: 'AuxResizeBilinearGrad',
  /** {seg, sal, conv1, conv2, bias} -> fused affinity (method.md 2.3) */
  fuseAffinities: 'AuxFuseAffinities',
  /** {seg, sal, conv1, conv2, bias, dy} -> gradients of the five */
  fuseAffinitiesGradient: 'AuxFuseAffinitiesGrad',
  /** {logits [..., C], labels int32 [...]}, ignoreLabel -> [mean cross-entropy, its gradient] */
  softmaxCrossEntropy: 'AuxSoftmaxCrossEntropy',
  /** {variable, velocity?, gradient}, momentum, weightDecay, rate -> changes the first two; null if it did nothing */
  sgd: 'AuxSgd',
} as const;
