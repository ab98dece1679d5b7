import { appendFile, mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@auxseg/formats/node';
import { AuxSegNetError } from '../auxsegnet-error.js';
import { type Recipe, resolveRecipe } from '../recipe.js';

/** One step of a run in `state.json`. */
export interface StepState {
  name: string;
  status: 'running' | 'done';
  /** Seconds of work so far, over all starts. */
  seconds: number;
}

/** `state.json`: what a run is and how far it is. */
export interface RunState {
  name: string;
  /** Foreground class names. */
  classes: string[];
  stages: number;
  backend: string;
  recipe: Recipe;
  steps: StepState[];
}

/**
 * A run directory (docs/formats.md): the pipeline's only state. Files appear by writing a temporary one, fsync and
 * rename, so that whatever exists is whole.
 */
export class RunDirectory {
  readonly root: string;
  state: RunState | null = null;

  constructor(root: string) {
    this.root = root;
  }

  path(...parts: string[]): string {
    return join(this.root, ...parts);
  }

  async has(...parts: string[]): Promise<boolean> {
    return stat(this.path(...parts)).then(
      () => true,
      () => false,
    );
  }

  async write(relative: string, bytes: Uint8Array | string): Promise<void> {
    const path = this.path(relative);
    try {
      await writeFileAtomic(path, bytes);
    } catch (cause) {
      throw storageError(path, cause);
    }
  }

  async writeJson(relative: string, value: unknown): Promise<void> {
    await this.write(relative, `${JSON.stringify(value, null, 2)}\n`);
  }

  async read(relative: string): Promise<Uint8Array> {
    const path = this.path(relative);
    try {
      return await readFile(path);
    } catch (cause) {
      throw new AuxSegNetError(
        'MISSING_STEP',
        `Expected ${path}, which an earlier step of this run writes; run \`auxseg run\` with the same --out to make it.`,
        { path, cause: String(cause) },
      );
    }
  }

  async readJson<T>(relative: string): Promise<T> {
    const bytes = await this.read(relative);
    try {
      return JSON.parse(new TextDecoder().decode(bytes)) as T;
    } catch (cause) {
      throw new AuxSegNetError(
        'BAD_RUN_DIRECTORY',
        `Expected JSON in ${this.path(relative)}, got ${bytes.length} bytes that do not parse (${String(cause)}); delete the file and start the same command again.`,
      );
    }
  }

  async appendLog(lines: readonly object[]): Promise<void> {
    if (lines.length === 0) return;
    const path = this.path('log.jsonl');
    await appendFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join('')).catch((cause) => {
      throw storageError(path, cause);
    });
  }

  /** Drops log lines of a phase after `step`: they were written between the last checkpoint and a crash. */
  async truncateLog(phase: string, step: number): Promise<void> {
    if (!(await this.has('log.jsonl'))) return;
    const text = new TextDecoder().decode(await this.read('log.jsonl'));
    const kept = text.split('\n').filter((line) => {
      if (line === '') return false;
      try {
        const entry = JSON.parse(line) as { phase?: string; step?: number };
        return entry.phase !== phase || (entry.step ?? 0) <= step;
      } catch {
        return false; // A line that a crash cut short.
      }
    });
    await this.write('log.jsonl', kept.map((line) => `${line}\n`).join(''));
  }

  async saveState(): Promise<void> {
    await this.writeJson('state.json', this.state);
  }
}

/** Settings that may change between two starts of the same run without changing its result. */
const freeSettings = new Set(['backend', 'threads', 'data.workers', 'data.root', 'pictures', 'name']);

/** Dotted paths at which two recipes differ in a way that would change results. */
export function recipeDifferences(a: unknown, b: unknown, prefix = ''): string[] {
  if (freeSettings.has(prefix)) return [];
  const bothObjects = [a, b].every((x) => typeof x === 'object' && x !== null && !Array.isArray(x));
  if (!bothObjects) return JSON.stringify(a) === JSON.stringify(b) ? [] : [prefix];
  const keys = new Set([...Object.keys(a as object), ...Object.keys(b as object)]);
  return [...keys].flatMap((key) =>
    recipeDifferences(
      (a as Record<string, unknown>)[key],
      (b as Record<string, unknown>)[key],
      prefix ? `${prefix}.${key}` : key,
    ),
  );
}

/** Opens or creates a run directory and checks that it belongs to this recipe; one in which no step has begun takes any. */
export async function openRunDirectory(
  root: string,
  start: { recipe: Recipe; configText: string; classes: readonly string[]; backend: string },
): Promise<RunDirectory> {
  const directory = new RunDirectory(root);
  await mkdir(root, { recursive: true }).catch((cause) => {
    throw storageError(root, cause);
  });
  const state = (await directory.has('state.json')) ? await directory.readJson<RunState>('state.json') : null;
  if (state !== null && state.steps.length > 0) {
    // Settings that came into being after that run stand at their defaults.
    const earlier = resolveRecipe(state.recipe, { source: `the recipe in ${directory.path('state.json')}` });
    const differences = recipeDifferences(earlier, start.recipe);
    if (differences.length > 0 || state.classes.join() !== start.classes.join()) {
      throw new AuxSegNetError(
        'BAD_RUN_DIRECTORY',
        `Expected ${root} to be empty or to hold a run of the same recipe; it was made with other values of ${
          differences.join(', ') || 'the class names'
        }. Choose another --out, or delete the folder to start over.`,
        { root, differences },
      );
    }
    directory.state = { ...state, recipe: start.recipe, backend: start.backend };
  } else {
    await directory.write('config.yaml', start.configText);
    directory.state = {
      name: start.recipe.name,
      classes: [...start.classes],
      stages: start.recipe.stages,
      backend: start.backend,
      recipe: start.recipe,
      steps: [],
    };
  }
  await directory.saveState();
  return directory;
}

export function storageError(path: string, cause: unknown): AuxSegNetError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
  const remedy: Record<string, string> = {
    ENOSPC: 'the disk is full: free some space and start the same command again, finished work is kept',
    EACCES: 'this user may not write there: choose another --out or change its permissions',
    EPERM: 'this user may not write there: choose another --out or change its permissions',
    EROFS: 'the file system is read-only: choose another --out',
    ENOTDIR: 'a part of the path is a file: choose another --out',
    EEXIST: 'a file stands where the folder should be: choose another --out',
  };
  return new AuxSegNetError(
    'STORAGE',
    `Expected to write ${path}, got ${code}: ${remedy[code] ?? String((cause as Error).message ?? cause)}.`,
    { path, cause: code },
  );
}
