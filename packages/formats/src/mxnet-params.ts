import { FormatError, parsing } from './format-error.js';
import { MAX_NAME_BYTES, MAX_TENSOR_RANK, MAX_TENSORS } from './limits.js';
import type { NamedTensor, TensorDType, TensorMap } from './tensors.js';
import { asBytes, DTYPE_BYTES, decodeElements, elementCount, encodeElements, lazyTensor } from './tensors.js';

const LIST_MAGIC = 0x112n;
/** Arrays begin with one of these; in files older than the first, with their number of dimensions. */
const ARRAY_V1 = 0xf993fac8;
const ARRAY_V2 = 0xf993fac9;
const ARRAY_V3 = 0xf993faca;
const DENSE = 0;
const CPU = 1;

/** MXNet's type flags (mshadow/base.h), by position. */
const TYPE_FLAGS: readonly (TensorDType | null)[] = [
  'float32',
  'float64',
  'float16',
  'uint8',
  'int32',
  'int8',
  'int64',
  'bool',
  'int16',
  null, // uint16
  null, // uint32
  null, // uint64
  'bfloat16',
];

/** MXNet 1.9, the last release, refuses files with int16 and bfloat16 (flags 8 and 12). */
const LAST_WRITTEN_FLAG = TYPE_FLAGS.indexOf('bool');

/**
 * Reads an MXNet `.params` file, in the array versions from before 1.0 to 3.
 *
 * Tensors are views into `bytes` where aligned. Empty arrays are left out.
 *
 * @param options.stripPrefix take `arg:` and `aux:` off the names; default true.
 * @throws FormatError; `unsupported` for sparse arrays.
 */
export function readMxnetParams(bytes: Uint8Array, options: { stripPrefix?: boolean } = {}): TensorMap {
  const file = asBytes(bytes, 'MXNet params');
  const { stripPrefix = true } = options;
  return parsing('MXNet params', () => {
    const reader = new Reader(file);
    if (file.length < 8 || reader.uint64('the magic number') !== Number(LIST_MAGIC)) {
      throw new FormatError(
        'bad-magic',
        'Expected an MXNet params file, which begins with 0x112. Is this another format?',
        {
          offset: 0,
        },
      );
    }
    reader.skip(8, 'the reserved field');
    const count = reader.uint64('the number of arrays');
    // An array takes at least 4 bytes: a larger count cannot be true.
    if (count > MAX_TENSORS || count * 4 > file.length) {
      throw new FormatError(
        'limit',
        `Expected at most ${MAX_TENSORS} arrays in this MXNet params file, got ${count}.`,
        {
          count,
        },
      );
    }
    const arrays: (NamedTensor | null)[] = [];
    for (let i = 0; i < count; i++) arrays.push(readArray(reader, file, i));
    const nameCount = reader.uint64('the number of names');
    if (nameCount !== 0 && nameCount !== count) {
      throw new FormatError(
        'malformed',
        `Expected ${count} names in this MXNet params file, got ${nameCount}.`,
        {
          expected: count,
          actual: nameCount,
        },
      );
    }
    const tensors: TensorMap = new Map();
    for (let i = 0; i < count; i++) {
      let name = nameCount === 0 ? String(i) : reader.name(i);
      if (stripPrefix) name = name.replace(/^(?:arg|aux):/, '');
      if (tensors.has(name)) {
        throw new FormatError(
          'malformed',
          `Expected each name once in this MXNet params file, got ${name} again.`,
          { name },
        );
      }
      const array = arrays[i];
      if (array) tensors.set(name, array);
    }
    return tensors;
  });
}

function readArray(reader: Reader, file: Uint8Array, index: number): NamedTensor | null {
  const what = `array ${index}`;
  const version = reader.uint32(`the version of ${what}`);
  let shape: number[];
  if (version === ARRAY_V2 || version === ARRAY_V3) {
    const storage = reader.int32(`the storage type of ${what}`);
    if (storage !== DENSE) {
      throw new FormatError(
        'unsupported',
        `Expected dense arrays in this MXNet params file, got storage type ${storage} in ${what}.`,
        {
          index,
          storage,
        },
      );
    }
    const rank = reader.int32(`the rank of ${what}`);
    // Version 3 counts a scalar as rank 0 and an unknown shape as -1; before, rank 0 meant "no array".
    if (version === ARRAY_V3 ? rank < 0 : rank === 0) return null;
    shape = reader.shape(rank, 8, what);
    if (version === ARRAY_V3 && shape.some((size) => size < 0)) return null;
  } else {
    const rank = version === ARRAY_V1 ? reader.uint32(`the rank of ${what}`) : version;
    if (rank === 0) return null;
    shape = reader.shape(rank, version === ARRAY_V1 ? 8 : 4, what);
  }
  reader.skip(8, `the device of ${what}`);
  const flag = reader.int32(`the type of ${what}`);
  const dtype = TYPE_FLAGS[flag];
  if (!dtype) {
    throw new FormatError(
      'unsupported',
      `Expected a type flag of 0..8 or 12 in this MXNet params file, got ${flag} in ${what}.`,
      { index, flag, offset: reader.at - 4 },
    );
  }
  const count = elementCount(shape, what);
  const offset = reader.skip(count * DTYPE_BYTES[dtype], `the data of ${what} [${shape.join(', ')}]`);
  return lazyTensor(dtype, shape, () => decodeElements(dtype, file, offset, count));
}

/**
 * Writes an MXNet `.params` file (array version 2) that `mx.nd.load` reads; equal input gives equal bytes.
 *
 * Names without a prefix get `aux:` when they are running statistics (`*_moving_mean`, `*_moving_var`), else `arg:`.
 *
 * @throws FormatError `bad-value` when an array does not match its dtype or shape, has no dimension, or a dtype that
 * MXNet does not read.
 */
export function writeMxnetParams(tensors: ReadonlyMap<string, NamedTensor>): Uint8Array {
  const parts: Uint8Array[] = [];
  const fields = (size: number, fill: (view: DataView) => void) => {
    const part = new Uint8Array(size);
    fill(new DataView(part.buffer));
    parts.push(part);
  };
  fields(24, (view) => {
    view.setBigUint64(0, LIST_MAGIC, true);
    view.setBigUint64(16, BigInt(tensors.size), true);
  });
  for (const [name, tensor] of tensors) {
    const { shape } = tensor;
    if (shape.length === 0) {
      throw new FormatError(
        'bad-value',
        `Expected tensor ${name} to have a dimension: MXNet params hold no scalars. Use shape [1].`,
        {
          name,
        },
      );
    }
    const flag = TYPE_FLAGS.indexOf(tensor.dtype);
    if (flag > LAST_WRITTEN_FLAG) {
      throw new FormatError(
        'bad-value',
        `Expected tensor ${name} to be of a type that MXNet reads, got ${tensor.dtype}. Convert it to float32 or int32.`,
        { name, dtype: tensor.dtype },
      );
    }
    const data = encodeElements(tensor, `tensor ${name}`);
    fields(24 + 8 * shape.length, (view) => {
      view.setUint32(0, ARRAY_V2, true);
      view.setInt32(4, DENSE, true);
      view.setInt32(8, shape.length, true);
      shape.forEach((size, d) => {
        view.setBigInt64(12 + 8 * d, BigInt(size), true);
      });
      view.setInt32(12 + 8 * shape.length, CPU, true);
      view.setInt32(20 + 8 * shape.length, flag, true);
    });
    parts.push(data);
  }
  fields(8, (view) => view.setBigUint64(0, BigInt(tensors.size), true));
  for (const name of tensors.keys()) {
    const prefix = /^(?:arg|aux):/.test(name) ? '' : /_moving_(?:mean|var)$/.test(name) ? 'aux:' : 'arg:';
    const text = new TextEncoder().encode(prefix + name);
    fields(8, (view) => view.setBigUint64(0, BigInt(text.length), true));
    parts.push(text);
  }
  const file = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

/** Little-endian fields in sequence. */
class Reader {
  at = 0;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Reserves `count` bytes and returns where they begin. */
  skip(count: number, what: string): number {
    const start = this.at;
    if (start + count > this.bytes.length) {
      throw new FormatError(
        'truncated',
        `Expected ${count} bytes for ${what} at offset ${start} of this MXNet params file, got ${this.bytes.length - start}. Was the download or copy cut off?`,
        { expected: count, actual: this.bytes.length - start, offset: start },
      );
    }
    this.at = start + count;
    return start;
  }

  uint32(what: string): number {
    return this.view.getUint32(this.skip(4, what), true);
  }

  int32(what: string): number {
    return this.view.getInt32(this.skip(4, what), true);
  }

  uint64(what: string): number {
    return Number(this.view.getBigUint64(this.skip(8, what), true));
  }

  shape(rank: number, size: 4 | 8, what: string): number[] {
    if (rank < 0 || rank > MAX_TENSOR_RANK) {
      throw new FormatError(
        'limit',
        `Expected ${what} of this MXNet params file to have 0..${MAX_TENSOR_RANK} dimensions, got ${rank}.`,
        {
          rank,
          offset: this.at,
        },
      );
    }
    const start = this.skip(rank * size, `the shape of ${what}`);
    return Array.from({ length: rank }, (_, d) =>
      size === 4
        ? this.view.getUint32(start + 4 * d, true)
        : Number(this.view.getBigInt64(start + 8 * d, true)),
    );
  }

  name(index: number): string {
    const length = this.uint64(`the length of name ${index}`);
    if (length > MAX_NAME_BYTES) {
      throw new FormatError(
        'limit',
        `Expected names of at most ${MAX_NAME_BYTES} bytes in this MXNet params file, got ${length}.`,
        {
          index,
          length,
        },
      );
    }
    const start = this.skip(length, `name ${index}`);
    return new TextDecoder().decode(this.bytes.subarray(start, start + length));
  }
}
