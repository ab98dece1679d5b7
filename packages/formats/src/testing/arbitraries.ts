import fc from 'fast-check';
import { decodeBfloat16, decodeFloat16 } from '../half-float.js';
import type { NamedTensor, TensorDType, TensorMap, TypedArray } from '../tensors.js';

const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });

const dtypes: readonly TensorDType[] = [
  'float64',
  'float32',
  'float16',
  'bfloat16',
  'int64',
  'int32',
  'int16',
  'int8',
  'uint8',
  'bool',
];

function tensorOf(dtype: TensorDType, shape: number[], seed: number): NamedTensor {
  const count = shape.reduce((a, b) => a * b, 1);
  let state = seed | 1;
  const bits = () => (state = Math.imul(state ^ (state >>> 13), 0x5bd1e995) >>> 0);
  const words = Uint32Array.from({ length: 2 * count }, bits);
  const bytes = words.buffer;
  const make: Record<TensorDType, () => TypedArray> = {
    float64: () => Float64Array.from({ length: count }, () => bits() / 977),
    float32: () => Float32Array.from({ length: count }, () => bits() / 977 - 1e6),
    float16: () => decodeFloat16(new Uint16Array(bytes, 0, count)).map((v) => (Number.isNaN(v) ? 1 : v)),
    bfloat16: () => decodeBfloat16(new Uint16Array(bytes, 0, count)).map((v) => (Number.isNaN(v) ? 1 : v)),
    int64: () => new BigInt64Array(bytes, 0, count),
    int32: () => new Int32Array(bytes, 0, count),
    int16: () => new Int16Array(bytes, 0, count),
    int8: () => new Int8Array(bytes, 0, count),
    uint8: () => new Uint8Array(bytes, 0, count),
    bool: () => Uint8Array.from({ length: count }, () => bits() & 1),
  };
  return { dtype, shape, data: make[dtype]() };
}

/** Maps of tensors of every dtype, odd and empty shapes included. */
export function tensorMaps(options: { float16: boolean }): fc.Arbitrary<TensorMap> {
  const kinds = dtypes.filter((dtype) => options.float16 || dtype !== 'bfloat16');
  const tensor = fc
    .tuple(fc.constantFrom(...kinds), shapes, fc.integer())
    .map(([dtype, shape, seed]) => tensorOf(dtype, shape, seed));
  return fc
    .uniqueArray(
      fc.tuple(
        fc.string().filter((name) => name !== '__metadata__'),
        tensor,
      ),
      {
        selector: ([name]) => name,
        maxLength: 6,
      },
    )
    .map((entries) => new Map(entries));
}
