import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { readRunDirectory } from './read-run-directory.js';
import { renderReport } from './render-report.js';
import { ReportError } from './report-error.js';

export interface CreateReportOptions {
  /** A run directory (architecture.md); what it lacks is left out of the page with a sentence. */
  runDirectory: string;
  /** Heading; the run's name by default. */
  title?: string;
  /** Images of `pictures/index.json` to show of each split; 12 by default. */
  imagesPerSplit?: number;
}

/**
 * Makes the page of a run, writes it to `report.html` in the run directory (atomically), and returns it.
 *
 * The page embeds its style, charts (SVG) and pictures (PNG data URIs).
 * @throws ReportError NOT_A_RUN_DIRECTORY, BAD_FILE (file named), UNWRITABLE
 */
export async function createReport(options: CreateReportOptions): Promise<string> {
  const { runDirectory, title, imagesPerSplit } = options;
  const run = await readRunDirectory(runDirectory, { imagesPerSplit });
  const page = renderReport(run, { title });
  await writePage(path.join(runDirectory, 'report.html'), page);
  return page;
}

async function writePage(file: string, page: string): Promise<void> {
  const temporary = `${file}.tmp`;
  try {
    const handle = await open(temporary, 'w');
    try {
      await handle.writeFile(page);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    const { code } = error as NodeJS.ErrnoException;
    throw new ReportError(
      'UNWRITABLE',
      `Expected to write ${file}, came ${code}; check the folder's permissions and the free space.`,
      { file, cause: code },
      { cause: error },
    );
  }
}
