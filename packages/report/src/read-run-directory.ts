import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ReportError } from './report-error.js';
import type { LogEntry, PictureStrip, RunData, RunState, RunSummary } from './run-data.js';

/** Images per split that a page shows unless told otherwise; with ten small PNGs each the page stays a few megabytes. */
export const DEFAULT_IMAGES_PER_SPLIT = 12;

/**
 * Reads what a page shows from a run directory: config.yaml, state.json, log.jsonl, summary.json, pictures/.
 *
 * Each of them may be missing.
 * @throws ReportError NOT_A_RUN_DIRECTORY when none is there, BAD_FILE for JSON that does not parse (file named)
 */
export async function readRunDirectory(
  directory: string,
  options: { imagesPerSplit?: number } = {},
): Promise<RunData> {
  const { imagesPerSplit = DEFAULT_IMAGES_PER_SPLIT } = options;
  const config = await readText(directory, 'config.yaml');
  const state = await readJson<RunState>(directory, 'state.json');
  const logText = await readText(directory, 'log.jsonl');
  const summary = await readJson<RunSummary>(directory, 'summary.json');
  const allPictures = (await readJson<PictureStrip[]>(directory, 'pictures/index.json')) ?? [];
  if (config === null && state === null && logText === null && summary === null) {
    throw new ReportError(
      'NOT_A_RUN_DIRECTORY',
      `Expected a run directory (config.yaml, state.json, log.jsonl or summary.json) at ${directory}, found none of them; pass the folder given to --out of the run.`,
      { directory },
    );
  }
  const { entries, broken } = parseLog(logText ?? '');
  const pictures = firstOfEachSplit(allPictures, imagesPerSplit);
  const pictureFiles = new Map<string, Uint8Array>();
  for (const { items } of pictures) {
    for (const { file } of items) {
      const bytes = await readPicture(directory, file);
      if (bytes) pictureFiles.set(file, bytes);
    }
  }
  return {
    folder: path.basename(path.resolve(directory)),
    config,
    state,
    log: entries,
    brokenLogLines: broken,
    summary,
    pictures,
    pictureFiles,
    pictureCount: allPictures.length,
  };
}

async function readText(directory: string, name: string): Promise<string | null> {
  const file = path.join(directory, name);
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new ReportError(
      'BAD_FILE',
      `Expected to read ${file}, came ${code}; check its permissions.`,
      { file, cause: code },
      { cause: error },
    );
  }
}

async function readJson<T>(directory: string, name: string): Promise<T | null> {
  const text = await readText(directory, name);
  if (text === null) return null;
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    const file = path.join(directory, name);
    throw new ReportError(
      'BAD_FILE',
      `Expected JSON in ${file}, came ${text.length} characters that do not parse (${(error as Error).message}); remove the file and let the run's last step write it again.`,
      { file },
      { cause: error },
    );
  }
}

function parseLog(text: string): { entries: LogEntry[]; broken: number } {
  const entries: LogEntry[] = [];
  let broken = 0;
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    try {
      const entry = JSON.parse(line) as Partial<LogEntry>;
      if (typeof entry.step === 'number' && entry.losses) {
        entries.push({ ...entry, phase: entry.phase ?? 'training' } as LogEntry);
      }
    } catch {
      broken++;
    }
  }
  return { entries, broken };
}

function firstOfEachSplit(strips: readonly PictureStrip[], count: number): PictureStrip[] {
  const taken = new Map<string, number>();
  return strips.filter(({ split = '' }) => {
    const number = (taken.get(split) ?? 0) + 1;
    taken.set(split, number);
    return number <= count;
  });
}

/** Reads a picture, named from the run directory or from pictures/; never one outside of it. */
async function readPicture(directory: string, file: string): Promise<Uint8Array | null> {
  const root = path.resolve(directory);
  for (const candidate of [path.resolve(root, file), path.resolve(root, 'pictures', file)]) {
    if (!candidate.startsWith(path.join(root, 'pictures') + path.sep)) continue;
    try {
      return await readFile(candidate);
    } catch {
      // Its sentence stands in the page.
    }
  }
  return null;
}
