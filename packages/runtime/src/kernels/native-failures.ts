import { RuntimeError } from '../errors.js';

/** Lines that XNNPACK wrote about operations it could not set up, and that nobody has been told of. */
const unreported: string[] = [];

/**
 * Makes what tfjs's C++ code prints about failed operations known to {@link guardNativeCall} while `start` runs.
 *
 * Emscripten takes hold of `console.warn` once, when a module starts; a failed operation writes a line there and leaves
 * its output as it was. Everything else is passed on.
 */
export async function listeningToNativeCode<T>(start: () => Promise<T>): Promise<T> {
  const warn = console.warn;
  console.warn = (...line: unknown[]) => {
    const text = line.join(' ');
    if (/^XNN status/.test(text)) unreported.push(text);
    else if (!/^Aborted\(/.test(text)) warn.apply(console, line);
  };
  try {
    return await start();
  } finally {
    console.warn = warn;
  }
}

/** What is known about a native call that failed. */
export interface NativeCall {
  kernelName: string;
  /** Of the inputs. */
  shapes: number[][];
  /** What the heap has grown to. */
  heapBytes: number;
}

const heapLimit = 2 ** 32;
/** A heap grows by a fifth at a time: below this there was room for more. */
const nearlyFull = heapLimit / 1.25;

function failure(what: string, call: NativeCall): RuntimeError {
  const { kernelName, shapes, heapBytes } = call;
  const inputs = shapes.map((shape) => `[${shape}]`).join(', ');
  const why =
    heapBytes >= nearlyFull
      ? `Its heap of 4 GiB is nearly full, with ${Math.round(heapBytes / 2 ** 20)} MiB taken: use a smaller batch, crop or width, or backend "onnx", which has no such limit.`
      : `Its heap is not full (${Math.round(heapBytes / 2 ** 20)} MiB of 4096): look for an index out of range or a shape that this backend cannot take; backend "cpu" may say more.`;
  return new RuntimeError(
    'wasm-operation-failed',
    `Expected tfjs's WebAssembly code to carry out ${kernelName} on ${inputs}, but it stopped with "${what}". ${why}`,
    { what, ...call },
  );
}

/** Runs native code; throws RuntimeError `wasm-operation-failed` where it aborts or says that it failed. */
export function guardNativeCall<T>(call: () => T, describe: () => NativeCall): T {
  let result: T;
  try {
    result = call();
  } catch (error) {
    unreported.length = 0;
    if (error instanceof WebAssembly.RuntimeError) throw failure(error.message, describe());
    throw error;
  }
  if (unreported.length > 0) throw failure(unreported.splice(0).join(' '), describe());
  return result;
}
