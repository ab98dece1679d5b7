import { resampleWasmBase64 } from './generated/resample-wasm.js';

/** The compiled inner loops of image resampling. */
export interface ResampleKernel {
  /**
   * Resizes the rows and columns asked for and looks every byte up in a table.
   * @returns rows of columns.length * 3 floats; a view that is only valid until the next call.
   */
  run(input: {
    data: Uint8Array; // [H,W,3]
    stride: number; // bytes a source row
    columns: { low: Int32Array; high: Int32Array; weights: Int32Array }; // byte offsets; low weight | high weight << 16
    rows: { low: Int32Array; high: Int32Array; weights: Int32Array }; // row numbers; high weight
    table: Float32Array; // [3,256]
  }): Float32Array;
}

interface Exports {
  memory: WebAssembly.Memory;
  heapBase(): number;
  resample(...args: number[]): void;
}

/** Images above this stay with the plain loops: WebAssembly memory never shrinks. */
const MAX_SOURCE_BYTES = 96 * 2 ** 20;
const PAGE = 65536;

let kernel: ResampleKernel | null | undefined;

/** The kernel for images of this many bytes, or null where WebAssembly SIMD is missing or the image is huge. */
export function resampleKernel(sourceBytes: number): ResampleKernel | null {
  if (sourceBytes > MAX_SOURCE_BYTES) return null;
  if (kernel === undefined) kernel = load();
  return kernel;
}

function load(): ResampleKernel | null {
  let exports: Exports;
  try {
    const module = new WebAssembly.Module(Buffer.from(resampleWasmBase64, 'base64'));
    exports = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
  } catch {
    return null;
  }
  const { memory } = exports;
  const base = (exports.heapBase() + 15) & ~15;
  return {
    run({ data, stride, columns, rows, table }) {
      const width = columns.low.length;
      const height = rows.low.length;
      let next = base;
      const reserve = (bytes: number): number => {
        const at = next;
        next += (bytes + 15) & ~15;
        return at;
      };
      const source = reserve(data.length + 4); // pixels are read four bytes at a time
      const ints = [columns.low, columns.high, columns.weights, rows.low, rows.high, rows.weights];
      const at = ints.map((a) => reserve(a.byteLength));
      const tableAt = reserve(table.byteLength);
      const upper = reserve(width * 12 + 16);
      const lower = reserve(width * 12 + 16);
      const out = reserve(width * height * 12);
      const missing = next - memory.buffer.byteLength;
      if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
      new Uint8Array(memory.buffer, source, data.length).set(data);
      for (const [i, a] of ints.entries()) new Int32Array(memory.buffer, at[i], a.length).set(a);
      new Float32Array(memory.buffer, tableAt, table.length).set(table);
      exports.resample(
        source,
        stride,
        at[0],
        at[1],
        at[2],
        at[3],
        at[4],
        at[5],
        width,
        height,
        tableAt,
        upper,
        lower,
        out,
      );
      return new Float32Array(memory.buffer, out, width * height * 3);
    },
  };
}
