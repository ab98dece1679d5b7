import { FormatError } from './format-error.js';
import { lazyTensor, type NamedTensor } from './tensors.js';

/** Element types of files that TensorDType has no name for; they are widened to a signed type that holds them. */
export type UnsignedDType = 'uint16' | 'uint32' | 'uint64';

/** Bytes per element in a file. */
export function unsignedBytes(dtype: UnsignedDType): number {
  return dtype === 'uint16' ? 2 : dtype === 'uint32' ? 4 : 8;
}

/** Little-endian unsigned elements, widened when `data` is used: uint16 to int32, uint32 and uint64 to int64. */
export function decodeUnsigned(
  dtype: UnsignedDType,
  bytes: Uint8Array,
  offset: number,
  shape: number[],
  count: number,
): NamedTensor {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, count * unsignedBytes(dtype));
  if (dtype === 'uint16') {
    return lazyTensor('int32', shape, () =>
      Int32Array.from({ length: count }, (_, i) => view.getUint16(2 * i, true)),
    );
  }
  return lazyTensor('int64', shape, () => {
    const data = new BigInt64Array(count);
    for (let i = 0; i < count; i++) {
      const value = dtype === 'uint32' ? BigInt(view.getUint32(4 * i, true)) : view.getBigUint64(8 * i, true);
      if (value > 0x7fffffffffffffffn) {
        throw new FormatError(
          'unsupported',
          `Expected unsigned 64-bit values below 2^63, got ${value} at element ${i}.`,
          {
            index: i,
          },
        );
      }
      data[i] = value;
    }
    return data;
  });
}
