// Runs in the browser: every part of the package that a page uses, checked against the plain implementation.
import {
  createDenseCrf,
  createDenseCrfPool,
  createDenseCrfReference,
  DenseCrfError,
  presets,
  unaryFromLabels,
} from '@auxseg/crf';

function problem(width, height, labels, seed) {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
  const image = new Uint8Array(width * height * 3);
  for (let i = 0; i < image.length; i++) image[i] = ((i / 3) % width > width / 2 ? 140 : 60) + 30 * random();
  // Each label is likely in its own part: energies without any structure would amplify rounding from step to step.
  const unary = new Float32Array(labels * width * height).map((_, i) => {
    const part = Math.floor((((i % width) / width) * labels) % labels);
    return (part === Math.floor(i / (width * height)) ? 0 : 2) + random();
  });
  return { width, height, labels, unary, image, ...presets.psa, iterations: 4 };
}

const difference = (a, b) =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), a.length - b.length);

async function run() {
  const crf = await createDenseCrf();
  const plain = createDenseCrfReference();
  const two = problem(70, 41, 2, 1);
  const many = problem(33, 27, 7, 2);
  const q = crf.infer(many);
  const results = {
    implementation: crf.implementation,
    simdAgainstPlain: Math.max(
      difference(crf.infer(two), plain.infer(two)),
      difference(q, plain.infer(many)),
    ),
  };
  const session = crf.start(many);
  for (let i = 0; i < many.iterations; i++) session.step();
  results.sessionSameBits = difference(session.q(), q) === 0 && Number.isFinite(session.klDivergence());
  session.dispose();

  const pool = createDenseCrfPool({ workers: 2 });
  const [first, second, map] = await Promise.all([pool.infer(many), pool.infer(two), pool.inferMap(many)]);
  results.poolSameBits =
    difference(first, q) === 0 &&
    difference(second, crf.infer(two)) === 0 &&
    difference(map, crf.inferMap(many)) === 0;
  results.inOrder = [];
  for await (const one of pool.inferAll([many, two, many])) results.inOrder.push(one.length);
  const controller = new AbortController();
  const aborted = pool.infer(many, { signal: controller.signal }).catch((error) => error.name);
  controller.abort();
  results.aborted = await aborted;
  results.badValue = await pool
    .infer({ ...two, unary: new Float32Array(two.unary.length).fill(Number.NaN) })
    .catch((error) => error instanceof DenseCrfError && error.code);
  await pool.dispose();

  const hard = unaryFromLabels([0, 1, 2], { labels: 3, gtProb: 0.7 });
  results.helper = Math.abs(hard[0] + Math.log(0.7)) < 1e-6;
  crf.dispose();
  return results;
}

run().then(
  (results) => {
    globalThis.results = results;
  },
  (error) => {
    globalThis.results = { error: `${error}\n${error.stack}` };
  },
);
