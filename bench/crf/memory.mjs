/**
 * Memory of @auxseg/crf: what 21 labels at 500x375 take, that dispose() gives it back, and that it does not grow over many
 * images of changing size. Ends with exit code 1 when one of these fails.
 *
 *   node --expose-gc bench/crf/memory.mjs [--images 1000] [--limit 130]
 *
 * Counted are the kernel's linear memory (all it allocates), the energies that go in and the Q that comes out.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createDenseCrf, presets } from '@auxseg/crf';
import { createRandom, smoothUnary, texturedScene } from './scene.mjs';

const { values: args } = parseArgs({
  options: { images: { type: 'string', default: '1000' }, limit: { type: 'string', default: '130' } },
});
if (!globalThis.gc) {
  console.error('Run with node --expose-gc: what dispose() gives back shows only after a collection.');
  process.exit(2);
}

const face = join(
  dirname(fileURLToPath(import.meta.url)),
  '..',
  '..',
  '..',
  'shared',
  'golden',
  'crf',
  'face.rgb',
);

// Every linear memory that the package makes, held weakly.
const memories = [];
const Instance = WebAssembly.Instance;
WebAssembly.Instance = class extends Instance {
  constructor(...given) {
    super(...given);
    memories.push(new WeakRef(this.exports.memory));
  }
};
const linear = () => memories.reduce((sum, ref) => sum + (ref.deref()?.buffer.byteLength ?? 0), 0);
const mega = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
const settle = async () => {
  for (let i = 0; i < 4; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    globalThis.gc();
  }
};
let failed = false;
const check = (good, line) => {
  failed ||= !good;
  console.log(`${good ? 'ok    ' : 'FAILED'} ${line}`);
};

{
  const [width, height, labels] = [500, 375, 21];
  // A photo has more lattice points than the scene: the goldens' one where it is there.
  const image = existsSync(face) ? new Uint8Array(readFileSync(face)) : texturedScene(width, height, 7);
  const unary = smoothUnary({ width, height, labels, sharpness: 4, seed: 14 });
  let crf = await createDenseCrf();
  const q = crf.infer({ width, height, labels, unary, image, ...presets.auxsegSegmentation });
  const kernel = linear();
  const all = kernel + unary.byteLength + q.byteLength + image.byteLength;
  check(
    all <= Number(args.limit) * 1e6,
    `21 labels, all active, 500x375 ${existsSync(face) ? 'photo' : 'scene'}: linear memory ${mega(kernel)}, with energies, image and Q ${mega(all)} ` +
      `(limit ${args.limit} MB); process ${mega(process.memoryUsage().rss)}`,
  );
  crf.dispose();
  crf = null;
  await settle();
  check(linear() === 0, `after dispose(): linear memory ${mega(linear())}`);
}

{
  const crf = await createDenseCrf();
  const random = createRandom(3);
  const images = Number(args.images);
  const samples = [];
  for (let i = 0; i < images; i++) {
    const width = 40 + Math.floor(random() * 160);
    const height = 30 + Math.floor(random() * 120);
    const labels = 2 + Math.floor(random() * 4);
    const image = Uint8Array.from({ length: width * height * 3 }, () => random() * 255);
    const unary = Float32Array.from({ length: labels * width * height }, () => random() * 4);
    crf.infer({ width, height, labels, unary, image, ...presets.psa, iterations: 2 });
    if ((i + 1) % Math.ceil(images / 4) === 0) {
      await settle();
      samples.push({ linear: linear(), heap: process.memoryUsage().heapUsed });
    }
  }
  const [first, last] = [samples[0], samples.at(-1)];
  check(
    last.linear <= first.linear * 1.1 && last.heap - first.heap < 2e6,
    `${images} images of changing size: linear memory ${samples.map((s) => mega(s.linear)).join(', ')} and JavaScript heap ` +
      `${samples.map((s) => mega(s.heap)).join(', ')} after each quarter`,
  );
  crf.dispose();
}
process.exitCode = failed ? 1 : 0;
