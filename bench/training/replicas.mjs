/**
 * Data-parallel threads against threads inside operations: one training step of a preset on 2 processors, both ways in turn.
 *
 *   node bench/training/replicas.mjs [--preset mobilenet] [--size 161] [--batch 4] [--replicas 2] [--rounds 5] [--json]
 *
 * "intra" is one replica whose operations use `replicas` threads; "replicas" as many threads with an operation thread each.
 * Each way has a process of its own. Wall clock: the ratio (intra / replicas, above 1: replicas are faster) is the median
 * over the rounds.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values: args } = parseArgs({
  options: {
    preset: { type: 'string', default: 'mobilenet' },
    size: { type: 'string', default: '161' },
    batch: { type: 'string', default: '4' },
    classes: { type: 'string', default: '6' },
    replicas: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
    serve: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (args.help) {
  console.log(
    'Usage: node bench/training/replicas.mjs [--preset mobilenet] [--size 161] [--batch 4] [--replicas 2] [--rounds 5] [--json]',
  );
  process.exit(0);
}
const [size, count, classes, replicas] = ['size', 'batch', 'classes', 'replicas'].map((name) =>
  Number(args[name]),
);

async function serve(parts) {
  const auxsegnet = await import('@auxseg/auxsegnet');
  const { setRandomKey, useBackend } = await import('@auxseg/runtime');
  const { createSgd } = await import('@auxseg/trainer');
  const { createReplicas } = await import('@auxseg/trainer/node');
  const tf = await import('@tensorflow/tfjs-core');
  // Parts of the package that it does not export: this measures them, not an interface.
  const dist = new URL(
    './pipeline/',
    pathToFileURL(createRequire(import.meta.url).resolve('@auxseg/auxsegnet')),
  );
  const { lossOfBatch, splitBatch } = await import(new URL('batch-loss.js', dist).href);
  const threads = parts === 1 ? replicas : 1;
  await useBackend('onnx', { threads });
  const config = auxsegnet.resolveRecipe({ preset: args.preset }).network;
  const network = auxsegnet.createNetworkFromConfig(config, classes, 1);
  const variables = network.model.trainableWeights.map((weight) => weight.read());
  const whole = { classification: 1, saliency: 1, segmentation: 1 };
  const loss = { losses: whole, saliencyTarget: 0.5, recompute: false };
  const source = createReplicas({
    replicas: parts,
    model: { variables: () => variables, loss: (part) => lossOfBatch(network, part, loss) },
    random: { setKey: setRandomKey },
    split: ({ batch }, n) => splitBatch(batch, n),
    worker: new URL('replica-worker.js', dist),
    workerData: {
      ...{ backend: 'onnx', threads, kind: 'auxsegnet', config, numClasses: classes, loss },
      weights: network.model.weights.map((weight) => Float32Array.from(weight.read().dataSync())),
    },
  });
  const random = (length, seed) =>
    tf.tidy(() => tf.randomUniform([length], 0, 1, 'float32', seed).dataSync().slice());
  const pixels = count * size * size;
  const batch = {
    ids: Array.from({ length: count }, (_, i) => String(i)),
    count,
    height: size,
    width: size,
    images: random(pixels * 3, 1).map((v) => 2 * v - 1),
    labels: random(count * classes, 2).map((v) => (v > 0.5 ? 1 : 0)),
    saliency: random(pixels, 3),
    segmentation: Uint8Array.from(random(pixels, 4), (v) => v * (classes + 1)),
  };
  const sgd = createSgd({ groups: [{ name: 'all', variables, weightDecay: 1e-4 }], momentum: 0.9 });
  let step = 0;
  for await (const _ of createInterface({ input: process.stdin })) {
    const start = performance.now();
    const at = { step, microStep: 0, epoch: 0, training: true };
    const { losses, gradients } = await source.compute({ batch, shares: whole }, at, step++);
    sgd.step(gradients, 1e-5);
    tf.dispose(gradients);
    console.log(
      JSON.stringify({
        ms: performance.now() - start,
        loss: losses.total,
        MiB: process.memoryUsage().rss / 2 ** 20,
      }),
    );
  }
  await source.close();
}

function start(parts) {
  const child = spawn(
    process.execPath,
    [fileURLToPath(import.meta.url), ...process.argv.slice(2), '--serve', String(parts)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async step() {
      child.stdin.write('\n');
      const { value, done } = await lines.next();
      if (done) throw new Error('the other process ended');
      return JSON.parse(value);
    },
    async stop() {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}

if (args.serve !== undefined) {
  await serve(Number(args.serve));
} else {
  const median = (list) => [...list].sort((x, y) => x - y)[list.length >> 1];
  const ways = [start(1), start(replicas)];
  for (let i = 0; i < 2; i++) for (const way of ways) await way.step();
  const rounds = [];
  for (let i = 0; i < Number(args.rounds); i++) rounds.push([await ways[0].step(), await ways[1].step()]);
  for (const way of ways) await way.stop();
  const [intra, parallel] = [0, 1].map((i) => rounds.map((round) => round[i]));
  const result = {
    ...{ preset: args.preset, size, batch: count, replicas },
    intraMs: +median(intra.map(({ ms }) => ms)).toFixed(1),
    replicasMs: +median(parallel.map(({ ms }) => ms)).toFixed(1),
    fastestIntraMs: +Math.min(...intra.map(({ ms }) => ms)).toFixed(1),
    fastestReplicasMs: +Math.min(...parallel.map(({ ms }) => ms)).toFixed(1),
    ratio: +median(rounds.map(([a, b]) => a.ms / b.ms)).toFixed(2),
    lossDifference: Math.abs(intra.at(-1).loss - parallel.at(-1).loss),
    residentMiB: [intra, parallel].map((way) => Math.round(way.at(-1).MiB)),
  };
  console.log(args.json ? JSON.stringify(result) : result);
}
