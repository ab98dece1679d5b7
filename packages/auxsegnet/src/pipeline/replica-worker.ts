import { type BackendName, setRandomKey, useBackend } from '@auxseg/runtime';
import { serveReplica } from '@auxseg/trainer/node';
import * as tf from '@tensorflow/tfjs-core';
import { type AuxSegNet, backboneFromConfig, createClassifier, createNetworkFromConfig } from '../network.js';
import type { NetworkConfig } from '../network-config.js';
import { type BatchLossOptions, lossOfBatch, type TrainingPart } from './batch-loss.js';

/** What a replica's thread builds its network from. */
export interface ReplicaOptions {
  backend: BackendName;
  threads: number;
  kind: 'auxsegnet' | 'classifier';
  config: NetworkConfig;
  numClasses: number;
  /** All weights of the main thread's model in its order, the frozen ones included. */
  weights: Float32Array[];
  loss: BatchLossOptions;
}

function networkOf({ kind, config, numClasses }: ReplicaOptions): AuxSegNet {
  return kind === 'classifier'
    ? createClassifier({
        backbone: backboneFromConfig(config.backbone),
        numClasses,
        dropout: config.head.dropout,
      })
    : createNetworkFromConfig(config, numClasses);
}

await serveReplica<TrainingPart, ReplicaOptions>(async (options) => {
  await useBackend(options.backend, { threads: options.threads });
  const network = networkOf(options);
  network.model.weights.forEach((weight, index) => {
    const value = tf.tensor(options.weights[index], weight.shape as number[], 'float32');
    weight.write(value);
    value.dispose();
  });
  const variables = network.model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  return {
    model: {
      variables: () => variables,
      loss: (part) => lossOfBatch(network, part, options.loss),
    },
    random: { setKey: setRandomKey },
  };
});
