import { FormatError, parsing } from './format-error.js';
import { MAX_NPY_HEADER_BYTES } from './limits.js';
import type { NamedTensor, TensorDType, TypedArray } from './tensors.js';
import { asBytes, DTYPE_BYTES, decodeElements, elementCount, encodeElements, lazyTensor } from './tensors.js';
import { decodeUnsigned, type UnsignedDType, unsignedBytes } from './unsigned.js';

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY

const DTYPES = new Map<string, TensorDType>(
  Object.entries({
    f8: 'float64',
    f4: 'float32',
    f2: 'float16',
    i8: 'int64',
    i4: 'int32',
    i2: 'int16',
    i1: 'int8',
    u1: 'uint8',
    b1: 'bool',
  }),
);
const UNSIGNED = new Map<string, UnsignedDType>(Object.entries({ u2: 'uint16', u4: 'uint32', u8: 'uint64' }));

/** NumPy has no bfloat16: it is written as float32, which holds it exactly. */
const DESCRIPTIONS: Readonly<Record<TensorDType, string>> = {
  float64: '<f8',
  float32: '<f4',
  float16: '<f2',
  bfloat16: '<f4',
  int64: '<i8',
  int32: '<i4',
  int16: '<i2',
  int8: '|i1',
  uint8: '|u1',
  bool: '|b1',
};

/** The header of an npy file. */
export interface NpyHeader {
  /** NumPy's type string, such as `<f4` or `|O`. */
  descr: string;
  fortranOrder: boolean;
  shape: number[];
  /** Where the data begins. */
  dataOffset: number;
}

/**
 * Reads an npy file (format versions 1 to 3) of numbers or booleans.
 *
 * Either byte order and either memory order; the result is row-major. uint16 is read as int32, uint32 and
 * uint64 as int64. The data is a view into `bytes` where its order allows.
 *
 * @throws FormatError; `unsupported` for object arrays (see {@link readPickledNpy}), text and records.
 */
export function readNpy(bytes: Uint8Array): NamedTensor {
  const file = asBytes(bytes, 'npy');
  return parsing('npy', () => parse(file));
}

function parse(file: Uint8Array): NamedTensor {
  const header = readNpyHeader(file);
  return decodeNpyElements(file, header.dataOffset, header);
}

/** Elements in any of NumPy's plain dtypes, byte orders and memory orders as a row-major tensor. */
export function decodeNpyElements(
  file: Uint8Array,
  dataOffset: number,
  header: Pick<NpyHeader, 'descr' | 'fortranOrder' | 'shape'>,
): NamedTensor {
  const { descr, fortranOrder, shape } = header;
  const kind = descr.slice(1);
  const dtype = DTYPES.get(kind);
  const unsigned = UNSIGNED.get(kind);
  if (!'<>|='.includes(descr[0]) || (!dtype && !unsigned)) {
    const next = descr.includes('O')
      ? 'It holds pickled Python objects: use readPickledNpy.'
      : 'Save it as float32, int64, uint8 or another plain type.';
    throw new FormatError('unsupported', `Expected a NumPy array of numbers, got dtype ${descr}. ${next}`, {
      descr,
    });
  }
  const count = elementCount(shape, 'the NumPy array');
  const size = dtype ? DTYPE_BYTES[dtype] : unsignedBytes(unsigned as UnsignedDType);
  const actual = file.length - dataOffset;
  if (actual < count * size) {
    throw new FormatError(
      'truncated',
      `Expected ${count * size} bytes of ${descr} data for shape [${shape.join(', ')}] at offset ${dataOffset} of a NumPy array, got ${actual}. Was the file cut off?`,
      { expected: count * size, actual, offset: dataOffset },
    );
  }
  let data = file;
  let offset = dataOffset;
  if (descr[0] === '>' && size > 1) {
    data = swapBytes(file, dataOffset, count, size);
    offset = 0;
  }
  const rowMajor = dtype
    ? lazyTensor(dtype, shape, () => decodeElements(dtype, data, offset, count))
    : decodeUnsigned(unsigned as UnsignedDType, data, offset, shape, count);
  if (!fortranOrder || shape.length < 2 || count === 0) return rowMajor;
  return lazyTensor(rowMajor.dtype, shape, () => toRowMajor(rowMajor.data, shape));
}

/** Reads only the header of an npy file. */
export function readNpyHeader(bytes: Uint8Array): NpyHeader {
  const file = asBytes(bytes, 'npy');
  if (file.length < MAGIC.length || MAGIC.some((byte, i) => file[i] !== byte)) {
    throw new FormatError(
      'bad-magic',
      'Expected an npy file, which begins with \\x93NUMPY. Is this another format?',
      {
        offset: 0,
      },
    );
  }
  const version = file[6];
  if (file.length < 10 || (version !== 1 && version !== 2 && version !== 3)) {
    throw new FormatError('malformed', `Expected npy format version 1, 2 or 3, got ${version}.`, { version });
  }
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const headerStart = version === 1 ? 10 : 12;
  if (file.length < headerStart) {
    throw new FormatError(
      'truncated',
      `Expected an npy header at offset 8, the file has ${file.length} bytes.`,
      {
        expected: headerStart,
        actual: file.length,
        offset: 8,
      },
    );
  }
  const headerBytes = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (headerBytes > MAX_NPY_HEADER_BYTES) {
    throw new FormatError(
      'limit',
      `Expected an npy header of at most ${MAX_NPY_HEADER_BYTES} bytes, got ${headerBytes}.`,
      {
        headerBytes,
      },
    );
  }
  const dataOffset = headerStart + headerBytes;
  if (dataOffset > file.length) {
    throw new FormatError(
      'truncated',
      `Expected an npy header of ${headerBytes} bytes at offset ${headerStart}, got ${file.length - headerStart}.`,
      { expected: headerBytes, actual: file.length - headerStart, offset: headerStart },
    );
  }
  const header = new TextDecoder(version === 3 ? 'utf-8' : 'latin1').decode(
    file.subarray(headerStart, dataOffset),
  );
  const descr = /['"]descr['"]\s*:\s*(?:'([^']*)'|"([^"]*)"|(\[))/.exec(header);
  const order = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(header);
  // Python 2 wrote long integers as 3L.
  const shape = /['"]shape['"]\s*:\s*\(([\d\sL,]*)\)/.exec(header);
  if (!descr || !order || !shape) {
    throw new FormatError(
      'malformed',
      `Expected descr, fortran_order and shape in the npy header, got ${header.trim()}.`,
      {
        header,
      },
    );
  }
  if (descr[3]) {
    throw new FormatError(
      'unsupported',
      'Expected an npy array of one type, got a structured dtype. Save its fields apart.',
      {
        header,
      },
    );
  }
  return {
    descr: descr[1] ?? descr[2],
    fortranOrder: order[1] === 'True',
    shape: (shape[1].match(/\d+/g) ?? []).map(Number),
    dataOffset,
  };
}

/**
 * Writes an npy file, format version 1, byte for byte as NumPy does; bfloat16 becomes float32.
 *
 * @throws FormatError `bad-value` when the array does not match dtype or shape.
 */
export function writeNpy(tensor: NamedTensor): Uint8Array {
  const data = encodeElements(
    tensor.dtype === 'bfloat16' ? { dtype: 'float32', shape: tensor.shape, data: tensor.data } : tensor,
    'the npy array',
  );
  const tuple = tensor.shape.length === 1 ? `(${tensor.shape[0]},)` : `(${tensor.shape.join(', ')})`;
  let header = `{'descr': '${DESCRIPTIONS[tensor.dtype]}', 'fortran_order': False, 'shape': ${tuple}, }`;
  // NumPy leaves room for the first dimension to grow to 21 digits, then pads to 64 bytes.
  if (tensor.shape.length > 0) header += ' '.repeat(Math.max(0, 21 - String(tensor.shape[0]).length));
  header += `${' '.repeat(64 - ((10 + header.length + 1) % 64))}\n`;
  const file = new Uint8Array(10 + header.length + data.length);
  file.set(MAGIC, 0);
  file[6] = 1;
  new DataView(file.buffer).setUint16(8, header.length, true);
  for (let i = 0; i < header.length; i++) file[10 + i] = header.charCodeAt(i);
  file.set(data, 10 + header.length);
  return file;
}

function swapBytes(file: Uint8Array, offset: number, count: number, size: number): Uint8Array {
  const swapped = new Uint8Array(count * size);
  for (let i = 0; i < swapped.length; i += size) {
    for (let b = 0; b < size; b++) swapped[i + b] = file[offset + i + size - 1 - b];
  }
  return swapped;
}

/** Column-major elements in row-major order. */
function toRowMajor(source: TypedArray, shape: readonly number[]): TypedArray {
  const result = source.slice();
  const rank = shape.length;
  const strides = new Array<number>(rank);
  let stride = 1;
  for (let d = 0; d < rank; d++) {
    strides[d] = stride;
    stride *= shape[d];
  }
  const index = new Array<number>(rank).fill(0);
  let from = 0;
  for (let to = 0; to < result.length; to++) {
    result[to] = source[from];
    for (let d = rank - 1; d >= 0; d--) {
      from += strides[d];
      if (++index[d] < shape[d]) break;
      from -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
  return result;
}
