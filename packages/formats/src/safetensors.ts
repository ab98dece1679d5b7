import { FormatError, parsing } from './format-error.js';
import { MAX_SAFETENSORS_HEADER_BYTES, MAX_TENSORS } from './limits.js';
import type { NamedTensor, TensorDType, TensorMap } from './tensors.js';
import { asBytes, DTYPE_BYTES, decodeElements, elementCount, encodeElements, lazyTensor } from './tensors.js';
import { decodeUnsigned, type UnsignedDType, unsignedBytes } from './unsigned.js';

const NAMES: Readonly<Record<TensorDType, string>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL',
};
const DTYPES = new Map(Object.entries(NAMES).map(([dtype, name]) => [name, dtype as TensorDType]));
const UNSIGNED = new Map<string, UnsignedDType>([
  ['U16', 'uint16'],
  ['U32', 'uint32'],
  ['U64', 'uint64'],
]);

/** What a safetensors file holds. */
export interface Safetensors {
  tensors: TensorMap;
  metadata: Record<string, string>;
}

/**
 * Reads a safetensors file.
 *
 * Tensors are views into `bytes`, decoded when their `data` is used. U16, which {@link TensorDType} lacks, is
 * read as int32, U32 and U64 as int64.
 *
 * Format: 8 bytes of header length, a JSON header, the data, without gaps or overlaps.
 *
 * @throws FormatError `truncated`, `malformed`, `limit` or `unsupported` (a dtype of 8 bits or less).
 */
export function readSafetensors(bytes: Uint8Array): Safetensors {
  const file = asBytes(bytes, 'safetensors');
  return parsing('safetensors', () => parse(file));
}

function parse(file: Uint8Array): Safetensors {
  if (file.length < 8) throw truncated('the header length', 8, file.length, 0);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const headerBytes = Number(view.getBigUint64(0, true));
  if (headerBytes > MAX_SAFETENSORS_HEADER_BYTES) {
    throw new FormatError(
      'limit',
      `Expected a safetensors header of at most ${MAX_SAFETENSORS_HEADER_BYTES} bytes, got ${headerBytes}. Is this a safetensors file?`,
      { headerBytes },
    );
  }
  if (8 + headerBytes > file.length) throw truncated('the header', headerBytes, file.length - 8, 8);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(file.subarray(8, 8 + headerBytes)));
  } catch (error) {
    throw new FormatError(
      'malformed',
      `Expected a JSON header at offset 8 of a safetensors file: ${(error as Error).message}. Is this a safetensors file?`,
      { offset: 8, headerBytes },
      error,
    );
  }
  if (!isRecord(header))
    throw new FormatError('malformed', 'Expected the safetensors header to be a JSON object.');

  const dataStart = 8 + headerBytes;
  const dataBytes = file.length - dataStart;
  const tensors: TensorMap = new Map();
  const metadata: [string, string][] = [];
  const ranges: { name: string; begin: number; end: number }[] = [];
  const entries = Object.entries(header);
  if (entries.length > MAX_TENSORS) {
    throw new FormatError('limit', `Expected at most ${MAX_TENSORS} tensors, got ${entries.length}.`);
  }
  for (const [name, entry] of entries) {
    if (name === '__metadata__') {
      if (!isRecord(entry)) throw new FormatError('malformed', 'Expected __metadata__ to be a JSON object.');
      for (const [key, value] of Object.entries(entry)) {
        if (typeof value !== 'string') {
          throw new FormatError('malformed', `Expected text for metadata key ${key}, got ${typeof value}.`, {
            key,
          });
        }
        metadata.push([key, value]);
      }
      continue;
    }
    if (!isRecord(entry) || !Array.isArray(entry.shape) || !Array.isArray(entry.data_offsets)) {
      throw new FormatError('malformed', `Expected dtype, shape and data_offsets for tensor ${name}.`, {
        name,
      });
    }
    const shape = entry.shape as number[];
    const count = elementCount(shape, `tensor ${name}`);
    const [begin, end] = entry.data_offsets as number[];
    if (
      entry.data_offsets.length !== 2 ||
      !Number.isSafeInteger(begin) ||
      !Number.isSafeInteger(end) ||
      begin < 0 ||
      end < begin
    ) {
      throw new FormatError('malformed', `Expected data_offsets [begin, end] for tensor ${name}.`, { name });
    }
    const dtype = DTYPES.get(String(entry.dtype));
    const unsigned = UNSIGNED.get(String(entry.dtype));
    if (!dtype && !unsigned) {
      throw new FormatError(
        'unsupported',
        `Expected a dtype of ${[...DTYPES.keys(), ...UNSIGNED.keys()].join(', ')} for tensor ${name}, got ${String(entry.dtype)}. Convert it first.`,
        { name, dtype: entry.dtype },
      );
    }
    const expected = count * (dtype ? DTYPE_BYTES[dtype] : unsignedBytes(unsigned as UnsignedDType));
    if (end - begin !== expected) {
      throw new FormatError(
        'malformed',
        `Expected ${expected} bytes for tensor ${name} of ${String(entry.dtype)} [${shape.join(', ')}], its offsets span ${end - begin}.`,
        { name, expected, actual: end - begin },
      );
    }
    if (end > dataBytes)
      throw truncated(`tensor ${name}`, end - begin, Math.max(0, dataBytes - begin), dataStart + begin);
    ranges.push({ name, begin, end });
    const at = dataStart + begin;
    tensors.set(
      name,
      dtype
        ? lazyTensor(dtype, shape, () => decodeElements(dtype, file, at, count))
        : decodeUnsigned(unsigned as UnsignedDType, file, at, shape, count),
    );
  }
  ranges.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let position = 0;
  for (const range of ranges) {
    if (range.begin !== position) {
      throw new FormatError(
        'malformed',
        `Expected tensor ${range.name} to begin at data offset ${position}, got ${range.begin}: safetensors data has neither gaps nor overlaps.`,
        { name: range.name, expected: position, actual: range.begin },
      );
    }
    position = range.end;
  }
  if (position !== dataBytes) {
    throw new FormatError('malformed', `Expected ${position} bytes of tensor data, got ${dataBytes}.`, {
      expected: position,
      actual: dataBytes,
    });
  }
  return { tensors, metadata: Object.fromEntries(metadata) };
}

/**
 * Writes a safetensors file; equal input gives equal bytes.
 *
 * The header lists the tensors in the map's order; the data is laid out by element size, largest first, so that
 * every tensor is aligned in the file.
 *
 * @throws FormatError `bad-value` when an array does not match its dtype or shape.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, NamedTensor>,
  metadata: Record<string, string> = {},
): Uint8Array {
  // Sizes first, arrays later: a lazily decoded map is then never held decoded as a whole.
  const entries = [...tensors].map(([name, tensor]) => {
    if (name === '__metadata__') {
      throw new FormatError('bad-value', 'A tensor cannot be named __metadata__ in a safetensors file.');
    }
    if (!(tensor.dtype in NAMES)) encodeElements(tensor, `tensor ${name}`);
    const count = elementCount(tensor.shape, `tensor ${name}`);
    return { name, tensor, byteLength: count * DTYPE_BYTES[tensor.dtype], begin: 0 };
  });
  const laidOut = [...entries].sort((a, b) => DTYPE_BYTES[b.tensor.dtype] - DTYPE_BYTES[a.tensor.dtype]);
  let dataBytes = 0;
  for (const entry of laidOut) {
    entry.begin = dataBytes;
    dataBytes += entry.byteLength;
  }
  const parts = entries.map(
    ({ name, tensor, begin, byteLength }) =>
      `${JSON.stringify(name)}:{"dtype":"${NAMES[tensor.dtype]}","shape":[${tensor.shape.join(',')}],"data_offsets":[${begin},${begin + byteLength}]}`,
  );
  if (Object.keys(metadata).length > 0) parts.unshift(`"__metadata__":${JSON.stringify(metadata)}`);
  const header = new TextEncoder().encode(`{${parts.join(',')}}`);
  const headerBytes = Math.ceil(header.length / 8) * 8;
  const file = new Uint8Array(8 + headerBytes + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.set(header, 8);
  file.fill(0x20, 8 + header.length, 8 + headerBytes);
  for (const { name, tensor, begin } of laidOut) {
    file.set(encodeElements(tensor, `tensor ${name}`), 8 + headerBytes + begin);
  }
  return file;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function truncated(what: string, expected: number, actual: number, offset: number): FormatError {
  return new FormatError(
    'truncated',
    `Expected ${expected} bytes for ${what} at offset ${offset} of a safetensors file, got ${actual}. Was the download or copy cut off?`,
    { expected, actual, offset },
  );
}
