/**
 * CPU seconds and resident memory of one forward pass of AuxSegNet:
 *
 *   node bench/onnx/inference.mjs [--preset official] [--height 375] [--width 500] [--threads 1] [--backend onnx] [--runs 1]
 */
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import * as auxsegnet from '@auxseg/auxsegnet';
import { useBackend } from '@auxseg/runtime';
import * as tf from '@tensorflow/tfjs-core';

const { values } = parseArgs({
  options: {
    preset: { type: 'string', default: 'official' },
    height: { type: 'string', default: '375' },
    width: { type: 'string', default: '500' },
    threads: { type: 'string', default: '1' },
    backend: { type: 'string', default: 'onnx' },
    runs: { type: 'string', default: '1' },
  },
});
await useBackend(values.backend, { threads: Number(values.threads) });
const config = auxsegnet.resolveRecipe({ preset: values.preset }).network;
const network = auxsegnet.createNetworkFromConfig(config, 20, 1);
const image = tf.randomUniform([1, Number(values.height), Number(values.width), 3], -1, 1, 'float32', 1);
const weights = process.memoryUsage().rss;
for (let i = 0; i < Number(values.runs); i++) {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const outputs = auxsegnet.runNetwork(network, image, ['refinedSegmentation']);
  outputs.refinedSegmentation.dataSync();
  tf.dispose(Object.values(outputs));
  const used = process.cpuUsage(cpu);
  console.log(
    `${values.preset} ${values.height}x${values.width}: ${((performance.now() - start) / 1000).toFixed(2)} s, ` +
      `CPU ${((used.user + used.system) / 1e6).toFixed(2)} s, resident ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB ` +
      `(${(weights / 2 ** 20).toFixed(0)} before), peak ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`,
  );
}
