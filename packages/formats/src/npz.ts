import { FormatError, parsing } from './format-error.js';
import { MAX_INFLATED_BYTES } from './limits.js';
import { readNpy, writeNpy } from './npy.js';
import type { NamedTensor, TensorMap } from './tensors.js';
import { asBytes } from './tensors.js';
import { readZipDirectory, readZipEntry, writeZip } from './zip-archive.js';

/**
 * Reads an npz archive (`np.savez`, `np.savez_compressed`): array names without their `.npy`.
 *
 * Stored arrays are views into `bytes`. Checksums are verified.
 *
 * @throws FormatError as {@link readNpy}, with the array's name in the message.
 */
export function readNpz(bytes: Uint8Array): TensorMap {
  const file = asBytes(bytes, 'npz');
  return parsing('npz', () => {
    const tensors: TensorMap = new Map();
    let unpacked = 0;
    for (const entry of readZipDirectory(file, 'npz').values()) {
      if (!entry.name.endsWith('.npy')) {
        throw new FormatError(
          'unsupported',
          `Expected only .npy files in an npz archive, got ${entry.name}.`,
          {
            name: entry.name,
          },
        );
      }
      if (entry.size !== entry.compressedSize) unpacked += entry.size;
      if (unpacked > MAX_INFLATED_BYTES) {
        throw new FormatError(
          'limit',
          `Expected compressed arrays of at most ${MAX_INFLATED_BYTES} bytes in an npz archive, got more at ${entry.name}. Save large arrays with np.savez, uncompressed.`,
          { name: entry.name, bytes: unpacked },
        );
      }
      const data = readZipEntry(file, entry, { verifyChecksum: true });
      const name = entry.name.slice(0, -'.npy'.length);
      try {
        tensors.set(name, readNpy(data));
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        throw new FormatError(
          error.code,
          `In array ${name}: ${error.message}`,
          { ...error.details, name },
          error,
        );
      }
    }
    return tensors;
  });
}

/**
 * Writes an npz archive that `np.load` reads; equal input gives equal bytes.
 *
 * @param options.compress deflate the arrays as `np.savez_compressed` does; default false.
 * @throws FormatError `bad-value` or `limit` (4 GiB).
 */
export function writeNpz(
  tensors: ReadonlyMap<string, NamedTensor>,
  options: { compress?: boolean } = {},
): Uint8Array {
  return writeZip(
    [...tensors].map(([name, tensor]) => ({ name: `${name}.npy`, data: writeNpy(tensor) })),
    // As NumPy, align the arrays themselves: 64 bytes, like their headers.
    { align: 64, compress: options.compress ?? false },
  );
}
