import type * as tf from '@tensorflow/tfjs-core';
import { wrapKernel } from './patch-convolutions.js';

interface Limited {
  device: { limits: { maxStorageBuffersPerShaderStage: number } };
}

/**
 * tfjs's AddN binds every summand at once; with more of them than a shader may bind, the result keeps whatever its buffer
 * held. Here they are added in groups.
 */
export function prepareWebgpu(): void {
  wrapKernel('AddN', 'webgpu', (original, params) => {
    const tensors = params.inputs as unknown as tf.TensorInfo[];
    // One binding is the output's.
    const group = (params.backend as unknown as Limited).device.limits.maxStorageBuffersPerShaderStage - 1;
    if (tensors.length <= group) return original(params);
    const add = (inputs: tf.TensorInfo[]) =>
      original({ ...params, inputs: inputs as never }) as tf.TensorInfo;
    const backend = params.backend as unknown as { disposeData(dataId: object): boolean };
    let sum = add(tensors.slice(0, group));
    for (let next = group; next < tensors.length; next += group - 1) {
      const larger = add([sum, ...tensors.slice(next, next + group - 1)]);
      backend.disposeData(sum.dataId);
      sum = larger;
    }
    return sum;
  });
}
