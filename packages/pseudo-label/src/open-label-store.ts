import {
  type LabelMap,
  readGrayPng,
  readIndexedPng,
  type ScoreMap,
  writeGrayPng,
  writeIndexedPng,
} from '@auxseg/formats';
import { PseudoLabelError } from './errors.js';

/** Which of the two maps of an image. */
export type LabelKind = 'segmentation' | 'saliency';

/** Pseudo labels of a data set on disk, readable by any other method. */
export interface LabelStore {
  readonly dir: string;
  /** Path of an image's map, whether it exists or not; what a loader's workers read for themselves. Throws BAD_ID. */
  file(id: string, kind: LabelKind): string;
  /** Writes seg/<id>.png: 8-bit palette PNG, 256 VOC colours, 255 = ignore. */
  writeSegmentation(id: string, map: LabelMap): Promise<void>;
  /** Writes sal/<id>.png: 8-bit grey, round(255 * score). */
  writeSaliency(id: string, map: ScoreMap): Promise<void>;
  /** Reads a label map back, value for value. Throws LABEL_NOT_FOUND or LABEL_UNREADABLE with the path. */
  segmentation(id: string): Promise<LabelMap>;
  /** Reads a saliency map back as multiples of 1/255. Throws LABEL_NOT_FOUND or LABEL_UNREADABLE with the path. */
  saliency(id: string): Promise<ScoreMap>;
  /** Whether the map of that kind exists (an empty file, as a lost machine may leave it, is none); without a kind, whether both do. */
  has(id: string, kind?: LabelKind): Promise<boolean>;
  /** Ids that have the map of that kind, sorted; temporary files of a killed run are no ids. */
  ids(kind: LabelKind): Promise<string[]>;
}

const FOLDER: Record<LabelKind, string> = { segmentation: 'seg', saliency: 'sal' };

/** A temporary file this old belongs to a process that is gone, whatever machine it ran on. */
const STALE_TEMPORARY_MS = 60 * 60 * 1000;

let temporaryCount = 0;

// Loaded when first used, so that browsers can import the package for its pure parts.
async function loadNode() {
  const [fs, path, os, { writeFileAtomic }] = await Promise.all([
    import('node:fs/promises'),
    import('node:path'),
    import('node:os'),
    import('@auxseg/formats/node'),
  ]);
  return { fs, path, os, writeFileAtomic };
}

function checkId(id: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is being refused
  if (typeof id !== 'string' || id === '' || id.startsWith('.') || /[\\/\u0000-\u001f]/.test(id)) {
    throw new PseudoLabelError(
      'BAD_ID',
      `Expected an image id that is a plain file name, got ${JSON.stringify(id)}; ids may not be empty, start with a dot or hold slashes.`,
      { id },
    );
  }
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Opens the pseudo labels kept under `dir` as seg/<id>.png and sal/<id>.png; folders appear with the first write.
 *
 * Every file is written to a temporary one beside it, flushed to the disk and renamed, so that a reader, or a run
 * that was killed and started again, sees either the whole old file or the whole new one. Node only.
 * Methods reject with PseudoLabelError: BAD_ID, BAD_SHAPE, BAD_VALUE, LABEL_NOT_FOUND, LABEL_UNREADABLE,
 * STORE_UNWRITABLE.
 */
export function openLabelStore(dir: string): LabelStore {
  const prepared = new Map<LabelKind, Promise<string>>();

  function pathOf(kind: LabelKind, id: string): string {
    checkId(id);
    return `${dir}/${FOLDER[kind]}/${id}.png`;
  }

  /** Makes the folder and removes what killed runs left in it, once per store. */
  function prepare(kind: LabelKind): Promise<string> {
    let promise = prepared.get(kind);
    if (!promise) {
      promise = (async () => {
        const { fs, path, os } = await loadNode();
        const folder = `${dir}/${FOLDER[kind]}`;
        try {
          await fs.mkdir(folder, { recursive: true });
          for (const name of await fs.readdir(folder)) {
            const match = /^\.tmp-(.+)-(\d+)-\d+\.png$/.exec(name);
            if (!match) continue;
            const file = path.join(folder, name);
            const ownerGone = match[1] === os.hostname() && !isAlive(Number(match[2]));
            const stat = await fs.stat(file).catch(() => null);
            if (stat && (ownerGone || Date.now() - stat.mtimeMs > STALE_TEMPORARY_MS)) {
              await fs.rm(file, { force: true });
            }
          }
        } catch (error) {
          prepared.delete(kind);
          throw unwritable(folder, error);
        }
        return folder;
      })();
      prepared.set(kind, promise);
    }
    return promise;
  }

  async function writeAtomically(kind: LabelKind, id: string, bytes: Uint8Array): Promise<void> {
    const target = pathOf(kind, id);
    const folder = await prepare(kind);
    const { path, os, writeFileAtomic } = await loadNode();
    const temporary = path.join(folder, `.tmp-${os.hostname()}-${process.pid}-${temporaryCount++}.png`);
    try {
      // Labels are small and many, and made again when one is missing: the folder need not be flushed for each.
      await writeFileAtomic(target, bytes, { temporary, syncFolder: false });
    } catch (error) {
      throw unwritable(target, error);
    }
  }

  async function read(kind: LabelKind, id: string): Promise<{ file: string; bytes: Uint8Array }> {
    const file = pathOf(kind, id);
    const { fs } = await loadNode();
    try {
      return { file, bytes: await fs.readFile(file) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        throw new PseudoLabelError(
          'LABEL_NOT_FOUND',
          `Expected the ${kind} label of image ${id} at ${file}, found no file; make the labels of this stage first.`,
          { id, file, kind },
        );
      }
      throw unreadable(kind, id, file, error);
    }
  }

  return {
    dir,
    file: (id, kind) => pathOf(kind, id),
    async writeSegmentation(id, map) {
      checkId(id);
      checkLength(id, 'segmentation', map);
      await writeAtomically('segmentation', id, writeIndexedPng(map));
    },
    async writeSaliency(id, map) {
      checkId(id);
      checkLength(id, 'saliency', map);
      const data = new Uint8Array(map.data.length);
      for (let i = 0; i < data.length; i++) {
        const value = map.data[i];
        if (!(value >= 0 && value <= 1)) {
          throw new PseudoLabelError(
            'BAD_VALUE',
            `Expected the saliency of image ${id} in 0..1, got ${value} at x=${i % map.width}, y=${Math.floor(i / map.width)}.`,
            { id, value, index: i },
          );
        }
        data[i] = Math.round(value * 255);
      }
      await writeAtomically('saliency', id, writeGrayPng({ width: map.width, height: map.height, data }));
    },
    async segmentation(id) {
      const { file, bytes } = await read('segmentation', id);
      try {
        const { width, height, data } = readIndexedPng(bytes);
        return { width, height, data };
      } catch (error) {
        throw unreadable('segmentation', id, file, error);
      }
    },
    async saliency(id) {
      const { file, bytes } = await read('saliency', id);
      try {
        const gray = readGrayPng(bytes);
        const data = new Float32Array(gray.data.length);
        for (let i = 0; i < data.length; i++) data[i] = gray.data[i] / 255;
        return { width: gray.width, height: gray.height, data };
      } catch (error) {
        throw unreadable('saliency', id, file, error);
      }
    },
    async has(id, kind) {
      const kinds: LabelKind[] = kind ? [kind] : ['segmentation', 'saliency'];
      const { fs } = await loadNode();
      for (const one of kinds) {
        const stat = await fs.stat(pathOf(one, id)).catch(() => null);
        if (!stat?.isFile() || stat.size === 0) return false;
      }
      return true;
    },
    async ids(kind) {
      const { fs } = await loadNode();
      const names = await fs.readdir(`${dir}/${FOLDER[kind]}`).catch(() => [] as string[]);
      return names
        .filter((name) => name.endsWith('.png') && !name.startsWith('.'))
        .map((name) => name.slice(0, -4))
        .sort();
    },
  };
}

function checkLength(
  id: string,
  kind: LabelKind,
  map: { width: number; height: number; data: ArrayLike<number> },
) {
  if (map.data.length !== map.width * map.height) {
    throw new PseudoLabelError(
      'BAD_SHAPE',
      `Expected the ${kind} label of image ${id} to hold ${map.width}x${map.height} = ${map.width * map.height} values, got ${map.data.length}.`,
      { id, width: map.width, height: map.height, got: map.data.length },
    );
  }
}

function unwritable(file: string, cause: unknown): PseudoLabelError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PseudoLabelError(
    'STORE_UNWRITABLE',
    `Expected to write ${file}, got: ${reason}; check that the folder exists, is writable and that the disk has room.`,
    { file },
    { cause },
  );
}

function unreadable(kind: LabelKind, id: string, file: string, cause: unknown): PseudoLabelError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PseudoLabelError(
    'LABEL_UNREADABLE',
    `Expected a readable ${kind} PNG of image ${id} at ${file}, got: ${reason}; delete the file and make the label again.`,
    { id, file, kind },
    { cause },
  );
}
