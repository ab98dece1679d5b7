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

function failure(what: string): RuntimeError {
  return new RuntimeError(
    'wasm-operation-failed',
    `Expected tfjs's WebAssembly code to carry out an operation, but it stopped with "${what}". Its heap of 4 GiB is most ` +
      'likely full: use a smaller batch, crop or width, or backend "onnx", which has no such limit.',
    { what },
  );
}

/** Runs native code; throws RuntimeError `wasm-operation-failed` where it aborts or says that it failed. */
export function guardNativeCall<T>(call: () => T): T {
  let result: T;
  try {
    result = call();
  } catch (error) {
    unreported.length = 0;
    if (error instanceof WebAssembly.RuntimeError) throw failure(error.message);
    throw error;
  }
  if (unreported.length > 0) throw failure(unreported.splice(0).join(' '));
  return result;
}
