import { deflateSync as deflateInJavaScript, zlibSync as zlibInJavaScript } from 'fflate';

/** Node's own library where there is one: several times as fast. Its bytes differ from fflate's, what they hold does not. */
const zlib = globalThis.process?.getBuiltinModule?.('node:zlib');

/** DEFLATE with zlib's header and checksum, as in PNG's IDAT. */
export function zlibDeflate(bytes: Uint8Array): Uint8Array {
  return zlib ? zlib.deflateSync(bytes, { level: 6 }) : zlibInJavaScript(bytes, { level: 6 });
}

/** Bare DEFLATE, as in a zip archive. */
export function rawDeflate(bytes: Uint8Array): Uint8Array {
  return zlib ? zlib.deflateRawSync(bytes, { level: 6 }) : deflateInJavaScript(bytes, { level: 6 });
}
