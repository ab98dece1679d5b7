import fc from 'fast-check';
import { rleFromPolygons } from '../coco-polygons.js';
import { decodeRle, mergeRle, rleFromCounts, rleFromString } from '../coco-rle.js';
import { crc32 } from '../crc32.js';
import { FormatError } from '../format-error.js';
import { readGrayPng } from '../grey-png.js';
import { readIndexedPng, writeIndexedPng } from '../indexed-png.js';
import { readMxnetParams } from '../mxnet-params.js';
import { readNpy } from '../npy.js';
import { readNpz, writeNpz } from '../npz.js';
import { readClassLabelsNpy, readPickledNpy } from '../pickled-npy.js';
import { readPngInfo } from '../png-info.js';
import { readPyTorchCheckpoint } from '../pytorch-checkpoint.js';
import { readWeights } from '../read-weights.js';
import { readRgbPng, writeRgbPng } from '../rgb-png.js';
import { readSafetensors } from '../safetensors.js';
import type { TensorMap } from '../tensors.js';
import { writePyTorchCheckpoint } from '../write-pytorch-checkpoint.js';
import { writeZip } from '../zip-archive.js';
import { fromBase64, readFixture } from './fixtures.js';

/** A parser that works longer on these small files, or allocates more, has met a bomb that its limits missed. */
const MAX_CPU_MS = 5000;
const MAX_BYTES = 700e6;

type Target = [name: string, corpus: Uint8Array[], parse: (bytes: Uint8Array) => unknown];

const numpy = readFixture<{
  arrays: { file: string }[];
  archives: string[];
  pickled: string[];
  objects: string[];
}>('numpy.json');
const pytorch = readFixture<{ files: Record<string, string> }>('pytorch.json').files;
const mxnet = readFixture<{ files: Record<string, string> }>('mxnet.json').files;
const png = readFixture<{ file: string }[]>('png.json');
const safetensors = readFixture<{ file: string; wide: string }>('safetensors.json');
const decodeAll = (list: string[]) => list.map(fromBase64);

const pngs = [
  ...png.map(({ file }) => fromBase64(file)),
  writeIndexedPng({ width: 40, height: 30, data: new Uint8Array(1200).fill(7) }),
  writeRgbPng({ width: 16, height: 9, data: new Uint8Array(432).map((_, i) => i) }),
];
const smallTensors: TensorMap = new Map([
  ['a', { dtype: 'float32', shape: [2, 3], data: new Float32Array(6) }],
  ['b', { dtype: 'int64', shape: [2], data: new BigInt64Array(2) }],
]);

function touch(tensors: TensorMap): void {
  for (const tensor of tensors.values()) if (tensor.data.length < 0) throw new Error('a negative length');
}

function readAnyPng(bytes: Uint8Array): void {
  const readers = [readPngInfo, readIndexedPng, readGrayPng, readRgbPng];
  let failed: unknown;
  for (const read of readers) {
    try {
      read(bytes);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      failed = error;
    }
  }
  if (failed) throw failed;
}

/** Mends the checksums, so that changes reach the code behind them. */
function withChecksums(bytes: Uint8Array): Uint8Array {
  const file = bytes.slice();
  const view = new DataView(file.buffer);
  for (let at = 8; at + 12 <= file.length; ) {
    const length = view.getUint32(at, false);
    if (at + 12 + length > file.length) break;
    view.setUint32(at + 8 + length, crc32(file.subarray(at + 4, at + 8 + length)), false);
    at += 12 + length;
  }
  return file;
}

const targets: readonly Target[] = [
  [
    'safetensors',
    decodeAll([safetensors.file, safetensors.wide]),
    (bytes) => touch(readSafetensors(bytes).tensors),
  ],
  ['npy', numpy.arrays.map(({ file }) => fromBase64(file)), (bytes) => readNpy(bytes).data.length],
  ['npz', [...decodeAll(numpy.archives), writeNpz(smallTensors)], (bytes) => touch(readNpz(bytes))],
  [
    'npz around a changed npy',
    numpy.arrays.map(({ file }) => fromBase64(file)),
    (bytes) => touch(readNpz(writeZip([{ name: 'a.npy', data: bytes }], { compress: true }))),
  ],
  ['pickled npy', decodeAll([...numpy.pickled, ...numpy.objects]), readPickledNpy],
  ['class labels', decodeAll(numpy.pickled), readClassLabelsNpy],
  [
    'PyTorch',
    [...decodeAll(Object.values(pytorch)), writePyTorchCheckpoint(smallTensors)],
    (bytes) => touch(readPyTorchCheckpoint(bytes).tensors),
  ],
  [
    'weights of any format',
    [...decodeAll([safetensors.file, mxnet.v2, numpy.archives[0], pytorch.nested, pytorch.nestedLegacy])],
    (bytes) => touch(readWeights(bytes).tensors),
  ],
  ['MXNet', decodeAll(Object.values(mxnet)), (bytes) => touch(readMxnetParams(bytes))],
  ['PNG', pngs, readAnyPng],
  ['PNG with right checksums', pngs, (bytes) => readAnyPng(withChecksums(bytes))],
];

type Edit = (bytes: Uint8Array) => Uint8Array;
const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const edits: fc.Arbitrary<Edit> = fc.oneof(
  fc.tuple(place, fc.integer({ min: 0, max: 255 })).map(
    ([at, value]): Edit =>
      (bytes) => {
        const copy = bytes.slice();
        if (copy.length > 0) copy[Math.floor(at * copy.length)] = value;
        return copy;
      },
  ),
  fc
    .tuple(
      place,
      fc.constantFrom(
        0n,
        1n,
        2n,
        0xffn,
        0x7fffn,
        0x10000n,
        0x7fffffffn,
        0x80000000n,
        0xffffffffn,
        0x7fffffffffffffffn,
        0xffffffffffffffffn,
      ),
      fc.constantFrom(2, 4, 8),
      fc.boolean(),
    )
    .map(
      ([at, value, size, little]): Edit =>
        (bytes) => {
          const copy = bytes.slice();
          const start = Math.floor(at * copy.length);
          for (let i = 0; i < size && start + i < copy.length; i++) {
            copy[start + i] = Number((value >> BigInt(8 * (little ? i : size - 1 - i))) & 255n);
          }
          return copy;
        },
    ),
  place.map(
    (at): Edit =>
      (bytes) =>
        bytes.slice(0, Math.floor(at * bytes.length)),
  ),
  fc.tuple(place, place).map(
    ([a, b]): Edit =>
      (bytes) => {
        const [from, to] = [a, b].map((v) => Math.floor(v * bytes.length)).sort((x, y) => x - y);
        return Uint8Array.from([...bytes.subarray(0, from), ...bytes.subarray(Math.min(to, from + 64))]);
      },
  ),
  fc.tuple(place, place, fc.integer({ min: 1, max: 48 })).map(
    ([a, b, length]): Edit =>
      (bytes) => {
        const from = Math.floor(a * bytes.length);
        const to = Math.floor(b * bytes.length);
        return Uint8Array.from([
          ...bytes.subarray(0, to),
          ...bytes.subarray(from, from + length),
          ...bytes.subarray(to),
        ]);
      },
  ),
  fc.tuple(place, fc.uint8Array({ maxLength: 8 })).map(
    ([at, more]): Edit =>
      (bytes) => {
        const to = Math.floor(at * bytes.length);
        return Uint8Array.from([...bytes.subarray(0, to), ...more, ...bytes.subarray(to)]);
      },
  ),
);

/** Runs a parser: nothing but a FormatError, and neither much time nor much memory. */
function survives(run: () => unknown): void {
  const before = process.memoryUsage().arrayBuffers;
  const cpu = process.cpuUsage();
  try {
    run();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    // The second line of defence caught it: name what slipped through the first.
    if (error.message.startsWith('Could not read this as')) throw error.cause;
  }
  const { user, system } = process.cpuUsage(cpu);
  const bytes = process.memoryUsage().arrayBuffers - before;
  if ((user + system) / 1000 > MAX_CPU_MS) throw new Error(`took ${(user + system) / 1000} ms of CPU time`);
  if (bytes > MAX_BYTES) throw new Error(`allocated ${bytes} bytes`);
}

/** Changed files for one parser. */
function changedFiles([, corpus, parse]: Target): fc.IProperty<unknown> {
  return fc.property(
    fc.constantFrom(...corpus),
    fc.array(edits, { minLength: 1, maxLength: 6 }),
    (file, changes) => {
      const changed = changes.reduce((bytes, change) => change(bytes), file);
      survives(() => parse(changed));
    },
  ) as fc.IProperty<unknown>;
}

/** Pickles of random opcodes. */
function randomPickles(): fc.IProperty<unknown> {
  const bytesOf = (text: string) => Array.from(text, (c) => c.charCodeAt(0));
  const opcode = fc.oneof(
    fc.constantFrom(...bytesOf('(.012FINTQRSUV]abcdeghijlo}prstuGBC)')).map((c) => [c]),
    fc.integer({ min: 0x80, max: 0x98 }).map((c) => [c]),
    fc
      .constantFrom(
        ...[
          'K\x01',
          'M\xff\xff',
          'J\xff\xff\xff\x7f',
          'h\x00',
          'h\x01',
          'q\x00',
          'q\x01',
          'g0\n',
          'p0\n',
          'I5\n',
          'L7L\n',
          'X\x01\x00\x00\x00a',
          'U\x01a',
        ],
        ...[
          'cnumpy\nndarray\n',
          'cnumpy\ndtype\n',
          'ccollections\nOrderedDict\n',
          'c_codecs\nencode\n',
          'cos\nsystem\n',
        ],
        ...[
          'cnumpy.core.multiarray\n_reconstruct\n',
          'cnumpy.core.multiarray\nscalar\n',
          'c__builtin__\nset\n',
        ],
        ...['X\x02\x00\x00\x00f4', 'X\x06\x00\x00\x00latin1', ')R', '(tb', '\x86', '\x85R', '(NK\x01tb'],
      )
      .map(bytesOf),
    fc.uint8Array({ maxLength: 4 }).map((bytes) => Array.from(bytes)),
  );
  const header = "{'descr': '|O', 'fortran_order': False, 'shape': (), }\n";
  const prefix = [0x93, ...bytesOf('NUMPY'), 1, 0, header.length, 0, ...bytesOf(header)];

  return fc.property(fc.array(opcode, { maxLength: 40 }), (opcodes) => {
    survives(() => readPickledNpy(Uint8Array.from([...prefix, ...opcodes.flat(), 0x2e])));
  }) as fc.IProperty<unknown>;
}

/** Random polygons, run lengths and their texts. */
function randomMasks(): fc.IProperty<unknown> {
  const number = fc.oneof(fc.double(), fc.double({ min: -100, max: 100 }), fc.integer({ min: -5, max: 60 }));
  const size = fc.record({ width: fc.integer({ min: 1, max: 50 }), height: fc.integer({ min: 1, max: 50 }) });
  return fc.property(
    size,
    fc.array(fc.array(number, { maxLength: 12 }), { maxLength: 3 }),
    fc.string(),
    fc.array(fc.oneof(fc.nat(60), number), { maxLength: 10 }),
    (extent, polygons, text, counts) => {
      survives(() => decodeRle(rleFromPolygons(polygons, extent)));
      survives(() => decodeRle(rleFromString(text, extent)));
      survives(() => mergeRle([rleFromCounts(counts, extent), rleFromPolygons(polygons, extent)]));
    },
  ) as fc.IProperty<unknown>;
}

/** Every parser of this package with hostile input for it: a property that must hold for all of it. */
export const fuzzTargets: readonly { name: string; property: fc.IProperty<unknown> }[] = [
  ...targets.map((target) => ({ name: target[0], property: changedFiles(target) })),
  { name: 'pickles of random opcodes', property: randomPickles() },
  { name: 'COCO masks', property: randomMasks() },
];

/** Checks that a parser reads the undamaged files it starts from, or refuses them as it should. */
export function readCorpus(): void {
  for (const [, corpus, parse] of targets) for (const file of corpus) survives(() => parse(file));
}
