import { FormatError } from './format-error.js';
import type { PickleGlobal, Stateful } from './unpickle.js';

/** A NumPy dtype in a pickle: its code, such as `f4`, and its byte order. */
export class PickledDtype implements Stateful {
  readonly kind: string;
  byteOrder = '=';

  constructor(kind: string) {
    // "f4", also "<f4"; byte order otherwise comes with the state.
    if (/^[<>|=]/.test(kind)) {
      this.byteOrder = kind[0];
      this.kind = kind.slice(1);
    } else this.kind = kind;
  }

  setPickledState(state: unknown): void {
    // (version, byte order, subdtype, names, fields, size, alignment, flags)
    if (!Array.isArray(state) || typeof state[1] !== 'string') throw malformed('the state of a NumPy dtype');
    this.byteOrder = state[1];
  }
}

/** A NumPy array in a pickle, before its elements are looked at. */
export class PickledArray implements Stateful {
  shape: number[] = [];
  dtype: PickledDtype | null = null;
  fortranOrder = false;
  /** The raw elements, or the list of objects of dtype O. */
  content: Uint8Array | string | readonly unknown[] = [];

  setPickledState(state: unknown): void {
    if (!Array.isArray(state) || state.length !== 5) throw malformed('the state of a NumPy array');
    const [, shape, dtype, fortranOrder, content] = state;
    this.fill(shape, dtype, fortranOrder === true, content);
  }

  fill(shape: unknown, dtype: unknown, fortranOrder: boolean, content: unknown): void {
    const sizes = typeof shape === 'number' ? [shape] : shape;
    if (!isShape(sizes) || !(dtype instanceof PickledDtype))
      throw malformed('shape and dtype of a NumPy array');
    if (!ArrayBuffer.isView(content) && typeof content !== 'string' && !Array.isArray(content)) {
      throw malformed('the elements of a NumPy array');
    }
    this.shape = [...sizes];
    this.dtype = dtype;
    this.fortranOrder = fortranOrder;
    this.content = content as Uint8Array | string | unknown[];
  }
}

/** Whether a value is a list of whole numbers >= 0. */
export function isShape(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

/** A NumPy scalar in a pickle. */
export class PickledScalar {
  readonly dtype: PickledDtype;
  readonly content: Uint8Array | string;

  constructor(dtype: PickledDtype, content: Uint8Array | string) {
    this.dtype = dtype;
    this.content = content;
  }
}

function malformed(what: string): FormatError {
  return new FormatError(
    'malformed',
    `Expected ${what} in this pickle as NumPy writes it. The file is damaged.`,
  );
}

/** Pairs of a dict or a list of pairs, as `OrderedDict(...)` takes them. */
function toMap(items: unknown, charge: (elements: number) => void): Map<unknown, unknown> {
  const map = new Map<unknown, unknown>();
  if (items === undefined) return map;
  if (!Array.isArray(items)) throw malformed('a list of pairs');
  charge(items.length);
  for (const pair of items) {
    if (!Array.isArray(pair) || pair.length !== 2) throw malformed('a list of pairs');
    map.set(pair[0], pair[1]);
  }
  return map;
}

function toSet(items: unknown, charge: (elements: number) => void): Set<unknown> {
  if (items === undefined) return new Set();
  if (!Array.isArray(items)) throw malformed('a list');
  charge(items.length);
  return new Set(items);
}

/** Python containers that checkpoints and label files use, harmless by construction. */
export function containerGlobals(): [string, PickleGlobal][] {
  const entries: [string, PickleGlobal][] = [
    ['collections.OrderedDict', { call: ([items], charge) => toMap(items, charge) }],
    // The factory of a defaultdict is of no use without Python: a plain map.
    ['collections.defaultdict', { call: ([, items], charge) => toMap(items, charge) }],
  ];
  for (const module of ['builtins', '__builtin__']) {
    entries.push([`${module}.set`, { call: ([items], charge) => toSet(items, charge) }]);
    entries.push([`${module}.frozenset`, { call: ([items], charge) => toSet(items, charge) }]);
    // Only ever the factory of a defaultdict here.
    for (const name of ['list', 'dict', 'int', 'float']) entries.push([`${module}.${name}`, { value: name }]);
  }
  return entries;
}

/** The names that pickled NumPy arrays use, of NumPy 1 and 2 and of Python 2 and 3. */
export function numpyGlobals(): [string, PickleGlobal][] {
  const ndarray: PickleGlobal = { call: () => new PickledArray() };
  const reconstruct: PickleGlobal = { call: () => new PickledArray() };
  const scalar: PickleGlobal = {
    call: ([dtype, content]) => {
      if (!(dtype instanceof PickledDtype) || (typeof content !== 'string' && !ArrayBuffer.isView(content))) {
        throw malformed('a NumPy scalar');
      }
      return new PickledScalar(dtype, content as Uint8Array | string);
    },
  };
  const fromBuffer: PickleGlobal = {
    call: ([content, dtype, shape, order]) => {
      const array = new PickledArray();
      array.fill(shape, dtype, order === 'F', content);
      return array;
    },
  };
  const dtype: PickleGlobal = {
    call: ([kind]) => {
      if (typeof kind !== 'string') throw malformed('a NumPy dtype');
      return new PickledDtype(kind);
    },
  };
  // Python 3 writes the bytes of protocol 2 as text plus its encoding. The same text is encoded once, so that
  // a small file cannot ask for a large one again and again.
  const encoded = new Map<string, Uint8Array>();
  const encode: PickleGlobal = {
    call: ([text, encoding]) => {
      if (typeof text !== 'string' || (encoding !== 'latin1' && encoding !== 'latin-1')) {
        throw new FormatError(
          'unsupported',
          `Expected text in latin1 in this pickle, got ${String(encoding)}.`,
          { encoding },
        );
      }
      let bytes = encoded.get(text);
      if (!bytes) {
        bytes = latin1Bytes(text);
        encoded.set(text, bytes);
      }
      return bytes;
    },
  };
  const entries: [string, PickleGlobal][] = [
    ['numpy.ndarray', ndarray],
    ['numpy.dtype', dtype],
    ['_codecs.encode', encode],
  ];
  for (const core of ['numpy.core', 'numpy._core']) {
    entries.push([`${core}.multiarray._reconstruct`, reconstruct]);
    entries.push([`${core}.multiarray.scalar`, scalar]);
    entries.push([`${core}.numeric._frombuffer`, fromBuffer]);
  }
  return entries;
}

/** The bytes of text whose characters are all below 256. */
export function latin1Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255) {
      throw new FormatError(
        'malformed',
        `Expected bytes as latin1 text in this pickle, got character ${code}.`,
        { code },
      );
    }
    bytes[i] = code;
  }
  return bytes;
}
