import { copyFile, mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { writeIndexedPng } from '@auxseg/formats';
import { DatasetError } from './dataset-error.js';
import { fileError } from './file-error.js';
import { listFolder } from './list-folder.js';
import { mapConcurrently } from './map-concurrently.js';
import { readPngHeader } from './read-mask.js';
import { repairMask } from './repair-mask.js';
import { writeFileAtomically } from './write-file-atomically.js';

export interface RepairMasksOptions {
  /** A data set, whose SegmentationClass, SegmentationClassAug or masks folder is repaired, or a folder of masks. */
  readonly root: string;
  /** Where the masks go, in the same folders; `root` itself replaces them. */
  readonly out: string;
  /** Colours of RGB masks, [entries*3]; default VOC's. */
  readonly palette?: Uint8Array;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface RepairMasksResult {
  readonly masks: number;
  /** Now palette PNGs, from RGB, RGBA, 16 bits or grey. */
  readonly repaired: number;
  /** Palette PNGs before; copied byte for byte. */
  readonly unchanged: number;
  /** What could not be repaired, each with its reason; these files are not in `out`. */
  readonly failed: readonly { readonly file: string; readonly reason: string }[];
}

const MASK_FOLDERS = ['SegmentationClass', 'SegmentationClassAug', 'masks'];
const FILES_AT_ONCE = 8;

/**
 * Writes every mask of a folder as a palette PNG of class indices, through `repairMask`. Files appear whole, so the command may be run again.
 * @throws DatasetError 'missing-file' when there are no PNGs, 'unreadable-file' for folders, 'write-failed'.
 */
export async function repairMasks(options: RepairMasksOptions): Promise<RepairMasksResult> {
  const root = resolve(options.root);
  const out = resolve(options.out);
  const present = await listFolder(root);
  const folders = MASK_FOLDERS.filter((name) => present.includes(name));
  const files: string[] = [];
  for (const folder of folders.length > 0 ? folders.map((name) => join(root, name)) : [root])
    files.push(...(await listPngs(folder)));
  if (files.length === 0) {
    throw new DatasetError(
      'missing-file',
      `Expected PNG masks in ${root} (or its ${MASK_FOLDERS.join(', ')}), found none. Give the folder that holds them.`,
      { root },
    );
  }
  const failed: { file: string; reason: string }[] = [];
  let repaired = 0;
  let unchanged = 0;
  let done = 0;
  await mapConcurrently(files, FILES_AT_ONCE, async (file) => {
    const target = join(out, relative(root, file));
    try {
      const bytes = await readFile(file).catch((error) => {
        throw fileError(error, file, 'a mask', '');
      });
      // Decoded in any case: a damaged palette mask is no good copy.
      const map = repairMask(bytes, file, options.palette);
      if (readPngHeader(bytes)?.colorType !== 'palette') {
        await writeFileAtomically(target, writeIndexedPng(map));
        repaired++;
      } else {
        if (target !== file) {
          await mkdir(dirname(target), { recursive: true });
          await copyFile(file, `${target}.tmp`);
          await rename(`${target}.tmp`, target);
        }
        unchanged++;
      }
    } catch (error) {
      if (error instanceof DatasetError && error.code === 'write-failed') throw error;
      failed.push({ file, reason: (error as Error).message });
    }
    options.onProgress?.(++done, files.length);
  });
  failed.sort((a, b) => (a.file < b.file ? -1 : 1));
  return { masks: files.length, repaired, unchanged, failed };
}

async function listPngs(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch((cause) => {
    const error = fileError(cause, folder, 'a folder', '');
    if (error.code === 'missing-file') return [];
    throw error;
  });
  return entries
    .filter((entry) => entry.isFile() && /\.png$/i.test(entry.name) && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
