import { FormatError, parsing } from './format-error.js';
import { MAX_EXPANDED_ELEMENTS, MAX_PICKLE_DEPTH, MAX_PICKLE_VISITS, MAX_TENSORS } from './limits.js';
import { containerGlobals, isShape, numpyGlobals, PickledArray } from './pickle-globals.js';
import { tensorOfPickledArray } from './pickled-values.js';
import type { NamedTensor, TensorDType, TensorMap, TypedArray } from './tensors.js';
import { asBytes, DTYPE_BYTES, decodeElements, elementCount, lazyTensor } from './tensors.js';
import { OpaqueObject, type PickleGlobal, unpickle } from './unpickle.js';
import { isZip, readZipDirectory, readZipEntry } from './zip-archive.js';

/** How {@link readPyTorchCheckpoint} finds the tensors. */
export interface PyTorchCheckpointOptions {
  /**
   * Where the state dict is nested, such as `state_dict` or `model.ema`; an empty string for the file's own value.
   * Without it: a customary key whose dict holds tensors, else the value itself when it does, else the only such dict.
   * Tensors beside a customary key (a best score, the state of a random generator) are then left out.
   */
  stateDictKey?: string;
  /** Take `module.` off when every name begins with it, as DataParallel leaves it; default true. */
  stripModulePrefix?: boolean;
  /** Class names, such as `argparse.Namespace`, whose objects are skipped instead of refused. */
  inertGlobals?: readonly string[];
}

/** What a PyTorch checkpoint holds. */
export interface PyTorchCheckpoint {
  tensors: TensorMap;
  /** `zip`: PyTorch 1.6 and later; `legacy`: before, and `_use_new_zipfile_serialization=False`. */
  format: 'zip' | 'legacy';
  /** Where the state dict was nested; an empty string when it was the file's value. */
  stateDictKey: string;
  /** Prefix taken off the names: `module.` or an empty string. */
  strippedPrefix: string;
  /** Numbers, text and booleans beside the state dict, such as `epoch`. */
  extra: Record<string, string | number | boolean | null>;
}

/** Keys that training scripts nest their weights under, in the order they are looked for. */
const CUSTOMARY_KEYS = ['state_dict', 'model_state_dict', 'model', 'net', 'network', 'weights', 'params'];

const STORAGES: Readonly<Record<string, TensorDType>> = {
  DoubleStorage: 'float64',
  FloatStorage: 'float32',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
};

const TORCH_DTYPES: Readonly<Record<string, TensorDType>> = {
  float64: 'float64',
  float32: 'float32',
  float16: 'float16',
  bfloat16: 'bfloat16',
  int64: 'int64',
  int32: 'int32',
  int16: 'int16',
  int8: 'int8',
  uint8: 'uint8',
  bool: 'bool',
};

/** A storage class as the pickle names it; `dtype` is null for untyped bytes. */
class StorageType {
  readonly dtype: TensorDType | null;

  constructor(dtype: TensorDType | null) {
    this.dtype = dtype;
  }
}

/** A dtype as the pickle names it. */
class TorchDtype {
  readonly dtype: TensorDType;

  constructor(dtype: TensorDType) {
    this.dtype = dtype;
  }
}

/** Types that PyTorch saves and this reader does not decode: the message is better than "unknown global". */
const UNREAD_TYPES = [
  'ComplexFloatStorage',
  'ComplexDoubleStorage',
  'QInt8Storage',
  'QInt32Storage',
  'QUInt8Storage',
  'complex64',
  'complex128',
  'uint16',
  'uint32',
  'uint64',
  'float8_e4m3fn',
  'float8_e5m2',
];

/** A type of {@link UNREAD_TYPES} as the pickle names it. */
class UnreadType {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  refuse(): never {
    throw new FormatError(
      'unsupported',
      `Expected tensors of ${Object.keys(TORCH_DTYPES).join(', ')} in this PyTorch file, got torch.${this.name}. Convert them before saving, for example with tensor.float().`,
      { type: this.name },
    );
  }
}

/** The memory that tensors share; in a legacy file its place is known only at the end. */
class Storage {
  readonly key: string;
  readonly dtype: TensorDType | null;
  readonly elements: number;
  bytes: (() => Uint8Array) | null = null;

  constructor(key: string, dtype: TensorDType | null, elements: number) {
    this.key = key;
    this.dtype = dtype;
    this.elements = elements;
  }

  get itemBytes(): number {
    return this.dtype === null ? 1 : DTYPE_BYTES[this.dtype];
  }
}

/** A tensor as the pickle describes it. */
class PickledTensor {
  readonly storage: Storage;
  readonly dtype: TensorDType;
  /** In elements. */
  readonly offset: number;
  readonly shape: number[];
  readonly stride: number[];

  constructor(storage: Storage, dtype: TensorDType, offset: number, shape: number[], stride: number[]) {
    this.storage = storage;
    this.dtype = dtype;
    this.offset = offset;
    this.shape = shape;
    this.stride = stride;
  }
}

/**
 * Reads a PyTorch checkpoint (`.pth`, `.pt`), in the zip and in the legacy format; executes nothing of it.
 *
 * Tensors are views into `bytes`, decoded when their `data` is used: keep `bytes` as long as you read them.
 * Shared storages stay shared; strided tensors are copied to row-major order on use. Names of nested dicts are
 * joined by dots.
 *
 * @throws FormatError `unknown-global` for a class that is not on the allow-list; `truncated`, `malformed`,
 * `unsupported` (TorchScript, sparse, quantised or complex tensors, big-endian files, the tar format of PyTorch 0.1).
 */
export function readPyTorchCheckpoint(
  bytes: Uint8Array,
  options: PyTorchCheckpointOptions = {},
): PyTorchCheckpoint {
  const file = asBytes(bytes, 'PyTorch');
  return parsing('PyTorch checkpoint', () => {
    const zip = isZip(file);
    const value = zip ? readZipFormat(file, options) : readLegacyFormat(file, options);
    return collect(value, zip ? 'zip' : 'legacy', options);
  });
}

function readZipFormat(file: Uint8Array, options: PyTorchCheckpointOptions): unknown {
  const entries = readZipDirectory(file, 'PyTorch');
  const pickleName = [...entries.keys()].find((name) => /^(?:[^/]+\/)?data\.pkl$/.test(name));
  const pickle = pickleName === undefined ? undefined : entries.get(pickleName);
  if (pickleName === undefined || !pickle) {
    throw new FormatError(
      'bad-magic',
      `Expected data.pkl in this zip file, as torch.save writes it, got ${[...entries.keys()].slice(0, 5).join(', ') || 'no files'}. Is it an npz or another archive?`,
      { names: [...entries.keys()].slice(0, 20) },
    );
  }
  const root = pickleName.slice(0, -'data.pkl'.length);
  if (entries.has(`${root}constants.pkl`)) {
    throw new FormatError(
      'unsupported',
      'Expected a checkpoint of torch.save, got a TorchScript archive. Save its weights: torch.save(torch.jit.load(path).state_dict(), ...).',
    );
  }
  const order = entries.get(`${root}byteorder`);
  if (order) {
    const text = new TextDecoder().decode(readZipEntry(file, order, { verifyChecksum: false }));
    if (text !== 'little') throw bigEndian();
  }
  const storages = new Map<string, Storage>();
  const persistentLoad = (id: unknown): Storage => {
    const { key, dtype, elements } = storageId(id);
    const known = storages.get(key);
    if (known) return sameStorage(known, dtype, elements);
    const storage = new Storage(key, dtype, elements);
    const entry = entries.get(`${root}data/${key}`);
    const expected = elements * storage.itemBytes;
    if (!entry || entry.size < expected) {
      throw new FormatError(
        'truncated',
        `Expected ${expected} bytes for storage ${key} in ${root}data/${key} of this PyTorch file, got ${entry ? entry.size : 'no such member'}.`,
        { expected, actual: entry?.size ?? 0, key, offset: entry?.offset },
      );
    }
    // Stored members, the rule, are views; compressed ones are unpacked when used and not kept.
    let unpacked: WeakRef<Uint8Array> | undefined;
    storage.bytes = () => {
      const held = unpacked?.deref();
      if (held) return held;
      const data = readZipEntry(file, entry, { verifyChecksum: false });
      unpacked = new WeakRef(data);
      return data;
    };
    storages.set(key, storage);
    return storage;
  };
  // PyTorch can be told to leave out checksums (torch.serialization.set_crc32_options), so none is verified.
  const data = readZipEntry(file, pickle, { verifyChecksum: false });
  return unpickle(data, { ...unpickling(options), persistentLoad }).value;
}

/** `0x1950a86a20f9469cfc6c`, the first pickle of a legacy file. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;

function readLegacyFormat(file: Uint8Array, options: PyTorchCheckpointOptions): unknown {
  const format = 'PyTorch checkpoint';
  const plain = { globals: new Map<string, PickleGlobal>(), format };
  let magic: { value: unknown; end: number };
  try {
    magic = unpickle(file.subarray(0, 64), plain);
  } catch (error) {
    throw notPyTorch(file, error);
  }
  if (magic.value !== LEGACY_MAGIC) throw notPyTorch(file);
  const protocol = unpickle(file, { ...plain, offset: magic.end });
  if (protocol.value !== LEGACY_PROTOCOL) {
    throw new FormatError(
      'unsupported',
      `Expected legacy PyTorch protocol ${LEGACY_PROTOCOL}, got ${String(protocol.value)}.`,
    );
  }
  const system = unpickle(file, { ...plain, offset: protocol.end });
  if (system.value instanceof Map && system.value.get('little_endian') === false) throw bigEndian();

  const storages = new Map<string, Storage>();
  const persistentLoad = (id: unknown): Storage => {
    const { key, dtype, elements, view } = storageId(id);
    // A view of a storage, which only PyTorch 0.3 and before wrote, would need an offset of its own.
    if (Array.isArray(view)) {
      throw new FormatError(
        'unsupported',
        'Expected whole storages in this legacy PyTorch file, got a view of one. Load and save it with a newer PyTorch.',
      );
    }
    const known = storages.get(key);
    if (known) return sameStorage(known, dtype, elements);
    const storage = new Storage(key, dtype, elements);
    storages.set(key, storage);
    return storage;
  };
  const main = unpickle(file, { ...unpickling(options), persistentLoad, offset: system.end });
  const keys = unpickle(file, { ...plain, offset: main.end });
  if (!Array.isArray(keys.value)) throw damaged('a list of storage keys', main.end);

  // The storages follow in that order: 8 bytes of element count, then the elements.
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let at = keys.end;
  for (const key of keys.value) {
    const storage = storages.get(String(key));
    if (!storage) throw damaged(`a storage that the checkpoint names, got key ${String(key)},`, at);
    if (at + 8 > file.length) throw cutOff(`the size of storage ${storage.key}`, 8, file.length - at, at);
    const elements = Number(view.getBigUint64(at, true));
    if (elements !== storage.elements)
      throw damaged(`${storage.elements} elements of storage ${storage.key}, got ${elements},`, at);
    const start = at + 8;
    const length = elements * storage.itemBytes;
    if (start + length > file.length)
      throw cutOff(`storage ${storage.key}`, length, file.length - start, start);
    storage.bytes = () => file.subarray(start, start + length);
    at = start + length;
  }
  for (const storage of storages.values()) {
    if (!storage.bytes) throw cutOff(`storage ${storage.key}`, storage.elements * storage.itemBytes, 0, at);
  }
  return main.value;
}

/** The allow-list: containers, NumPy arrays and scalars, and what PyTorch's own tensors need. */
function unpickling(options: PyTorchCheckpointOptions) {
  const globals = new Map<string, PickleGlobal>([...containerGlobals(), ...numpyGlobals()]);
  for (const [name, dtype] of Object.entries(STORAGES))
    globals.set(`torch.${name}`, { value: new StorageType(dtype) });
  globals.set('torch.storage.UntypedStorage', { value: new StorageType(null) });
  for (const [name, dtype] of Object.entries(TORCH_DTYPES))
    globals.set(`torch.${name}`, { value: new TorchDtype(dtype) });
  for (const name of UNREAD_TYPES) globals.set(`torch.${name}`, { value: new UnreadType(name) });
  globals.set('torch._utils._rebuild_tensor', {
    call: ([storage, offset, size, stride]) => rebuild(storage, offset, size, stride),
  });
  globals.set('torch._utils._rebuild_tensor_v2', {
    call: ([storage, offset, size, stride]) => rebuild(storage, offset, size, stride),
  });
  globals.set('torch._utils._rebuild_tensor_v3', {
    call: ([storage, offset, size, stride, , , dtype]) => rebuild(storage, offset, size, stride, dtype),
  });
  globals.set('torch._utils._rebuild_parameter', { call: ([tensor]) => expectTensor(tensor) });
  globals.set('torch._utils._rebuild_parameter_with_state', { call: ([tensor]) => expectTensor(tensor) });
  globals.set('torch._tensor._rebuild_from_type_v2', {
    call: ([make, , args], charge) => {
      // A tensor with Python attributes: the function that makes it, its class, its arguments, the attributes.
      const callable = make as PickleGlobal;
      if (typeof callable?.call !== 'function' || !Array.isArray(args))
        throw damaged('a tensor with attributes');
      return callable.call(args, charge);
    },
  });
  globals.set('torch.nn.parameter.Parameter', { call: ([tensor]) => expectTensor(tensor) });
  globals.set('torch.Tensor', {});
  globals.set('torch.Size', { call: ([size]) => size });
  globals.set('torch.device', { call: (args) => args.map(String).join(':') });
  return { globals, inertGlobals: options.inertGlobals, format: 'PyTorch checkpoint' };
}

function storageId(id: unknown): { key: string; dtype: TensorDType | null; elements: number; view: unknown } {
  if (!Array.isArray(id) || id[0] !== 'storage' || id.length < 5) throw damaged('a storage reference');
  const [, type, key, , elements, view] = id;
  if (type instanceof UnreadType) type.refuse();
  if (!(type instanceof StorageType) || !Number.isSafeInteger(elements) || elements < 0) {
    throw damaged('the type and size of a storage');
  }
  return { key: String(key), dtype: type.dtype, elements, view };
}

function sameStorage(storage: Storage, dtype: TensorDType | null, elements: number): Storage {
  if (storage.dtype !== dtype || storage.elements !== elements) {
    throw damaged(`storage ${storage.key} with one type and size`);
  }
  return storage;
}

function rebuild(
  storage: unknown,
  offset: unknown,
  size: unknown,
  stride: unknown,
  dtype?: unknown,
): PickledTensor {
  if (
    !(storage instanceof Storage) ||
    !Number.isSafeInteger(offset) ||
    (offset as number) < 0 ||
    !isShape(size) ||
    !isShape(stride) ||
    stride.length !== size.length
  ) {
    throw damaged('storage, offset, size and stride of a tensor');
  }
  if (dtype instanceof UnreadType) dtype.refuse();
  const type = dtype instanceof TorchDtype ? dtype.dtype : storage.dtype;
  if (type === null) throw damaged('the dtype of a tensor');
  return new PickledTensor(storage, type, offset as number, [...size], [...stride]);
}

function expectTensor(value: unknown): PickledTensor {
  if (!(value instanceof PickledTensor)) throw damaged('a tensor as parameter');
  return value;
}

/** Finds the state dict in the file's value and names its tensors. */
function collect(
  root: unknown,
  format: 'zip' | 'legacy',
  options: PyTorchCheckpointOptions,
): PyTorchCheckpoint {
  const { value, key } = findStateDict(root, options.stateDictKey);
  const found = new Map<string, NamedTensor>();
  let visits = 0;
  const walk = (item: unknown, name: string, depth: number): void => {
    if (++visits > MAX_PICKLE_VISITS || depth > MAX_PICKLE_DEPTH) {
      throw new FormatError(
        'limit',
        `Expected a state dict nested at most ${MAX_PICKLE_DEPTH} deep, at ${name.slice(0, 200)}.`,
      );
    }
    const tensor = asTensor(item, name);
    if (tensor) {
      if (found.size >= MAX_TENSORS)
        throw new FormatError('limit', `Expected at most ${MAX_TENSORS} tensors.`);
      if (found.has(name)) {
        throw new FormatError(
          'malformed',
          `Expected each tensor under a name of its own in this PyTorch file, got ${name} twice: nested names are joined by dots. Choose one dict with stateDictKey.`,
          { name },
        );
      }
      found.set(name, tensor);
    } else if (item instanceof Map) {
      for (const [part, child] of item)
        walk(child, name === '' ? String(part) : `${name}.${String(part)}`, depth + 1);
    } else if (Array.isArray(item)) {
      item.forEach((child, i) => {
        walk(child, name === '' ? String(i) : `${name}.${i}`, depth + 1);
      });
    }
  };
  walk(value, '', 0);
  if (found.size === 0) {
    throw new FormatError(
      'unsupported',
      `Expected tensors in this PyTorch file${key ? ` under ${key}` : ''}, found ${describe(value)}.`,
      { key },
    );
  }
  let tensors: TensorMap = found;
  let strippedPrefix = '';
  const prefix = 'module.';
  if (options.stripModulePrefix !== false && [...found.keys()].every((name) => name.startsWith(prefix))) {
    tensors = new Map([...found].map(([name, tensor]) => [name.slice(prefix.length), tensor]));
    strippedPrefix = prefix;
  }
  const extra: [string, string | number | boolean | null][] = [];
  if (root instanceof Map && root !== value) {
    for (const [name, item] of root) {
      if (
        item === null ||
        typeof item === 'string' ||
        typeof item === 'number' ||
        typeof item === 'boolean'
      ) {
        extra.push([String(name), item]);
      }
    }
  }
  return { tensors, format, stateDictKey: key, strippedPrefix, extra: Object.fromEntries(extra) };
}

function findStateDict(root: unknown, wanted: string | undefined): { value: unknown; key: string } {
  if (wanted !== undefined) {
    let value = root;
    for (const part of wanted === '' ? [] : wanted.split('.')) {
      if (!(value instanceof Map) || !value.has(part)) {
        throw new FormatError(
          'bad-value',
          `Expected key ${part} of ${wanted} in this PyTorch file, found ${describe(value)}.`,
          { key: wanted },
        );
      }
      value = value.get(part);
    }
    return { value, key: wanted };
  }
  if (!(root instanceof Map)) return { value: root, key: '' };
  const isLeaf = (value: unknown) => value instanceof PickledTensor || value instanceof PickledArray;
  const holds = (value: unknown) => value instanceof Map && [...value.values()].some(isLeaf);
  // Before the value itself: training scripts keep scores and random states as tensors beside the weights.
  for (const key of CUSTOMARY_KEYS) if (holds(root.get(key))) return { value: root.get(key), key };
  if ([...root.values()].some(isLeaf)) return { value: root, key: '' };
  const candidates = [...root].filter(([, value]) => holds(value));
  if (candidates.length === 1) return { value: candidates[0][1], key: String(candidates[0][0]) };
  if (candidates.length > 1) {
    const names = candidates.map(([name]) => String(name));
    throw new FormatError(
      'bad-value',
      `Expected one state dict in this PyTorch file, found ${names.join(', ')}. Choose with stateDictKey.`,
      { candidates: names },
    );
  }
  return { value: root, key: '' };
}

function asTensor(value: unknown, name: string): NamedTensor | null {
  if (value instanceof PickledArray)
    return value.dtype?.kind.startsWith('O') ? null : tensorOfPickledArray(value);
  if (!(value instanceof PickledTensor)) return null;
  const { storage, dtype, offset, shape, stride } = value;
  const count = elementCount(shape, `tensor ${name}`);
  const itemBytes = DTYPE_BYTES[dtype];
  const available = Math.floor((storage.elements * storage.itemBytes) / itemBytes);
  let last = offset;
  for (let d = 0; d < shape.length; d++) last += (shape[d] - 1) * stride[d];
  if (count > 0 && !(last < available)) {
    throw new FormatError(
      'malformed',
      `Expected tensor ${name} [${shape.join(', ')}] to lie within its storage ${storage.key} of ${available} elements, it reaches element ${last}.`,
      { name, shape, stride, offset, elements: available },
    );
  }
  if (count > available && count > MAX_EXPANDED_ELEMENTS) {
    throw new FormatError(
      'limit',
      `Expected expanded tensor ${name} to have at most ${MAX_EXPANDED_ELEMENTS} elements, got ${count} of a storage of ${available}.`,
      { name, shape, stride },
    );
  }
  return lazyTensor(dtype, shape, () => {
    if (!storage.bytes) throw damaged(`the bytes of storage ${storage.key}`);
    const bytes = storage.bytes();
    if (count === 0 || isRowMajor(shape, stride))
      return decodeElements(dtype, bytes, offset * itemBytes, count);
    return gather(decodeElements(dtype, bytes, offset * itemBytes, last - offset + 1), shape, stride, count);
  });
}

function isRowMajor(shape: readonly number[], stride: readonly number[]): boolean {
  let expected = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    // The stride of a dimension of one element is never taken.
    if (shape[d] !== 1 && stride[d] !== expected) return false;
    expected *= shape[d];
  }
  return true;
}

/** Strided elements in row-major order. */
function gather(
  source: TypedArray,
  shape: readonly number[],
  stride: readonly number[],
  count: number,
): TypedArray {
  const result = new (source.constructor as new (length: number) => TypedArray)(count);
  const index = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let to = 0; to < count; to++) {
    result[to] = source[from];
    for (let d = shape.length - 1; d >= 0; d--) {
      from += stride[d];
      if (++index[d] < shape[d]) break;
      from -= stride[d] * shape[d];
      index[d] = 0;
    }
  }
  return result;
}

function describe(value: unknown): string {
  if (value instanceof Map) {
    const keys = [...value.keys()].map(String);
    return `a dict of ${keys.slice(0, 8).join(', ')}${keys.length > 8 ? ', ...' : ''}`;
  }
  if (value instanceof OpaqueObject) return `an object of ${value.global}`;
  if (Array.isArray(value)) return `a list of ${value.length} values`;
  return value === null ? 'None' : typeof value;
}

function notPyTorch(file: Uint8Array, cause?: unknown): FormatError {
  const tar = file.length > 262 && String.fromCharCode(...file.subarray(257, 262)) === 'ustar';
  return new FormatError(
    tar ? 'unsupported' : 'bad-magic',
    tar
      ? 'Expected a PyTorch checkpoint of version 0.1.10 or later, got the tar format before it. Load and save it with a newer PyTorch.'
      : `Expected a PyTorch checkpoint (a zip file, or pickles that begin with PyTorch's magic number), got ${file.length} bytes of something else. Is it safetensors, or an error page?`,
    { actual: file.length },
    cause,
  );
}

function bigEndian(): FormatError {
  return new FormatError(
    'unsupported',
    'Expected a little-endian PyTorch file, got a big-endian one. Load and save it on a little-endian machine.',
  );
}

function cutOff(what: string, expected: number, actual: number, offset: number): FormatError {
  return new FormatError(
    'truncated',
    `Expected ${expected} bytes for ${what} at offset ${offset} of this PyTorch file, got ${Math.max(0, actual)}. Was the download or copy cut off?`,
    { expected, actual: Math.max(0, actual), offset },
  );
}

function damaged(what: string, offset?: number): FormatError {
  return new FormatError(
    'malformed',
    `Expected ${what}${offset === undefined ? '' : ` at offset ${offset}`} in this PyTorch file. The file is damaged.`,
    offset === undefined ? {} : { offset },
  );
}
