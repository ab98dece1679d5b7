import * as tf from '@tensorflow/tfjs-core';
import { registerGradients } from './gradients/register-gradients.js';
import { registerSecondOrderGradients } from './gradients/register-second-order.js';
import { registerHostKernels } from './kernels/host-kernels.js';
import { patchConvolutions } from './kernels/patch-convolutions.js';
import { prepareCpu } from './kernels/prepare-cpu.js';
import { prepareNode } from './kernels/prepare-node.js';
import { prepareWasm } from './kernels/prepare-wasm.js';
import { prepareWebgpu } from './kernels/prepare-webgpu.js';
import { registerLayers } from './layers/register-layers.js';

const preparedBackends = new Set<string>();
let layersRegistered = false;
let gradientOfConv2D: unknown;

/** Steps beyond the common ones, by backend. */
const extraSteps: Record<string, () => void> = {
  cpu: prepareCpu,
  onnx: () => registerHostKernels('onnx'),
  tensorflow: prepareNode,
  wasm: prepareWasm,
  webgpu: prepareWebgpu,
};

/** Registers our gradients unless they are registered: importing @tensorflow/tfjs, as tfjs-node does, puts its own in their place. */
function registerOurGradients(): void {
  if (gradientOfConv2D !== undefined && tf.getGradient('Conv2D') === gradientOfConv2D) return;
  registerGradients();
  registerSecondOrderGradients();
  gradientOfConv2D = tf.getGradient('Conv2D');
}

/** To be called after importing what may have replaced our gradients: brings them back if prepareRuntime() has been called. */
export function restoreGradients(): void {
  if (gradientOfConv2D !== undefined) registerOurGradients();
}

/**
 * Registers our gradients, our layers, and for every backend loaded so far our kernels.
 *
 * Call it after importing a backend or @tensorflow/tfjs by hand; useBackend() does so itself. Calling it again costs nothing and
 * prepares what has been loaded in between.
 */
export function prepareRuntime(): void {
  registerOurGradients();
  if (!layersRegistered) {
    layersRegistered = true;
    registerLayers();
  }
  for (const backend of ['cpu', 'wasm', 'onnx', 'webgpu', 'webgl', 'tensorflow']) {
    if (preparedBackends.has(backend) || tf.getKernel('Conv2D', backend) == null) continue;
    preparedBackends.add(backend);
    patchConvolutions(backend);
    extraSteps[backend]?.();
  }
}
