import { FormatError } from './format-error.js';
import {
  MAX_NAME_BYTES,
  MAX_PICKLE_INTEGER_BYTES,
  MAX_PICKLE_MEMO,
  MAX_PICKLE_OBJECTS,
  MAX_PICKLE_OPCODES,
  MAX_PICKLE_STACK,
} from './limits.js';

/**
 * A class or function that a pickle may name. Nothing of Python runs: `call` is our own reconstruction.
 */
export interface PickleGlobal {
  /** Makes the value that Python would get by calling it. */
  call?(args: readonly unknown[], charge: (elements: number) => void): unknown;
  /** A plain value, when the name stands for no callable (torch.float32). */
  value?: unknown;
}

/** How {@link unpickle} resolves what lies outside the pickle. */
export interface UnpickleOptions {
  /** The allow-list, by `module.name`. */
  globals: ReadonlyMap<string, PickleGlobal>;
  /** Names besides the allow-list whose objects are kept as {@link OpaqueObject}. */
  inertGlobals?: readonly string[];
  /** Resolves a persistent id, as PyTorch uses them for storages. */
  persistentLoad?(id: unknown): unknown;
  /** Where the pickle begins; default 0. */
  offset?: number;
  /** For messages, such as "PyTorch checkpoint". */
  format: string;
}

/** An object whose class is not read, kept with what the file says about it; nothing was executed. */
export class OpaqueObject {
  readonly global: string;
  readonly args: readonly unknown[];
  state: unknown;

  constructor(global: string, args: readonly unknown[]) {
    this.global = global;
    this.args = args;
  }
}

/** An object that takes its pickled state. */
export interface Stateful {
  setPickledState(state: unknown): void;
}

/** A resolved name on the unpickler's stack. */
class Resolved {
  readonly name: string;
  readonly global: PickleGlobal;

  constructor(name: string, global: PickleGlobal) {
    this.name = name;
    this.global = global;
  }
}

const OPCODE = {
  MARK: 0x28,
  STOP: 0x2e,
  POP: 0x30,
  POP_MARK: 0x31,
  DUP: 0x32,
  FLOAT: 0x46,
  INT: 0x49,
  BININT: 0x4a,
  BININT1: 0x4b,
  LONG: 0x4c,
  BININT2: 0x4d,
  NONE: 0x4e,
  PERSID: 0x50,
  BINPERSID: 0x51,
  REDUCE: 0x52,
  STRING: 0x53,
  BINSTRING: 0x54,
  SHORT_BINSTRING: 0x55,
  UNICODE: 0x56,
  BINUNICODE: 0x58,
  APPEND: 0x61,
  BUILD: 0x62,
  GLOBAL: 0x63,
  DICT: 0x64,
  EMPTY_DICT: 0x7d,
  APPENDS: 0x65,
  GET: 0x67,
  BINGET: 0x68,
  INST: 0x69,
  LONG_BINGET: 0x6a,
  LIST: 0x6c,
  EMPTY_LIST: 0x5d,
  OBJ: 0x6f,
  PUT: 0x70,
  BINPUT: 0x71,
  LONG_BINPUT: 0x72,
  SETITEM: 0x73,
  TUPLE: 0x74,
  EMPTY_TUPLE: 0x29,
  SETITEMS: 0x75,
  BINFLOAT: 0x47,
  BINBYTES: 0x42,
  SHORT_BINBYTES: 0x43,
  PROTO: 0x80,
  NEWOBJ: 0x81,
  TUPLE1: 0x85,
  TUPLE2: 0x86,
  TUPLE3: 0x87,
  NEWTRUE: 0x88,
  NEWFALSE: 0x89,
  LONG1: 0x8a,
  LONG4: 0x8b,
  SHORT_BINUNICODE: 0x8c,
  BINUNICODE8: 0x8d,
  BINBYTES8: 0x8e,
  EMPTY_SET: 0x8f,
  ADDITEMS: 0x90,
  FROZENSET: 0x91,
  NEWOBJ_EX: 0x92,
  STACK_GLOBAL: 0x93,
  MEMOIZE: 0x94,
  FRAME: 0x95,
  BYTEARRAY8: 0x96,
} as const;

const NAMES = new Map<number, string>(Object.entries(OPCODE).map(([name, code]) => [code, name]));
const HIGHEST_PROTOCOL = 5;

/**
 * Reads one pickle (protocols 0 to 5) without executing anything of it.
 *
 * None becomes null; whole numbers become number, or bigint beyond 2^53; str and Python 2 strings become string,
 * bytes become Uint8Array; lists and tuples become arrays, dicts become Map, sets become Set. Every class or
 * function must be on the allow-list.
 *
 * @returns the value and the offset behind the pickle.
 * @throws FormatError `unknown-global` with `details.global` for a name that is not allowed; `truncated`,
 * `malformed`, `unsupported` or `limit` with the offset.
 */
export function unpickle(bytes: Uint8Array, options: UnpickleOptions): { value: unknown; end: number } {
  return new Unpickler(bytes, options).run();
}

class Unpickler {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly options: UnpickleOptions;
  private readonly inert: ReadonlySet<string>;
  private readonly text = new TextDecoder('utf-8', { ignoreBOM: true });
  private readonly resolved = new Map<string, Resolved>();
  private readonly memo = new Map<number, unknown>();
  private readonly marks: number[] = [];
  private readonly stack: unknown[] = [];
  private at: number;
  private opcodeAt = 0;
  private work = 0;
  private objects = 0;

  constructor(bytes: Uint8Array, options: UnpickleOptions) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.options = options;
    this.inert = new Set(options.inertGlobals ?? []);
    this.at = options.offset ?? 0;
  }

  run(): { value: unknown; end: number } {
    for (;;) {
      this.opcodeAt = this.at;
      this.charge(1);
      const opcode = this.take(1, 'an opcode');
      if (this.bytes[opcode] === OPCODE.STOP) {
        const value = this.pop();
        return { value, end: this.at };
      }
      this.step(this.bytes[opcode]);
      if (this.stack.length > MAX_PICKLE_STACK) throw this.over('values on the stack', MAX_PICKLE_STACK);
    }
  }

  private step(opcode: number): void {
    const { stack } = this;
    switch (opcode) {
      case OPCODE.PROTO: {
        const protocol = this.bytes[this.take(1, 'the protocol')];
        if (protocol > HIGHEST_PROTOCOL) {
          throw this.error('unsupported', `Expected pickle protocol 0..${HIGHEST_PROTOCOL}, got ${protocol}`);
        }
        return;
      }
      case OPCODE.FRAME:
        this.take(8, 'a frame length');
        return;
      case OPCODE.MARK:
        this.marks.push(stack.length);
        return;
      case OPCODE.POP:
        if (this.marks.length > 0 && this.marks[this.marks.length - 1] === stack.length) this.marks.pop();
        else this.pop();
        return;
      case OPCODE.POP_MARK:
        this.popMark();
        return;
      case OPCODE.DUP:
        stack.push(this.top());
        return;

      case OPCODE.NONE:
        stack.push(null);
        return;
      case OPCODE.NEWTRUE:
        stack.push(true);
        return;
      case OPCODE.NEWFALSE:
        stack.push(false);
        return;
      case OPCODE.BININT:
        stack.push(this.view.getInt32(this.take(4, 'an integer'), true));
        return;
      case OPCODE.BININT1:
        stack.push(this.bytes[this.take(1, 'an integer')]);
        return;
      case OPCODE.BININT2:
        stack.push(this.view.getUint16(this.take(2, 'an integer'), true));
        return;
      case OPCODE.LONG1:
        stack.push(this.integer(this.bytes[this.take(1, 'an integer length')]));
        return;
      case OPCODE.LONG4:
        stack.push(this.integer(this.view.getInt32(this.take(4, 'an integer length'), true)));
        return;
      case OPCODE.INT: {
        const line = this.line();
        // Protocol 0 and 1 write booleans as the integers 01 and 00.
        if (line === '01') stack.push(true);
        else if (line === '00') stack.push(false);
        else stack.push(this.parsedInteger(line));
        return;
      }
      case OPCODE.LONG:
        stack.push(this.parsedInteger(this.line().replace(/L$/, '')));
        return;
      case OPCODE.FLOAT:
        stack.push(this.parsedFloat(this.line()));
        return;
      case OPCODE.BINFLOAT:
        stack.push(this.view.getFloat64(this.take(8, 'a float'), false));
        return;

      case OPCODE.STRING:
        stack.push(this.quoted(this.line()));
        return;
      case OPCODE.BINSTRING:
        stack.push(latin1(this.block(this.view.getInt32(this.take(4, 'a string length'), true))));
        return;
      case OPCODE.SHORT_BINSTRING:
        stack.push(latin1(this.block(this.bytes[this.take(1, 'a string length')])));
        return;
      case OPCODE.UNICODE:
        stack.push(unescapeUnicode(this.line()));
        return;
      case OPCODE.SHORT_BINUNICODE:
        stack.push(this.text.decode(this.block(this.bytes[this.take(1, 'a text length')])));
        return;
      case OPCODE.BINUNICODE:
        stack.push(this.text.decode(this.block(this.view.getUint32(this.take(4, 'a text length'), true))));
        return;
      case OPCODE.BINUNICODE8:
        stack.push(this.text.decode(this.block(this.length64())));
        return;
      case OPCODE.SHORT_BINBYTES:
        stack.push(this.block(this.bytes[this.take(1, 'a bytes length')]));
        return;
      case OPCODE.BINBYTES:
        stack.push(this.block(this.view.getUint32(this.take(4, 'a bytes length'), true)));
        return;
      case OPCODE.BINBYTES8:
      case OPCODE.BYTEARRAY8:
        stack.push(this.block(this.length64()));
        return;

      case OPCODE.EMPTY_TUPLE:
        stack.push(this.made([], 1));
        return;
      case OPCODE.TUPLE1:
        stack.push(this.made(this.popMany(1), 1));
        return;
      case OPCODE.TUPLE2:
        stack.push(this.made(this.popMany(2), 1));
        return;
      case OPCODE.TUPLE3:
        stack.push(this.made(this.popMany(3), 1));
        return;
      case OPCODE.TUPLE:
      case OPCODE.LIST:
        stack.push(this.made(this.popMark(), 1));
        return;
      case OPCODE.EMPTY_LIST:
        stack.push(this.made([], 1));
        return;
      case OPCODE.APPEND: {
        const item = this.pop();
        this.list().push(item);
        return;
      }
      case OPCODE.APPENDS: {
        const items = this.popMark();
        const list = this.list();
        for (const item of items) list.push(item);
        return;
      }
      case OPCODE.EMPTY_DICT:
        stack.push(this.made(new Map(), 4));
        return;
      case OPCODE.DICT: {
        const items = this.popMark();
        stack.push(this.made(new Map(), 4));
        this.setItems(items);
        return;
      }
      case OPCODE.SETITEM:
        this.setItems(this.popMany(2));
        return;
      case OPCODE.SETITEMS:
        this.setItems(this.popMark());
        return;
      case OPCODE.EMPTY_SET:
        stack.push(this.made(new Set(), 4));
        return;
      case OPCODE.ADDITEMS: {
        const items = this.popMark();
        const set = this.top();
        if (!(set instanceof Set)) throw this.error('malformed', 'Expected a set to add items to');
        for (const item of items) set.add(item);
        return;
      }
      case OPCODE.FROZENSET:
        stack.push(this.made(new Set(this.popMark()), 4));
        return;

      case OPCODE.PUT:
        this.remember(Number(this.parsedInteger(this.line())));
        return;
      case OPCODE.BINPUT:
        this.remember(this.bytes[this.take(1, 'a memo index')]);
        return;
      case OPCODE.LONG_BINPUT:
        this.remember(this.view.getUint32(this.take(4, 'a memo index'), true));
        return;
      case OPCODE.MEMOIZE:
        this.remember(this.memo.size);
        return;
      case OPCODE.GET:
        stack.push(this.recall(Number(this.parsedInteger(this.line()))));
        return;
      case OPCODE.BINGET:
        stack.push(this.recall(this.bytes[this.take(1, 'a memo index')]));
        return;
      case OPCODE.LONG_BINGET:
        stack.push(this.recall(this.view.getUint32(this.take(4, 'a memo index'), true)));
        return;

      case OPCODE.GLOBAL: {
        const module = this.line();
        stack.push(this.resolve(module, this.line()));
        return;
      }
      case OPCODE.STACK_GLOBAL: {
        const [module, name] = this.popMany(2);
        if (typeof module !== 'string' || typeof name !== 'string') {
          throw this.error('malformed', 'Expected a module and a name for a global');
        }
        stack.push(this.resolve(module, name));
        return;
      }
      case OPCODE.REDUCE:
      case OPCODE.NEWOBJ: {
        const [target, args] = this.popMany(2);
        stack.push(this.call(target, args));
        return;
      }
      case OPCODE.NEWOBJ_EX: {
        const [target, args, named] = this.popMany(3);
        if (named instanceof Map && named.size > 0) {
          throw this.error('unsupported', 'Expected an object without keyword arguments');
        }
        stack.push(this.call(target, args));
        return;
      }
      case OPCODE.INST: {
        const module = this.line();
        const target = this.resolve(module, this.line());
        stack.push(this.call(target, this.popMark()));
        return;
      }
      case OPCODE.OBJ: {
        const [target, ...args] = this.popMark();
        stack.push(this.call(target, args));
        return;
      }
      case OPCODE.BUILD: {
        const state = this.pop();
        this.build(this.top(), state);
        return;
      }
      case OPCODE.PERSID:
        stack.push(this.persistent(this.line()));
        return;
      case OPCODE.BINPERSID:
        stack.push(this.persistent(this.pop()));
        return;
      default:
        throw this.error(
          NAMES.has(opcode) ? 'unsupported' : 'malformed',
          `Expected a pickle opcode, got 0x${opcode.toString(16).padStart(2, '0')}`,
        );
    }
  }

  /** Reserves `count` bytes and returns where they begin. */
  private take(count: number, what: string): number {
    const start = this.at;
    if (count < 0 || start + count > this.bytes.length) {
      throw new FormatError(
        'truncated',
        `Expected ${count} bytes for ${what} at offset ${start} of the pickle in this ${this.options.format}, got ${Math.max(0, this.bytes.length - start)}. Was the file cut off?`,
        { expected: count, actual: Math.max(0, this.bytes.length - start), offset: start },
      );
    }
    this.at = start + count;
    return start;
  }

  private block(length: number): Uint8Array {
    const start = this.take(length, 'text or bytes');
    return this.bytes.subarray(start, start + length);
  }

  private length64(): number {
    return Number(this.view.getBigUint64(this.take(8, 'a length'), true));
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) this.take(this.bytes.length - this.at + 1, 'a line');
    const line = latin1(this.bytes.subarray(this.at, end));
    this.at = end + 1;
    return line;
  }

  private integer(length: number): number | bigint {
    if (length > MAX_PICKLE_INTEGER_BYTES) throw this.over('bytes of one integer', MAX_PICKLE_INTEGER_BYTES);
    const block = this.block(length);
    if (length === 0) return 0;
    let hex = '';
    for (let i = length - 1; i >= 0; i--) hex += block[i].toString(16).padStart(2, '0');
    let value = BigInt(`0x${hex}`);
    if (block[length - 1] & 0x80) value -= 1n << BigInt(8 * length);
    return plainInteger(value);
  }

  private parsedInteger(line: string): number | bigint {
    if (!/^[+-]?\d{1,600}$/.test(line.trim()))
      throw this.error('malformed', `Expected an integer, got ${shorten(line)}`);
    return plainInteger(BigInt(line.trim().replace(/^\+/, '')));
  }

  private parsedFloat(line: string): number {
    if (line === 'nan') return Number.NaN;
    if (/^[+-]?inf$/.test(line)) return line[0] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    const value = Number(line);
    if (line.trim() === '' || Number.isNaN(value))
      throw this.error('malformed', `Expected a float, got ${shorten(line)}`);
    return value;
  }

  private quoted(line: string): string {
    const quote = line[0];
    if (line.length < 2 || (quote !== "'" && quote !== '"') || line[line.length - 1] !== quote) {
      throw this.error('malformed', `Expected a quoted string, got ${shorten(line)}`);
    }
    return unescapeString(line.slice(1, -1));
  }

  private pop(): unknown {
    const { stack, marks } = this;
    const floor = marks.length > 0 ? marks[marks.length - 1] : 0;
    if (stack.length <= floor) throw this.error('malformed', 'Expected a value on the stack');
    return stack.pop();
  }

  private popMany(count: number): unknown[] {
    const { stack, marks } = this;
    const floor = marks.length > 0 ? marks[marks.length - 1] : 0;
    if (stack.length - count < floor) throw this.error('malformed', `Expected ${count} values on the stack`);
    return stack.splice(stack.length - count, count);
  }

  private popMark(): unknown[] {
    const mark = this.marks.pop();
    if (mark === undefined) throw this.error('malformed', 'Expected a mark on the stack');
    return this.stack.splice(mark);
  }

  private top(): unknown {
    const { stack, marks } = this;
    const floor = marks.length > 0 ? marks[marks.length - 1] : 0;
    if (stack.length <= floor) throw this.error('malformed', 'Expected a value on the stack');
    return stack[stack.length - 1];
  }

  private list(): unknown[] {
    const list = this.top();
    if (!Array.isArray(list)) throw this.error('malformed', 'Expected a list to append to');
    return list;
  }

  private setItems(items: unknown[]): void {
    const dict = this.top();
    if (dict instanceof OpaqueObject) return;
    if (!(dict instanceof Map)) throw this.error('malformed', 'Expected a dict to set items of');
    if (items.length % 2 !== 0) throw this.error('malformed', 'Expected pairs of keys and values');
    for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
  }

  private remember(index: number): void {
    if (this.memo.size >= MAX_PICKLE_MEMO) throw this.over('remembered values', MAX_PICKLE_MEMO);
    this.memo.set(index, this.top());
  }

  private recall(index: number): unknown {
    if (!this.memo.has(index)) throw this.error('malformed', `Expected a remembered value ${index}`);
    return this.memo.get(index);
  }

  private resolve(module: string, name: string): Resolved {
    const full = `${module}.${name}`;
    const known = this.resolved.get(full);
    if (known) return known;
    if (full.length > MAX_NAME_BYTES) throw this.over('characters of a name', MAX_NAME_BYTES);
    let global = this.options.globals.get(full);
    if (!global && this.inert.has(full)) global = { call: (args) => new OpaqueObject(full, args) };
    if (!global) {
      throw new FormatError(
        'unknown-global',
        `This ${this.options.format} asks for ${full} (pickle offset ${this.opcodeAt}), which is not on the allow-list, so nothing of it was run. If you trust the file, save its tensors alone (torch.save(model.state_dict(), ...)), or pass inertGlobals: ['${full}'] to skip such objects.`,
        { global: full, offset: this.opcodeAt },
      );
    }
    const resolved = new Resolved(full, global);
    this.resolved.set(full, resolved);
    return resolved;
  }

  private call(target: unknown, args: unknown): unknown {
    if (!(target instanceof Resolved) || !target.global.call) {
      throw this.error('malformed', 'Expected a function or class to call');
    }
    if (!Array.isArray(args))
      throw this.error('malformed', `Expected a tuple of arguments for ${target.name}`);
    // Some reconstructors name another as their argument: hand over our stand-ins, not stack entries.
    const value = target.global.call(args.map(unwrap), (elements) => this.charge(elements));
    return typeof value === 'object' && value !== null ? this.made(value, 4) : value;
  }

  private build(target: unknown, state: unknown): void {
    if (target instanceof OpaqueObject) target.state = state;
    else if (isStateful(target)) target.setPickledState(state);
    // Attributes of a dict (PyTorch hangs _metadata, the modules' versions, on a state dict) carry no tensor.
    else if (!(target instanceof Map)) throw this.error('malformed', 'Expected an object that takes a state');
  }

  private persistent(id: unknown): unknown {
    if (!this.options.persistentLoad) {
      throw this.error('unsupported', 'Expected a pickle without persistent ids');
    }
    return this.options.persistentLoad(Array.isArray(id) ? id.map(unwrap) : id);
  }

  private made<T>(value: T, cost: number): T {
    this.objects += cost;
    if (this.objects > MAX_PICKLE_OBJECTS) throw this.over('objects', MAX_PICKLE_OBJECTS);
    return value;
  }

  private charge(elements: number): void {
    this.work += elements;
    if (this.work > MAX_PICKLE_OPCODES) throw this.over('steps', MAX_PICKLE_OPCODES);
  }

  private error(code: 'malformed' | 'unsupported', message: string): FormatError {
    return new FormatError(
      code,
      `${message} at offset ${this.opcodeAt} of the pickle in this ${this.options.format}. The file is damaged or not a pickle.`,
      { offset: this.opcodeAt },
    );
  }

  private over(what: string, limit: number): FormatError {
    return new FormatError(
      'limit',
      `Expected at most ${limit} ${what} in the pickle of this ${this.options.format} (offset ${this.opcodeAt}).`,
      { limit, offset: this.opcodeAt },
    );
  }
}

/** A resolved name as the allow-list's entry or its plain value; anything else as it is. */
function unwrap(value: unknown): unknown {
  if (!(value instanceof Resolved)) return value;
  return value.global.value ?? value.global;
}

function isStateful(value: unknown): value is Stateful {
  return typeof value === 'object' && value !== null && 'setPickledState' in value;
}

function plainInteger(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Bytes as the characters 0..255. */
function latin1(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return text;
}

function unescapeString(text: string): string {
  return text.replace(/\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|(.))/g, (_, hex, octal, other) => {
    if (hex) return String.fromCharCode(Number.parseInt(hex, 16));
    if (octal) return String.fromCharCode(Number.parseInt(octal, 8) & 255);
    return { n: '\n', r: '\r', t: '\t', '\\': '\\', "'": "'", '"': '"' }[other as string] ?? `\\${other}`;
  });
}

function unescapeUnicode(text: string): string {
  return text.replace(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g, (all, short, long) => {
    const code = Number.parseInt(short ?? long, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : all;
  });
}

function shorten(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}...` : text);
}
