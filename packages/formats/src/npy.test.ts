import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FormatError } from './format-error.js';
import { readNpy, readNpyHeader, writeNpy } from './npy.js';
import { readNpz, writeNpz } from './npz.js';
import { tensorMaps } from './testing/arbitraries.js';
import { fromBase64, plainTensor, readFixture } from './testing/fixtures.js';

const fixture = readFixture<{
  arrays: { file: string; kind: string; shape: number[]; data: number[] }[];
  archives: string[];
  objects: string[];
}>('numpy.json');

const DTYPES: Record<string, string> = {
  f8: 'float64',
  f4: 'float32',
  f2: 'float16',
  i8: 'int64',
  i4: 'int32',
  i2: 'int16',
  i1: 'int8',
  u1: 'uint8',
  b1: 'bool',
  u2: 'int32',
  u4: 'int64',
  u8: 'int64',
};

describe('readNpy', () => {
  test('reads every dtype, byte order, memory order and version that NumPy writes', () => {
    for (const { file, kind, shape, data } of fixture.arrays) {
      const tensor = readNpy(fromBase64(file));
      const read = plainTensor(tensor);
      expect({ kind, shape: read?.shape, data: read?.data }).toEqual({ kind, shape, data });
      if (kind in DTYPES) expect(tensor.dtype).toBe(DTYPES[kind]);
    }
  });

  test('a file cut off says how much is missing and where', () => {
    const file = writeNpy({ dtype: 'float32', shape: [3], data: Float32Array.of(1, 2, 3) });
    expect(() => readNpy(file.subarray(0, file.length - 2))).toThrow(
      /Expected 12 bytes of <f4 data for shape \[3\] at offset 128 of a NumPy array, got 10/,
    );
    for (let length = 0; length < file.length; length++) {
      expect(() => readNpy(file.subarray(0, length))).toThrow(FormatError);
    }
  });

  test('says what to do with objects, text and other files', () => {
    expect(() => readNpy(fromBase64(fixture.objects[0]))).toThrow(/use readPickledNpy/);
    const text = writeNpy({ dtype: 'float32', shape: [1], data: Float32Array.of(1) });
    text.set(new TextEncoder().encode("'<U1'"), text.indexOf(0x3c) - 1);
    expect(() => readNpy(text)).toThrow(/got dtype <U1/);
    expect(() => readNpy(new Uint8Array(100))).toThrow(/\\x93NUMPY/);
    expect(() => readNpy(new TextEncoder().encode('\x93NUMPY'))).toThrow(FormatError);
  });

  test('a hostile header neither hangs nor allocates', () => {
    const header = (text: string) => {
      const file = new Uint8Array(10 + text.length);
      file.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length & 255, text.length >> 8]);
      for (let i = 0; i < text.length; i++) file[10 + i] = text.charCodeAt(i);
      return file;
    };
    const dict = (shape: string) => `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape}), }`;
    expect(() => readNpy(header(dict('999999999, 999999999')))).toThrow(/at most/);
    expect(() => readNpy(header(dict('2147483647')))).toThrow(/Expected 8589934588 bytes/);
    expect(() => readNpy(header(dict('1, '.repeat(80))))).toThrow(/dimensions/);
    expect(() =>
      readNpy(header(`{'descr': '<f4', 'fortran_order': False, 'shape': (${'1'.repeat(60000)}`)),
    ).toThrow(FormatError);
    expect(readNpyHeader(header(dict('3L, 4L'))).shape).toEqual([3, 4]);
  });
});

describe('writeNpy', () => {
  test('writes byte for byte what NumPy writes', () => {
    for (const { file, kind } of fixture.arrays) {
      const bytes = fromBase64(file);
      const { descr, fortranOrder } = readNpyHeader(bytes);
      const widened = ['u2', 'u4', 'u8'].includes(kind);
      if (descr[0] === '>' || fortranOrder || kind === 'version' || widened) continue;
      expect({ kind, equal: Buffer.compare(writeNpy(readNpy(bytes)), bytes) }).toEqual({ kind, equal: 0 });
    }
  });

  test('npz and npy round trips', () => {
    fc.assert(
      fc.property(tensorMaps({ float16: false }), fc.boolean(), (tensors, compress) => {
        const back = readNpz(writeNpz(tensors, { compress }));
        expect([...back.keys()]).toEqual([...tensors.keys()]);
        for (const [name, tensor] of tensors) expect(back.get(name)).toEqual(tensor);
      }),
      { numRuns: 60 },
    );
  });

  test('bfloat16 becomes float32', () => {
    const tensor = { dtype: 'bfloat16' as const, shape: [2], data: Float32Array.of(1.5, -2) };
    expect(readNpy(writeNpy(tensor))).toEqual({ ...tensor, dtype: 'float32' });
  });
});

describe('readNpz', () => {
  test('reads np.savez and np.savez_compressed', () => {
    for (const archive of fixture.archives) {
      const tensors = readNpz(fromBase64(archive));
      expect([...tensors.keys()]).toEqual(['a', 'b/c', 'd']);
      expect(plainTensor(tensors.get('a'))).toEqual({
        dtype: 'float32',
        shape: [2, 3],
        data: [0, 1, 2, 3, 4, 5],
      });
      expect(plainTensor(tensors.get('b/c'))).toEqual({ dtype: 'bool', shape: [2], data: [1, 0] });
      expect(plainTensor(tensors.get('d'))).toEqual({ dtype: 'int64', shape: [], data: [7] });
    }
  });

  test('notices damage anywhere in it', () => {
    for (const archive of fixture.archives) {
      const file = fromBase64(archive);
      expect(() => readNpz(file.subarray(0, file.length - 30))).toThrow(/end record/);
      const good = JSON.stringify([...readNpz(file)].map(([name, t]) => [name, plainTensor(t)]));
      for (let at = 0; at < file.length; at += 3) {
        const bad = file.slice();
        bad[at] ^= 0x55;
        try {
          // What a reader does not look at (dates, versions) may change; contents may not.
          const read = [...readNpz(bad)].map(([name, t]) => [name, plainTensor(t)]);
          if (
            JSON.stringify(read.map(([, t]) => t)) !==
            JSON.stringify(JSON.parse(good).map((e: unknown[]) => e[1]))
          ) {
            throw new Error(`byte ${at} changed the contents unnoticed`);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }
    }
  });

  test('refuses a bomb before it allocates', () => {
    const file = writeNpz(
      new Map([['a', { dtype: 'uint8' as const, shape: [4], data: new Uint8Array(4) }]]),
      { compress: true },
    );
    const view = new DataView(file.buffer);
    const directory = view.getUint32(file.length - 6, true);
    view.setUint32(directory + 24, 0x7fffffff, true);
    expect(() => readNpz(file)).toThrow(/at most 1073741824 bytes/);
    view.setUint32(directory + 24, 0x3fffffff, true);
    expect(() => readNpz(file)).toThrow(/cannot hold that many/);
  });
});
