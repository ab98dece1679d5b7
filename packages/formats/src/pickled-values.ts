import { FormatError } from './format-error.js';
import {
  MAX_PICKLE_DEPTH,
  MAX_PICKLE_EXPANSION,
  MAX_PICKLE_FREE_BYTES,
  MAX_PICKLE_VISITS,
} from './limits.js';
import { decodeNpyElements } from './npy.js';
import { latin1Bytes, PickledArray, PickledDtype, PickledScalar } from './pickle-globals.js';
import type { NamedTensor } from './tensors.js';
import { elementCount } from './tensors.js';

/**
 * A pickled NumPy array of numbers as a tensor.
 *
 * @throws FormatError `unsupported` for arrays of objects, text or records, `truncated` for too few bytes.
 */
export function tensorOfPickledArray(array: PickledArray): NamedTensor {
  const { shape, dtype, fortranOrder } = array;
  if (!dtype || Array.isArray(array.content)) {
    throw new FormatError(
      'unsupported',
      `Expected a pickled NumPy array of numbers, got dtype ${dtype?.kind ?? 'unknown'}.`,
      {
        dtype: dtype?.kind,
      },
    );
  }
  const content =
    typeof array.content === 'string' ? latin1Bytes(array.content) : (array.content as Uint8Array);
  return decodeNpyElements(content, 0, { descr: descrOf(dtype), fortranOrder, shape });
}

function descrOf(dtype: PickledDtype): string {
  return `${dtype.byteOrder === '=' ? '<' : dtype.byteOrder}${dtype.kind}`;
}

/**
 * Pickled values as plain JavaScript: one-dimensional arrays of numbers become typed arrays, others NamedTensors,
 * arrays of objects become arrays, NumPy scalars become numbers.
 *
 * @param fileBytes size of the file, which bounds the size of its arrays together.
 * @throws FormatError `limit` when the value is nested or repeated beyond measure.
 */
export function plainPickledValue(value: unknown, fileBytes: number): unknown {
  let visits = 0;
  let bytesLeft = Math.max(MAX_PICKLE_FREE_BYTES, MAX_PICKLE_EXPANSION * fileBytes);
  // Values that the pickle refers to more than once stay one value.
  const done = new Map<object, unknown>();
  const walk = (item: unknown, depth: number): unknown => {
    if (++visits > MAX_PICKLE_VISITS || depth > MAX_PICKLE_DEPTH) {
      throw new FormatError(
        'limit',
        `Expected a pickled value of at most ${MAX_PICKLE_VISITS} parts, nested at most ${MAX_PICKLE_DEPTH} deep.`,
        { visits, depth },
      );
    }
    if (typeof item !== 'object' || item === null) return item;
    if (done.has(item)) return done.get(item);
    // Containers are known before they are filled: a pickled value may contain itself.
    if (Array.isArray(item)) {
      const list: unknown[] = [];
      done.set(item, list);
      for (const part of item) list.push(walk(part, depth + 1));
      return list;
    }
    if (item instanceof Map) {
      const map = new Map<unknown, unknown>();
      done.set(item, map);
      for (const [key, part] of item) map.set(walk(key, depth + 1), walk(part, depth + 1));
      return map;
    }
    let plain: unknown = item;
    if (item instanceof PickledArray) {
      // Many arrays may name the same bytes: each costs its own copy.
      bytesLeft -= ArrayBuffer.isView(item.content) ? item.content.byteLength : item.content.length;
      if (bytesLeft < 0) {
        throw new FormatError(
          'limit',
          `Expected pickled arrays of at most ${MAX_PICKLE_EXPANSION} times the file's ${fileBytes} bytes.`,
          { fileBytes },
        );
      }
      plain = plainArray(item, (part) => walk(part, depth + 1));
    } else if (item instanceof PickledScalar) plain = plainScalar(item);
    else if (item instanceof PickledDtype) plain = item.kind;
    done.set(item, plain);
    return plain;
  };
  return walk(value, 0);
}

function plainArray(array: PickledArray, walk: (part: unknown) => unknown): unknown {
  if (Array.isArray(array.content) && array.dtype?.kind.startsWith('O')) {
    const count = elementCount(array.shape, 'the pickled array');
    if (array.content.length !== count) {
      throw new FormatError(
        'malformed',
        `Expected ${count} objects in a pickled array, got ${array.content.length}.`,
      );
    }
    return array.shape.length === 0 ? walk(array.content[0]) : array.content.map(walk);
  }
  const tensor = tensorOfPickledArray(array);
  return tensor.shape.length === 1 ? tensor.data : tensor;
}

function plainScalar(scalar: PickledScalar): number | bigint | boolean {
  const content = typeof scalar.content === 'string' ? latin1Bytes(scalar.content) : scalar.content;
  const tensor = decodeNpyElements(content, 0, {
    descr: descrOf(scalar.dtype),
    fortranOrder: false,
    shape: [],
  });
  const value = tensor.data[0];
  return tensor.dtype === 'bool' ? value !== 0 : value;
}
