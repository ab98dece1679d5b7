import type { NamedTensor, TensorDType } from './tensors.js';
import { encodeElements } from './tensors.js';
import { writeZip, type ZipInput } from './zip-archive.js';

const STORAGE_NAMES: Readonly<Record<TensorDType, string>> = {
  float64: 'DoubleStorage',
  float32: 'FloatStorage',
  float16: 'HalfStorage',
  bfloat16: 'BFloat16Storage',
  int64: 'LongStorage',
  int32: 'IntStorage',
  int16: 'ShortStorage',
  int8: 'CharStorage',
  uint8: 'ByteStorage',
  bool: 'BoolStorage',
};

/** PyTorch maps files at this alignment. */
const ALIGNMENT = 64;

/**
 * Writes a state dict as a PyTorch zip checkpoint that `torch.load(path, weights_only=True)` reads.
 *
 * Equal input gives equal bytes. Every tensor gets its own storage, row-major.
 *
 * @param options.stateDictKey nest the dict under this key; by default it is the file's value.
 * @throws FormatError `bad-value` when an array does not match its dtype or shape, `limit` at 4 GiB.
 */
export function writePyTorchCheckpoint(
  tensors: ReadonlyMap<string, NamedTensor>,
  options: { stateDictKey?: string } = {},
): Uint8Array {
  const text = new TextEncoder();
  const storages: ZipInput[] = [];
  const pickle = new PickleWriter();
  const writeStateDict = () => {
    pickle.global('collections', 'OrderedDict').emptyTuple().reduce();
    if (tensors.size === 0) return;
    pickle.mark();
    let key = 0;
    for (const [name, tensor] of tensors) {
      const data = encodeElements(tensor, `tensor ${name}`);
      storages.push({ name: `archive/data/${key}`, data });
      pickle.unicode(name);
      pickle.global('torch._utils', '_rebuild_tensor_v2').mark();
      pickle.mark().unicode('storage').global('torch', STORAGE_NAMES[tensor.dtype]).unicode(String(key));
      pickle.unicode('cpu').integer(tensor.data.length).tuple().persistentId();
      pickle.integer(0);
      pickle.integers(tensor.shape).integers(rowMajorStride(tensor.shape));
      pickle.boolean(false).global('collections', 'OrderedDict').emptyTuple().reduce();
      pickle.tuple().reduce();
      key++;
    }
    pickle.setItems();
  };
  if (options.stateDictKey === undefined) writeStateDict();
  else {
    pickle.emptyDict().mark().unicode(options.stateDictKey);
    writeStateDict();
    pickle.setItems();
  }
  return writeZip(
    [
      { name: 'archive/data.pkl', data: pickle.finish() },
      { name: 'archive/byteorder', data: text.encode('little') },
      ...storages,
      { name: 'archive/version', data: text.encode('3\n') },
    ],
    { align: ALIGNMENT },
  );
}

/** Strides in elements; PyTorch counts an empty dimension as one. */
function rowMajorStride(shape: readonly number[]): number[] {
  const stride = new Array<number>(shape.length);
  let next = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    stride[d] = next;
    next *= Math.max(shape[d], 1);
  }
  return stride;
}

/** Emits the opcodes of pickle protocol 2 that a checkpoint needs, without a memo. */
class PickleWriter {
  private bytes = new Uint8Array(1024);
  private length = 0;

  constructor() {
    this.put(0x80, 2);
  }

  mark(): this {
    return this.put(0x28);
  }

  tuple(): this {
    return this.put(0x74);
  }

  emptyTuple(): this {
    return this.put(0x29);
  }

  emptyDict(): this {
    return this.put(0x7d);
  }

  setItems(): this {
    return this.put(0x75);
  }

  reduce(): this {
    return this.put(0x52);
  }

  persistentId(): this {
    return this.put(0x51);
  }

  boolean(value: boolean): this {
    return this.put(value ? 0x88 : 0x89);
  }

  integers(values: readonly number[]): this {
    this.mark();
    for (const value of values) this.integer(value);
    return this.tuple();
  }

  integer(value: number): this {
    if (value < 256) return this.put(0x4b, value);
    if (value < 2 ** 31) {
      return this.put(0x4a, value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255);
    }
    const digits: number[] = [];
    for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) digits.push(rest % 256);
    // A zero byte keeps the sign bit clear.
    return this.put(0x8a, digits.length + 1, ...digits, 0);
  }

  unicode(text: string): this {
    const encoded = new TextEncoder().encode(text);
    const { length } = encoded;
    this.put(0x58, length & 255, (length >> 8) & 255, (length >> 16) & 255, (length >> 24) & 255);
    return this.append(encoded);
  }

  global(module: string, name: string): this {
    this.put(0x63);
    return this.append(new TextEncoder().encode(`${module}\n${name}\n`));
  }

  finish(): Uint8Array {
    this.put(0x2e);
    return this.bytes.slice(0, this.length);
  }

  private put(...values: number[]): this {
    return this.append(Uint8Array.from(values));
  }

  private append(more: Uint8Array): this {
    if (this.length + more.length > this.bytes.length) {
      const grown = new Uint8Array(2 * (this.length + more.length));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    this.bytes.set(more, this.length);
    this.length += more.length;
    return this;
  }
}
