import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FormatError } from './format-error.js';
import { readMxnetParams, writeMxnetParams } from './mxnet-params.js';
import { tensorMaps } from './testing/arbitraries.js';
import { type ExpectedTensor, fromBase64, plainTensor, readFixture } from './testing/fixtures.js';

const fixture = readFixture<{ files: Record<string, string>; arrays: Record<string, ExpectedTensor> }>(
  'mxnet.json',
);

describe('readMxnetParams', () => {
  test.each(['v0', 'v1', 'v2', 'v3'])('reads array version %s', (version) => {
    const tensors = readMxnetParams(fromBase64(fixture.files[version]), { stripPrefix: false });
    for (const [name, expected] of Object.entries(fixture.arrays)) {
      expect([name, plainTensor(tensors.get(name))]).toEqual([name, expected]);
    }
    if (version === 'v3') {
      expect(plainTensor(tensors.get('arg:scalar'))).toEqual({ dtype: 'float32', shape: [], data: [2.5] });
    }
  });

  test('takes the prefixes off', () => {
    const names = [...readMxnetParams(fromBase64(fixture.files.v2)).keys()];
    expect(names).toContain('conv1a_weight');
    expect(names).toContain('bn7_moving_mean');
    expect(names.some((name) => name.includes(':'))).toBe(false);
  });

  test('numbers unnamed arrays, refuses sparse ones', () => {
    expect(plainTensor(readMxnetParams(fromBase64(fixture.files.unnamed)).get('0'))).toEqual({
      dtype: 'float32',
      shape: [2],
      data: [1, 2],
    });
    expect(() => readMxnetParams(fromBase64(fixture.files.sparse))).toThrow(/dense arrays.*storage type 1/);
  });

  test('a file cut off anywhere says where', () => {
    const file = fromBase64(fixture.files.v2);
    for (let length = 0; length < file.length; length++) {
      expect(() => readMxnetParams(file.subarray(0, length))).toThrow(FormatError);
    }
    expect(() => readMxnetParams(file.subarray(0, 70))).toThrow(
      /Expected \d+ bytes for .* of array 0.* at offset \d+ of this MXNet params file, got \d+/,
    );
    expect(() => readMxnetParams(new Uint8Array(64))).toThrow(/0x112/);
  });
});

describe('writeMxnetParams', () => {
  test('writes byte for byte what MXNet writes', () => {
    const file = fromBase64(fixture.files.v2);
    expect(Buffer.compare(writeMxnetParams(readMxnetParams(file, { stripPrefix: false })), file)).toBe(0);
  });

  test('a round trip keeps names, types and bits', () => {
    fc.assert(
      fc.property(tensorMaps({ float16: true }), (tensors) => {
        const some = new Map(
          [...tensors].filter(
            ([name, t]) =>
              t.shape.length > 0 && !['int16', 'bfloat16'].includes(t.dtype) && !/^(?:arg|aux):/.test(name),
          ),
        );
        const back = readMxnetParams(writeMxnetParams(some));
        expect([...back.keys()]).toEqual([...some.keys()]);
        for (const [name, tensor] of some) expect(back.get(name)).toEqual(tensor);
      }),
      { numRuns: 60 },
    );
  });

  test('prefixes running statistics as MXNet does; refuses scalars', () => {
    const one = { dtype: 'float32' as const, shape: [1], data: Float32Array.of(1) };
    const names = [
      ...readMxnetParams(
        writeMxnetParams(
          new Map([
            ['w', one],
            ['bn_moving_var', one],
          ]),
        ),
        { stripPrefix: false },
      ).keys(),
    ];
    expect(names).toEqual(['arg:w', 'aux:bn_moving_var']);
    expect(() => writeMxnetParams(new Map([['s', { ...one, shape: [] }]]))).toThrow(
      /tensor s to have a dimension/,
    );
    const short = { dtype: 'int16' as const, shape: [1], data: Int16Array.of(1) };
    expect(() => writeMxnetParams(new Map([['i', short]]))).toThrow(/type that MXNet reads, got int16/);
  });
});
