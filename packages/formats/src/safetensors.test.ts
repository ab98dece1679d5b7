import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FormatError } from './format-error.js';
import { readSafetensors, writeSafetensors } from './safetensors.js';
import type { NamedTensor, TensorMap } from './tensors.js';
import { tensorMaps } from './testing/arbitraries.js';
import { type ExpectedTensor, fromBase64, plainTensor, readFixture } from './testing/fixtures.js';

const fixture = readFixture<{ file: string; wide: string; tensors: Record<string, ExpectedTensor> }>(
  'safetensors.json',
);

const f32 = (...data: number[]): NamedTensor => ({
  dtype: 'float32',
  shape: [data.length],
  data: Float32Array.from(data),
});

function withHeader(header: unknown, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const file = new Uint8Array(8 + json.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

describe('readSafetensors', () => {
  test('reads every dtype as the safetensors library wrote it', () => {
    const { tensors, metadata } = readSafetensors(fromBase64(fixture.file));
    expect(metadata).toEqual({ format: 'pt' });
    expect([...tensors.keys()].sort()).toEqual(Object.keys(fixture.tensors).sort());
    for (const [name, expected] of Object.entries(fixture.tensors))
      expect(plainTensor(tensors.get(name))).toEqual(expected);
  });

  test('widens unsigned types', () => {
    const { tensors } = readSafetensors(fromBase64(fixture.wide));
    expect(plainTensor(tensors.get('u16'))).toEqual({ dtype: 'int32', shape: [2], data: [1, 65535] });
    expect(plainTensor(tensors.get('u32'))).toEqual({ dtype: 'int64', shape: [2], data: [1, 2 ** 32 - 1] });
    expect(plainTensor(tensors.get('u64'))).toEqual({ dtype: 'int64', shape: [2], data: [1, 2 ** 40] });
  });

  test('tensors are views into the file, wherever it begins in its buffer', () => {
    const file = writeSafetensors(
      new Map([
        ['a', f32(1, 2)],
        ['b', f32(3)],
      ]),
    );
    const view = readSafetensors(file).tensors.get('a')?.data as Float32Array;
    expect(view.buffer).toBe(file.buffer);
    const shifted = new Uint8Array(file.length + 3);
    shifted.set(file, 3);
    expect(Array.from(readSafetensors(shifted.subarray(3)).tensors.get('b')?.data as Float32Array)).toEqual([
      3,
    ]);
    expect(readSafetensors(Buffer.from(file)).tensors.size).toBe(2);
  });

  test('a file cut off says how much is missing and where', () => {
    const file = writeSafetensors(new Map([['a', f32(1, 2, 3)]]));
    const cut = () => readSafetensors(file.subarray(0, file.length - 5));
    expect(cut).toThrow(/Expected 12 bytes for tensor a at offset \d+ of a safetensors file, got 7/);
    for (let length = 0; length < file.length; length++) {
      expect(() => readSafetensors(file.subarray(0, length))).toThrow(FormatError);
    }
  });

  test.each([
    [
      'overlap',
      {
        a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
        b: { dtype: 'F32', shape: [1], data_offsets: [4, 8] },
      },
      8,
    ],
    [
      'gap',
      {
        a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
        b: { dtype: 'F32', shape: [1], data_offsets: [8, 12] },
      },
      12,
    ],
    ['wrong size', { a: { dtype: 'F32', shape: [3], data_offsets: [0, 8] } }, 8],
    ['more data', { a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } }, 8],
    ['unknown dtype', { a: { dtype: 'F4', shape: [1], data_offsets: [0, 4] } }, 4],
    ['negative shape', { a: { dtype: 'F32', shape: [-1], data_offsets: [0, 4] } }, 4],
    ['huge shape', { a: { dtype: 'F32', shape: [2 ** 30, 2 ** 30], data_offsets: [0, 4] } }, 4],
    ['rank', { a: { dtype: 'F32', shape: new Array(100).fill(1), data_offsets: [0, 4] } }, 4],
    ['no offsets', { a: { dtype: 'F32', shape: [1] } }, 4],
    ['no object', [], 0],
    ['no JSON', '{"a"', 0],
    ['number as metadata', { __metadata__: { a: 1 } }, 0],
  ])('refuses %s', (_, header, dataBytes) => {
    expect(() => readSafetensors(withHeader(header, dataBytes))).toThrow(FormatError);
  });

  test('refuses what is no safetensors file', () => {
    expect(() => readSafetensors(new TextEncoder().encode('<html>not found</html>'))).toThrow(/header/);
    expect(() => readSafetensors('file.safetensors' as unknown as Uint8Array)).toThrow(/fs\.readFile/);
  });
});

describe('writeSafetensors', () => {
  test('a round trip keeps names, order, types and bits', () => {
    fc.assert(
      fc.property(tensorMaps({ float16: true }), (tensors) => {
        const { tensors: back, metadata } = readSafetensors(writeSafetensors(tensors, { k: 'v' }));
        expect(metadata).toEqual({ k: 'v' });
        // JSON puts keys that look like array indices first.
        expect([...back.keys()].sort()).toEqual([...tensors.keys()].sort());
        for (const [name, tensor] of tensors) expect(back.get(name)).toEqual(tensor);
      }),
      { numRuns: 60 },
    );
  });

  test('equal input gives equal bytes; every tensor is aligned', () => {
    const tensors: TensorMap = new Map<string, NamedTensor>([
      ['byte', { dtype: 'uint8', shape: [3], data: Uint8Array.of(1, 2, 3) }],
      ['__proto__', { dtype: 'float64', shape: [1], data: Float64Array.of(4) }],
      ['half', { dtype: 'float16', shape: [1], data: Float32Array.of(0.5) }],
    ]);
    const file = writeSafetensors(tensors);
    expect(writeSafetensors(new Map(tensors))).toEqual(file);
    const { tensors: back } = readSafetensors(file);
    expect([...back.keys()]).toEqual(['byte', '__proto__', 'half']);
    expect((back.get('__proto__')!.data as Float64Array).buffer).toBe(file.buffer);
  });

  test('names what does not fit', () => {
    expect(() => writeSafetensors(new Map([['w', { ...f32(1), shape: [2] }]]))).toThrow(
      /2 elements for tensor w.*got 1/,
    );
    expect(() => writeSafetensors(new Map([['w', { ...f32(1), dtype: 'int32' as const }]]))).toThrow(
      /Int32Array for tensor w of dtype int32, got Float32Array/,
    );
    expect(() => writeSafetensors(new Map([['w', { ...f32(1), dtype: 'f32' as 'float32' }]]))).toThrow(
      /dtype/,
    );
    expect(() => writeSafetensors(new Map([['__metadata__', f32(1)]]))).toThrow(/__metadata__/);
  });
});
