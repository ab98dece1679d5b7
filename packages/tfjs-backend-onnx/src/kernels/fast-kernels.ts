import type { KernelConfig } from '@tensorflow/tfjs-core';
import { binaryKernels } from './binary-kernels.js';
import { conv2DKernels } from './conv2d-kernels.js';
import { depthwiseKernels } from './depthwise-kernels.js';
import { fillKernels } from './fill-kernels.js';
import { layoutKernels } from './layout-kernels.js';
import { matMulKernels } from './mat-mul-kernels.js';
import { poolKernels } from './pool-kernels.js';
import { reductionKernels } from './reduction-kernels.js';
import { resizeKernels } from './resize-kernels.js';
import { scaleShiftKernels } from './scale-shift-kernels.js';
import { selectionKernels } from './selection-kernels.js';
import { softmaxKernels } from './softmax-kernels.js';
import { trainingKernels } from './training-kernels.js';
import { unaryKernels } from './unary-kernels.js';

/** Every kernel that this package implements itself; all others are the cpu backend's. */
export const fastKernels: readonly KernelConfig[] = [
  ...conv2DKernels,
  ...depthwiseKernels,
  ...matMulKernels,
  ...unaryKernels,
  ...binaryKernels,
  ...reductionKernels,
  ...softmaxKernels,
  ...layoutKernels,
  ...fillKernels,
  ...scaleShiftKernels,
  ...selectionKernels,
  ...resizeKernels,
  ...poolKernels,
  ...trainingKernels,
];
