import { copyFile, link, mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AuxSegNetError } from '../auxsegnet-error.js';
import { resolveRecipe } from '../recipe.js';
import { RunDirectory, type RunState, recipeDifferences, storageError } from './run-directory.js';

/** The parts of a recipe that the classifier and its CAMs depend on. */
const CLASSIFIER_SETTINGS = ['preset', 'seed', 'data', 'network', 'classifier', 'cam'] as const;
/** Parts of `network` and `data` that they do not depend on; the dropout of `network.head` is the classifier's, too. */
const INDIFFERENT =
  /^(network\.(affinity|head\.(features|channels|dilations))|data\.(train|val|score))(\.|$)/;

/**
 * Takes the stage-0 classifier and its CAMs from a finished run instead of making them again: for recipes that differ in what comes after, such
 * as the saliency source. `ids` are the training images: all of them need CAMs there, though the list may be a part of the other's. Does nothing when this run has its own CAMs already. Returns whether it took them.
 *
 * Files are linked where the file system can, else copied. Throws AuxSegNetError BAD_RUN_DIRECTORY when the other run has no finished CAMs, or was made
 * with another value of a setting that they depend on.
 */
export async function reuseClassifier(
  directory: RunDirectory,
  from: string,
  ids: readonly string[],
): Promise<boolean> {
  const state = directory.state as RunState;
  if (state.steps.some(({ name, status }) => name === 'cam' && status === 'done')) return false;
  const other = new RunDirectory(from);
  const source = await other.readJson<RunState>('state.json');
  const refuse = (reason: string) =>
    new AuxSegNetError(
      'BAD_RUN_DIRECTORY',
      `Expected ${from} to be a run whose classifier and CAMs fit this recipe: ${reason}. Leave --reuse out to make them anew.`,
      { from },
    );
  const done = (name: string) => source.steps.find((step) => step.name === name && step.status === 'done');
  const steps = ['classifier', 'cam'].map(done);
  if (steps.some((step) => step === undefined)) throw refuse('its steps classifier and cam are not done');
  const pick = (recipe: RunState['recipe']) =>
    Object.fromEntries(CLASSIFIER_SETTINGS.map((key) => [key, recipe[key]]));
  // Resolved again: settings that came later than that run have their defaults in it.
  const resolved = resolveRecipe(source.recipe, { source: `the recipe of ${from}` });
  const differences = recipeDifferences(pick(resolved), pick(state.recipe)).filter(
    (path) => !INDIFFERENT.test(path),
  );
  if (differences.length > 0) throw refuse(`it was made with another ${differences.join(', ')}`);
  if (source.classes.join() !== state.classes.join()) throw refuse('its classes are others');

  const there = new Set(await readdir(other.path('stage-0/cams')));
  const absent = ids.filter((id) => !there.has(`${id}.npz`));
  if (absent.length > 0) throw refuse(`it has no CAMs of ${absent.length} images, ${absent[0]} for one`);
  const take = async (relative: string) => {
    const target = directory.path(relative);
    await mkdir(dirname(target), { recursive: true });
    await link(other.path(relative), target)
      .catch(() => copyFile(other.path(relative), target))
      .catch((cause) => {
        throw storageError(target, cause);
      });
  };
  await take('stage-0/classifier.safetensors');
  for (const id of ids) await take(join('stage-0/cams', `${id}.npz`));
  const metrics = await other.readJson<{ classification?: object }>('stage-0/metrics.json');
  const file = 'stage-0/metrics.json';
  const before = (await directory.has(file)) ? await directory.readJson<object>(file) : {};
  await directory.writeJson(file, { ...before, classification: metrics.classification });
  state.steps = [
    ...state.steps.filter(({ name }) => name !== 'classifier' && name !== 'cam'),
    // No time of this run went into them.
    ...steps.map((step) => ({ ...(step as RunState['steps'][number]), seconds: 0 })),
  ];
  await directory.saveState();
  return true;
}
