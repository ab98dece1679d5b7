import { FormatError, parsing } from './format-error.js';
import { readNpy, readNpyHeader } from './npy.js';
import { containerGlobals, numpyGlobals } from './pickle-globals.js';
import { plainPickledValue } from './pickled-values.js';
import { asBytes } from './tensors.js';
import { unpickle } from './unpickle.js';

/**
 * Reads an npy file that holds pickled Python objects (`np.save` of a dict or a list), executing nothing of it.
 *
 * Dicts become Map, lists and tuples arrays, one-dimensional number arrays typed arrays (others NamedTensors), str
 * string, bytes Uint8Array, None null. An npy file of plain numbers gives its NamedTensor.
 *
 * @throws FormatError `unknown-global` for a class that is not NumPy's or a container.
 */
export function readPickledNpy(bytes: Uint8Array): unknown {
  const file = asBytes(bytes, 'npy');
  return parsing('pickled npy', () => {
    const header = readNpyHeader(file);
    if (!/^\|?O8?$/.test(header.descr)) return readNpy(file);
    const globals = new Map([...containerGlobals(), ...numpyGlobals()]);
    const { value } = unpickle(file, { globals, offset: header.dataOffset, format: 'npy file' });
    return plainPickledValue(value, file.length);
  });
}

/**
 * Reads the field's `cls_labels.npy`: a pickled dict from image id to a multi-hot vector of the classes.
 *
 * @returns image id -> [K] float32 of 0 and 1, in the file's order; K = 20 for VOC, 80 for COCO.
 * @throws FormatError when it is no such dict, or the vectors differ in length.
 */
export function readClassLabelsNpy(bytes: Uint8Array): Map<string, Float32Array> {
  const value = readPickledNpy(bytes);
  if (!(value instanceof Map)) {
    throw new FormatError(
      'malformed',
      'Expected a pickled dict from image id to class vector (cls_labels.npy), got another value.',
    );
  }
  const labels = new Map<string, Float32Array>();
  let classes = -1;
  for (const [id, vector] of value) {
    // COCO lists carry ids as numbers in some files.
    if (typeof id !== 'string' && typeof id !== 'number') {
      throw new FormatError('malformed', `Expected image ids as keys of the class labels, got ${typeof id}.`);
    }
    const numbers = isNumbers(vector) ? Float32Array.from(vector, Number) : null;
    if (!numbers) {
      throw new FormatError(
        'malformed',
        `Expected a vector of numbers for image ${id} in the class labels.`,
        { id },
      );
    }
    if (classes < 0) classes = numbers.length;
    if (numbers.length !== classes) {
      throw new FormatError(
        'malformed',
        `Expected ${classes} classes for image ${id}, got ${numbers.length}.`,
        {
          id,
          expected: classes,
          actual: numbers.length,
        },
      );
    }
    labels.set(String(id), numbers);
  }
  return labels;
}

function isNumbers(value: unknown): value is ArrayLike<number | bigint> & Iterable<number | bigint> {
  if (Array.isArray(value)) return value.every((item) => typeof item === 'number');
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}
