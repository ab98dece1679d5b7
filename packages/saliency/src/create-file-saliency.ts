import { type GrayImage, readGrayPng, resizeBilinear } from '@auxseg/formats';
import { checkThresholds } from './check-unit.js';
import { SaliencyError } from './errors.js';
import type { SaliencySource, SaliencyThresholds } from './types.js';

/** Something a user should know of a file that was used all the same. */
export interface FileSaliencyNotice {
  readonly kind: 'resized' | 'almost-black' | 'all-white';
  readonly id: string;
  readonly file: string;
  readonly message: string;
}

/** Where saliency maps lie and how their values are meant. */
export interface FileSaliencyOptions {
  /** Folder with `<id>.png`, or with another of the image formats that `@auxseg/datasets` reads; `.png` is looked for first. */
  readonly dir: string;
  /**
   * `255`: the value divided by 255 (default). `min-max`: each map stretched to 0..1, for files of unknown scale, also 0/1 masks;
   * a map of one value becomes 0.
   */
  readonly scale?: '255' | 'min-max';
  /** What follows the id in file names, before the extension, e.g. `_sal`; default nothing. */
  readonly suffix?: string;
  /** Default 0.06 for both, the paper's, which fits the nearly binary maps of trained detectors. */
  readonly thresholds?: SaliencyThresholds;
  /** Told of each file that was resized, looks like a 0/1 mask or is white all over; default: `console.warn` for the first of each kind. */
  readonly onNotice?: (notice: FileSaliencyNotice) => void;
}

/**
 * A source that reads maps made elsewhere: 8- or 16-bit grey, RGB or RGBA (as luma), PNG, JPEG and whatever `@auxseg/datasets` reads; what a file is, its
 * content says.
 *
 * Maps of another size than their image are resized bilinearly, and said so. Node only.
 * Throws SaliencyError: BAD_OPTION; from `map`, MAP_NOT_FOUND and MAP_UNREADABLE with the file.
 */
export function createFileSaliency(options: FileSaliencyOptions): SaliencySource {
  const { dir, suffix = '', scale = '255' } = options;
  const thresholds = options.thresholds ?? { foreground: 0.06, background: 0.06 };
  checkThresholds('file saliency', thresholds);
  if (scale !== '255' && scale !== 'min-max') {
    throw new SaliencyError(
      'BAD_OPTION',
      `Expected scale '255' or 'min-max', got ${JSON.stringify(scale)}.`,
      { scale },
    );
  }
  const told = new Set<string>();
  const notify =
    options.onNotice ??
    ((notice: FileSaliencyNotice) => {
      if (told.has(notice.kind)) return;
      told.add(notice.kind);
      console.warn(`${notice.message} (said once; pass onNotice to hear of every file)`);
    });
  return {
    name: 'files',
    thresholds,
    async map({ id, image }) {
      const { file, gray } = await readSaliencyFile(dir, id, suffix);
      const unit = new Float32Array(gray.data.length);
      let low = 255;
      let high = 0;
      for (const value of gray.data) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
      if (low === 255) {
        notify({
          kind: 'all-white',
          id,
          file,
          message: `Saliency map ${file} is white all over: everything counts as salient. If its values lie in the alpha channel, which is not read, save it as grey.`,
        });
      }
      if (scale === '255') {
        if (high === 1) {
          notify({
            kind: 'almost-black',
            id,
            file,
            message: `Saliency map ${file} holds only the values 0 and 1 of 255: it looks like a 0/1 mask, or a palette image saved without its palette; read it with scale 'min-max'.`,
          });
        }
        for (let i = 0; i < unit.length; i++) unit[i] = gray.data[i] / 255;
      } else if (high > low) {
        for (let i = 0; i < unit.length; i++) unit[i] = (gray.data[i] - low) / (high - low);
      }
      const { width, height } = image;
      if (gray.width === width && gray.height === height) return { width, height, data: unit };
      notify({
        kind: 'resized',
        id,
        file,
        message: `Saliency map ${file} is ${gray.width}x${gray.height}, its image ${width}x${height}: resized bilinearly.`,
      });
      return { width, height, data: resizeBilinear(unit, gray, { width, height }) };
    },
  };
}

async function readSaliencyFile(
  dir: string,
  id: string,
  suffix: string,
): Promise<{ file: string; gray: GrayImage }> {
  // Loaded when first used, so that browsers can import the package for its pure parts.
  const [fs, path, { IMAGE_EXTENSIONS }] = await Promise.all([
    import('node:fs/promises'),
    import('node:path'),
    import('@auxseg/datasets'),
  ]);
  const extensions = ['.png', ...IMAGE_EXTENSIONS.filter((extension) => extension !== '.png')];
  for (const extension of extensions.flatMap((lower) => [lower, lower.toUpperCase()])) {
    const file = path.join(dir, `${id}${suffix}${extension}`);
    let bytes: Uint8Array;
    try {
      bytes = await fs.readFile(file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw unreadable(id, file, error);
    }
    try {
      return { file, gray: isPng(bytes) ? readGrayPng(bytes) : await decodeAsGray(bytes) };
    } catch (error) {
      throw unreadable(id, file, error);
    }
  }
  const wanted = path.join(dir, `${id}${suffix}.png`);
  throw new SaliencyError(
    'MAP_NOT_FOUND',
    `Expected a saliency map of image ${id} at ${wanted} (or ${extensions.slice(1).join(', ')}), found none; check the folder and the suffix, or make maps with 'auxseg data saliency'.`,
    { id, dir, suffix },
  );
}

/** PNG's signature begins with these bytes. */
const isPng = (bytes: Uint8Array): boolean => bytes[0] === 0x89 && bytes[1] === 0x50;

async function decodeAsGray(bytes: Uint8Array): Promise<GrayImage> {
  const { readImage } = await import('@auxseg/datasets');
  const { width, height, data: rgb } = await readImage(bytes);
  const data = new Uint8Array(width * height);
  for (let i = 0; i < data.length; i++) {
    data[i] = Math.round(0.299 * rgb[3 * i] + 0.587 * rgb[3 * i + 1] + 0.114 * rgb[3 * i + 2]);
  }
  return { width, height, data };
}

function unreadable(id: string, file: string, cause: unknown): SaliencyError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new SaliencyError(
    'MAP_UNREADABLE',
    `Expected a readable saliency map of image ${id} at ${file}, got: ${reason}; make or copy the file again.`,
    { id, file },
    { cause },
  );
}
