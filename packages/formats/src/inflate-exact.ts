import { inflateSync } from 'fflate';
import { FormatError } from './format-error.js';
import { MAX_DEFLATE_RATIO, MAX_INFLATED_BYTES } from './limits.js';

/** Compressed data may exceed what it unpacks to by block headers; more is padding meant to waste time. */
const COMPRESSED_SLACK_BYTES = 65_536;

/**
 * Unpacks raw DEFLATE data to exactly `expected` bytes, into one allocation of that size.
 *
 * The size is checked against what the compressed bytes can hold before anything is allocated, so a small file
 * cannot claim gigabytes, and the work is bounded by the size claimed.
 *
 * @throws FormatError `truncated`, `malformed` or `limit`; `what` names the data in the message.
 */
export function inflateExact(compressed: Uint8Array, expected: number, what: string): Uint8Array {
  if (expected > MAX_INFLATED_BYTES) {
    throw new FormatError(
      'limit',
      `Expected ${what} to unpack to at most ${MAX_INFLATED_BYTES} bytes, got ${expected}.`,
      {
        expected,
      },
    );
  }
  if (expected > compressed.length * MAX_DEFLATE_RATIO) {
    throw new FormatError(
      'truncated',
      `Expected ${expected} bytes for ${what}, but ${compressed.length} compressed bytes cannot hold that many. The file is cut off or damaged.`,
      { expected, compressed: compressed.length },
    );
  }
  if (compressed.length > 2 * expected + COMPRESSED_SLACK_BYTES) {
    throw new FormatError(
      'malformed',
      `Expected ${what} to unpack to ${expected} bytes, but it has ${compressed.length} compressed bytes.`,
      { expected, compressed: compressed.length },
    );
  }
  // One byte more than expected tells data that goes on from data that fits.
  const out = new Uint8Array(expected + 1);
  let result: Uint8Array;
  try {
    result = inflateSync(compressed, { out });
  } catch (error) {
    throw new FormatError(
      'malformed',
      `Could not unpack ${what}: ${(error as Error).message}. The file is damaged.`,
      { expected, compressed: compressed.length },
      error,
    );
  }
  if (result.length !== expected) {
    const short = result.length < expected;
    throw new FormatError(
      short ? 'truncated' : 'malformed',
      `Expected ${what} to unpack to ${expected} bytes, got ${short ? result.length : 'more'}. The file is damaged.`,
      { expected, actual: result.length },
    );
  }
  return result;
}
