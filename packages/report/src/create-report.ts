import path from 'node:path';
import { writeFileAtomic } from '@auxseg/formats/node';
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
  try {
    await writeFileAtomic(file, page);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ReportError(
      'UNWRITABLE',
      `Expected to write ${file}, came ${code}; check the folder's permissions and the free space.`,
      { file, cause: code },
      { cause: error },
    );
  }
}
