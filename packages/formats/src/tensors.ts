import { FormatError } from './format-error.js';
import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from './half-float.js';
import { MAX_TENSOR_ELEMENTS, MAX_TENSOR_RANK } from './limits.js';

/** Element types that the readers give and the writers take. */
export type TensorDType =
  | 'float64'
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint8'
  | 'bool';

/** The arrays that hold tensor data. */
export type TypedArray =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array;

/**
 * A tensor with the element type it has in its file.
 *
 * `data` is row-major. float16 and bfloat16 appear as Float32Array, int64 as BigInt64Array, bool as Uint8Array
 * of 0 and 1. Readers make `data` a getter that decodes when it is first used: it may be a view into the
 * file's bytes, so treat it as read-only and copy it (`.slice()`) before changing it.
 */
export interface NamedTensor {
  readonly dtype: TensorDType;
  readonly shape: number[];
  readonly data: TypedArray;
}

/** Tensors by name, in the order of the file. */
export type TensorMap = Map<string, NamedTensor>;

/** Bytes per element in a file. */
export const DTYPE_BYTES: Readonly<Record<TensorDType, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
};

/**
 * Number of elements of a shape.
 *
 * @throws FormatError `malformed` for a dimension that is no whole number >= 0, `limit` over MAX_TENSOR_RANK
 * or MAX_TENSOR_ELEMENTS.
 */
export function elementCount(shape: readonly number[], name = 'tensor'): number {
  if (shape.length > MAX_TENSOR_RANK) {
    throw new FormatError(
      'limit',
      `Expected ${name} to have at most ${MAX_TENSOR_RANK} dimensions, got ${shape.length}.`,
      {
        name,
        rank: shape.length,
      },
    );
  }
  let count = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new FormatError(
        'malformed',
        `Expected whole dimensions >= 0 for ${name}, got [${shape.join(', ')}].`,
        {
          name,
          shape: [...shape],
        },
      );
    }
    count *= size;
  }
  // Checked at the end, so that a dimension of 0 excuses large others, as it does in NumPy.
  if (!(count <= MAX_TENSOR_ELEMENTS)) {
    throw new FormatError(
      'limit',
      `Expected ${name} to have at most ${MAX_TENSOR_ELEMENTS} elements, got shape [${shape.join(', ')}].`,
      { name, shape: [...shape] },
    );
  }
  return count;
}

/** Decodes `count` little-endian elements that start at `offset`: a view where type and alignment allow, else a copy. */
export function decodeElements(
  dtype: TensorDType,
  bytes: Uint8Array,
  offset: number,
  count: number,
): TypedArray {
  const byteLength = count * DTYPE_BYTES[dtype];
  if (offset < 0 || offset + byteLength > bytes.length) {
    throw new FormatError(
      'truncated',
      `Expected ${byteLength} bytes of ${dtype} data at offset ${offset}, got ${Math.max(0, bytes.length - offset)}. The file is cut off or its header is wrong.`,
      { expected: byteLength, actual: Math.max(0, bytes.length - offset), offset },
    );
  }
  let buffer = bytes.buffer;
  let start = bytes.byteOffset + offset;
  if (start % DTYPE_BYTES[dtype] !== 0) {
    buffer = bytes.slice(offset, offset + byteLength).buffer;
    start = 0;
  }
  switch (dtype) {
    case 'float64':
      return new Float64Array(buffer, start, count);
    case 'float32':
      return new Float32Array(buffer, start, count);
    case 'float16':
      return decodeFloat16(new Uint16Array(buffer, start, count));
    case 'bfloat16':
      return decodeBfloat16(new Uint16Array(buffer, start, count));
    case 'int64':
      return new BigInt64Array(buffer, start, count);
    case 'int32':
      return new Int32Array(buffer, start, count);
    case 'int16':
      return new Int16Array(buffer, start, count);
    case 'int8':
      return new Int8Array(buffer, start, count);
    case 'uint8':
    case 'bool':
      return new Uint8Array(buffer, start, count);
  }
}

/**
 * A tensor whose `data` is made when asked for.
 *
 * The result of `decode` is held by a WeakRef: it lives as long as somebody uses it, so that reading a
 * checkpoint tensor by tensor keeps one copy, and a loop over `tensor.data[i]` still decodes once.
 */
export function lazyTensor(dtype: TensorDType, shape: number[], decode: () => TypedArray): NamedTensor {
  let last: WeakRef<TypedArray> | undefined;
  return {
    dtype,
    shape,
    get data(): TypedArray {
      const known = last?.deref();
      if (known) return known;
      const data = decode();
      last = new WeakRef(data);
      return data;
    },
  };
}

const ARRAY_TAGS: Readonly<Record<TensorDType, readonly string[]>> = {
  float64: ['Float64Array'],
  float32: ['Float32Array'],
  float16: ['Float32Array'],
  bfloat16: ['Float32Array'],
  int64: ['BigInt64Array'],
  int32: ['Int32Array'],
  int16: ['Int16Array'],
  int8: ['Int8Array'],
  uint8: ['Uint8Array', 'Uint8ClampedArray'],
  bool: ['Uint8Array', 'Uint8ClampedArray'],
};

/**
 * The little-endian bytes of a tensor as files store them: a view of `data` where no conversion is needed.
 *
 * @throws FormatError `bad-value` when the array does not match dtype or shape.
 */
export function encodeElements(tensor: NamedTensor, name = 'tensor'): Uint8Array {
  const data = tensor.data;
  const tags = ARRAY_TAGS[tensor.dtype];
  if (!tags) {
    throw new FormatError(
      'bad-value',
      `Expected a dtype of ${Object.keys(ARRAY_TAGS).join(', ')} for ${name}, got ${String(tensor.dtype)}.`,
      { name, dtype: tensor.dtype },
    );
  }
  // By tag, not instanceof: arrays of another realm (a worker, a test sandbox) are as good.
  const tag = Object.prototype.toString.call(data).slice(8, -1);
  if (!tags.includes(tag)) {
    throw new FormatError(
      'bad-value',
      `Expected ${tags[0]} for ${name} of dtype ${tensor.dtype}, got ${tag}.`,
      {
        name,
        dtype: tensor.dtype,
        array: tag,
      },
    );
  }
  const count = elementCount(tensor.shape, name);
  if (data.length !== count) {
    throw new FormatError(
      'bad-value',
      `Expected ${count} elements for ${name} of shape [${tensor.shape.join(', ')}], got ${data.length}.`,
      { name, expected: count, actual: data.length },
    );
  }
  if (tensor.dtype === 'float16') return viewBytes(encodeFloat16(data as Float32Array));
  if (tensor.dtype === 'bfloat16') return viewBytes(encodeBfloat16(data as Float32Array));
  return viewBytes(data);
}

/** Any array's memory as bytes, in this realm's Uint8Array. */
export function viewBytes(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/**
 * The argument of a reader as a plain Uint8Array view (a Node Buffer's `slice` does not copy, ours must).
 *
 * @throws FormatError `bad-value` when it is no byte array.
 */
export function asBytes(bytes: Uint8Array, format: string): Uint8Array {
  if (ArrayBuffer.isView(bytes)) return viewBytes(bytes);
  if (Object.prototype.toString.call(bytes) === '[object ArrayBuffer]') {
    return new Uint8Array(bytes as unknown as ArrayBuffer);
  }
  throw new FormatError(
    'bad-value',
    `Expected the bytes of a ${format} file as Uint8Array, got ${bytes === null ? 'null' : typeof bytes}. Read the file first, for example with fs.readFile.`,
    { format },
  );
}
