/** Speed of training steps and inference against other backends and PyTorch; `node bench/training/run.mjs --help`. */
import { spawn } from 'node:child_process';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cases } from './cases.mjs';

const help = `Usage: node bench/training/run.mjs [--cases a,b] [--threads 1,2] [--ours onnx] [--against wasm,torch] [--rounds 5]
                                  [--clock wall|cpu] [--recompute] [--python python3] [--json]

Each contender is a process of its own that waits for requests; in every round each makes one step in turn, so that
other load meets all alike. Ratios are medians over the rounds of (other's time / our time in the same round): above 1
ours is faster.

--cases     any of:
${Object.entries(cases)
  .map(([name, { title }]) => `              ${name.padEnd(5)} ${title}`)
  .join('\n')}
--threads   intra-op threads of all contenders
--ours      onnx (default); or replicas, which is onnx with data-parallel threads instead of threads in operations (networks
            in training only)
--against   any of wasm, node, torch, cpu, onnx; or none
--warm-up   untimed steps of each (default 2; the first builds and packs)
--clock     wall (default), or cpu: processor time of all threads of the process, for a machine that others load as well
--recompute ours keeps block borders only and computes activations again in the backward pass
--python    an interpreter that imports torch
--json      one line of JSON for each case and number of threads

torch is tools/reference/auxsegnet: the same layers, trainable parts, losses, and SGD step with momentum and decay.
node is tfjs-node as the runtime repairs it, in the folder that AUXSEG_TFJS_NODE names (tools/tfjs-node builds one).`;

const { values: args } = parseArgs({
  options: {
    cases: { type: 'string', default: 'a,b,e41,e63,d,c' },
    threads: { type: 'string', default: '1' },
    ours: { type: 'string', default: 'onnx' },
    against: { type: 'string', default: 'wasm,torch' },
    rounds: { type: 'string', default: '5' },
    'warm-up': { type: 'string', default: '2' },
    clock: { type: 'string', default: 'wall' },
    recompute: { type: 'boolean', default: false },
    python: { type: 'string', default: 'python3' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (args.help) {
  console.log(help);
  process.exit(0);
}
const chosen = args.cases.split(',');
const unknown = chosen.filter((name) => !(name in cases));
const { ours } = args;
function refuse(reason) {
  console.error(`${reason}.\n\n${help}`);
  process.exit(2);
}
if (unknown.length > 0) refuse(`Unknown case ${unknown.join(', ')}`);
if (!['wall', 'cpu'].includes(args.clock)) refuse('Unknown clock');
if (!['onnx', 'replicas'].includes(ours)) refuse('Unknown --ours');
if (ours === 'replicas' && chosen.some((name) => cases[name].kind !== 'training')) {
  refuse('Replicas train networks only');
}

const here = (file) => fileURLToPath(new URL(file, import.meta.url));

async function start(contender, options, threads) {
  const text = JSON.stringify(options);
  const [command, parameters] =
    contender === 'torch'
      ? [args.python, [here('torch_steps.py'), text, threads]]
      : [
          process.execPath,
          [
            here('tfjs-steps.mjs'),
            text,
            contender,
            threads,
            ...(args.recompute && contender === ours ? ['--recompute'] : []),
          ],
        ];
  const child = spawn(command, parameters, { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await answers.next();
    if (done) throw new Error(`${contender} ended`);
    return JSON.parse(value);
  };
  const ready = await answer();
  if (ready.error !== undefined) {
    console.error(ready.error);
    process.exit(2);
  }
  return {
    contender,
    ready,
    step() {
      child.stdin.write('\n');
      return answer();
    },
    stop: () => child.stdin.end(),
  };
}

const median = (list) => [...list].sort((x, y) => x - y)[list.length >> 1];

async function measure(name, threads) {
  const { torch = true, ...options } = cases[name];
  const against = args.against
    .split(',')
    .filter((other) => other !== '' && other !== 'none' && (other !== 'torch' || torch))
    // Full width does not fit into wasm's heap.
    .filter((other) => other !== 'wasm' || !['c', 'd'].includes(name));
  const contenders = [];
  try {
    for (const contender of [ours, ...against]) contenders.push(await start(contender, options, threads));
    const [{ ready }] = contenders;
    for (const other of contenders) {
      if (other.ready.parameters !== ready.parameters) {
        throw new Error(
          `${other.contender} trains ${other.ready.parameters} numbers in ${other.ready.tensors} tensors, ${ours} ${ready.parameters} in ${ready.tensors}`,
        );
      }
    }
    for (let i = 0; i < Number(args['warm-up']); i++) for (const one of contenders) await one.step();
    const rounds = [];
    for (let i = 0; i < Number(args.rounds); i++) {
      const round = {};
      for (const one of contenders) round[one.contender] = await one.step();
      rounds.push(round);
    }
    const MiB = (bytes) => Math.round(bytes / 2 ** 20);
    const result = {
      case: name,
      title: options.title,
      threads: Number(threads),
      clock: args.clock,
      rounds: rounds.length,
      trained: ready,
    };
    for (const { contender } of contenders) {
      const own = rounds.map((round) => round[contender]);
      result[contender] = {
        medianMs: +median(own.map((step) => step[args.clock])).toFixed(1),
        fastestMs: +Math.min(...own.map((step) => step[args.clock])).toFixed(1),
        cpuMs: +median(own.map((step) => step.cpu)).toFixed(1),
        residentMiB: MiB(own.at(-1).resident),
        peakMiB: MiB(own.at(-1).peak),
        ...(contender === ours && own[0].tensors !== own.at(-1).tensors ? { leaks: true } : {}),
        ...(contender === ours
          ? {}
          : {
              ratio: +median(
                rounds.map((round) => round[contender][args.clock] / round[ours][args.clock]),
              ).toFixed(2),
            }),
      };
    }
    return result;
  } finally {
    for (const one of contenders) one.stop();
  }
}

if (!args.json) {
  console.log(
    `${cpus()[0].model}, ${availableParallelism()} cores, load ${loadavg()[0].toFixed(1)}; ${args.clock} clock, ${args.rounds} rounds`,
  );
}
for (const name of chosen) {
  for (const threads of args.threads.split(',')) {
    const result = await measure(name, threads);
    if (args.json) {
      console.log(JSON.stringify(result));
      continue;
    }
    console.log(`\n(${name}) ${result.title}, threads: ${threads}`);
    for (const contender of [ours, ...args.against.split(',')]) {
      const one = result[contender];
      if (one === undefined) continue;
      console.log(
        `  ${contender.padEnd(8)} median ${String(one.medianMs).padStart(9)} ms  fastest ${String(one.fastestMs).padStart(9)} ms  ` +
          `peak ${String(one.peakMiB).padStart(5)} MiB${one.ratio === undefined ? '' : `  ${ours} is ${one.ratio} x as fast`}`,
      );
    }
  }
}
