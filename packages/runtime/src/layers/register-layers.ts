import * as tf from '@tensorflow/tfjs-core';
import { ApplyAffinity, FuseAffinities, PairwiseAffinity } from './affinity-layers.js';
import { ChannelDropout } from './channel-dropout.js';
import { SymmetricConv2D, SymmetricDepthwiseConv2D } from './convolution-layers.js';
import { FrozenBatchNorm } from './frozen-batch-norm.js';
import { ResizeBilinear, ResizeBilinearLike } from './resize-layers.js';

/** Makes our layers known to tfjs's deserialiser, so that saved models load again; part of prepareRuntime(). */
export function registerLayers(): void {
  tf.serialization.registerClass(SymmetricConv2D);
  tf.serialization.registerClass(SymmetricDepthwiseConv2D);
  tf.serialization.registerClass(FrozenBatchNorm);
  tf.serialization.registerClass(ChannelDropout);
  tf.serialization.registerClass(ResizeBilinear);
  tf.serialization.registerClass(ResizeBilinearLike);
  tf.serialization.registerClass(PairwiseAffinity);
  tf.serialization.registerClass(ApplyAffinity);
  tf.serialization.registerClass(FuseAffinities);
}
