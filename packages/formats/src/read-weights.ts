import { FormatError, parsing } from './format-error.js';
import { readMxnetParams } from './mxnet-params.js';
import { readNpz } from './npz.js';
import { type PyTorchCheckpointOptions, readPyTorchCheckpoint } from './pytorch-checkpoint.js';
import { readSafetensors } from './safetensors.js';
import type { TensorMap } from './tensors.js';
import { asBytes } from './tensors.js';
import { isZip, readZipDirectory } from './zip-archive.js';

/** Formats that hold named tensors. */
export type WeightsFormat = 'safetensors' | 'pytorch' | 'mxnet' | 'npz';

/** Named tensors from a file of any {@link WeightsFormat}. */
export interface Weights {
  format: WeightsFormat;
  tensors: TensorMap;
  /** Text beside the tensors: safetensors metadata, or the numbers and text of a PyTorch checkpoint. */
  metadata: Record<string, string>;
}

/**
 * Tells the format of a weights file by its contents, whatever its name; null when it is none of them.
 *
 * A truncated zip file is told apart only as far as its first member's name goes.
 */
export function detectWeightsFormat(bytes: Uint8Array): WeightsFormat | null {
  const file = asBytes(bytes, 'weights');
  if (isZip(file)) {
    try {
      const names = [...readZipDirectory(file, 'weights').keys()];
      if (names.some((name) => /(?:^|\/)data\.pkl$/.test(name))) return 'pytorch';
      return names.some((name) => name.endsWith('.npy')) ? 'npz' : null;
    } catch {
      // The directory is at the end, so a file that was cut off has none; its first header is still there.
      const first = new TextDecoder('latin1').decode(file.subarray(30, 286));
      return first.includes('.npy') ? 'npz' : 'pytorch';
    }
  }
  if (file.length < 8) return null;
  const view = new DataView(file.buffer, file.byteOffset, 8);
  const first = view.getBigUint64(0, true);
  if (first === 0x112n) return 'mxnet';
  // A legacy checkpoint begins with a pickled integer of ten bytes.
  if (file[0] === 0x80 && file[1] >= 2 && file[1] <= 5 && file[2] === 0x8a) return 'pytorch';
  if (file[8] === 0x7b && first >= 2n && first < BigInt(2 ** 32)) return 'safetensors';
  return null;
}

/**
 * Reads named tensors from a file of any supported format, told apart by its contents.
 *
 * @param options for PyTorch checkpoints; MXNet's `arg:` and `aux:` are taken off.
 * @throws FormatError as the format's own reader; `bad-magic` for an unknown format.
 */
export function readWeights(bytes: Uint8Array, options: PyTorchCheckpointOptions = {}): Weights {
  const format = parsing('weights', () => detectWeightsFormat(bytes));
  switch (format) {
    case 'safetensors':
      return { format, ...readSafetensors(bytes) };
    case 'pytorch': {
      const { tensors, extra } = readPyTorchCheckpoint(bytes, options);
      return {
        format,
        tensors,
        metadata: Object.fromEntries(Object.entries(extra).map(([key, value]) => [key, String(value)])),
      };
    }
    case 'mxnet':
      return { format, tensors: readMxnetParams(bytes), metadata: {} };
    case 'npz':
      return { format, tensors: readNpz(bytes), metadata: {} };
    case null:
      throw new FormatError(
        'bad-magic',
        `Expected a weights file (safetensors, PyTorch .pth, MXNet .params or npz), got ${bytes.length} bytes that begin with ${hex(bytes)}. Is it the file you meant, or an error page?`,
        { actual: bytes.length },
      );
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(asBytes(bytes, 'weights').subarray(0, 8), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join(' ');
}
