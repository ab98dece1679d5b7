import { availableParallelism } from 'node:os';
import { isAbsolute, resolve } from 'node:path';
import type { Dataset, SyntheticDataset } from '@auxseg/datasets';
import {
  combineSaliency,
  createConstantSaliency,
  createFileSaliency,
  createOracleSaliency,
  createUnsupervisedSaliency,
  type FileSaliencyNotice,
  type SaliencySource,
} from '@auxseg/saliency';
import { AuxSegNetError } from '../auxsegnet-error.js';
import type { SaliencySettings } from '../recipe.js';
import { createNetworkSaliency } from './create-network-saliency.js';

/** What a saliency source may need besides its settings. */
export interface SaliencySurroundings {
  /** Its masks make the oracle; a synthetic set draws its own maps. */
  dataset: Dataset;
  /** Data folder, to which saliency.directory is relative. */
  root?: string;
  /** Folders in which saliency.weights is looked up. */
  searchPaths?: readonly string[];
  /** Working resolution of `prediction`; default what the network's preset has. */
  longSidePx?: number;
  /** Threads of each detector; default all cores. */
  workers?: number;
  /** Told of each file that was resized or looks wrong. */
  onNotice?: (notice: FileSaliencyNotice) => void;
}

/** Opens the saliency source of a recipe (its `saliency` section). Throws AuxSegNetError BAD_RECIPE for a setting that is missing. */
export function openSaliencySource(
  settings: SaliencySettings,
  surroundings: SaliencySurroundings,
): SaliencySource {
  const { source, method, directory, suffix, scale, value, weights, rule = 'mean', sources } = settings;
  const missing = (setting: string, what: string) =>
    new AuxSegNetError(
      'BAD_RECIPE',
      `Expected saliency.${setting} (${what}) with saliency.source '${source}'.`,
      { source, setting },
    );
  switch (source) {
    case 'unsupervised':
      return createUnsupervisedSaliency({ method, workers: surroundings.workers ?? availableParallelism() });
    case 'constant':
      return createConstantSaliency(value);
    case 'oracle':
      return createOracleSaliency(surroundings.dataset);
    case 'files':
      if (directory === undefined) throw missing('directory', 'a folder of <id>.png');
      return createFileSaliency({
        dir: isAbsolute(directory) ? directory : resolve(surroundings.root ?? '.', directory),
        suffix,
        scale,
        onNotice: surroundings.onNotice,
      });
    case 'prediction':
      if (weights === undefined) throw missing('weights', 'the model.safetensors of a stage of another run');
      return createNetworkSaliency({
        weights,
        searchPaths: surroundings.searchPaths,
        longSidePx: surroundings.longSidePx,
      });
    case 'combine':
      if (sources === undefined)
        throw missing(
          'sources',
          'a list such as [{ source: unsupervised }, { source: files, directory: maps }]',
        );
      return combineSaliency(
        sources.map((part) => openSaliencySource(part, surroundings)),
        rule,
      );
    case 'dataset': {
      const own = surroundings.dataset as Partial<SyntheticDataset>;
      const { saliency, saliencyThresholds } = own;
      if (saliency === undefined || saliencyThresholds === undefined) {
        throw new AuxSegNetError(
          'BAD_RECIPE',
          "Expected saliency.source 'dataset' only with the synthetic set, which draws its own maps; this one has none. Use 'unsupervised' or 'files'.",
        );
      }
      return {
        name: 'dataset',
        thresholds: saliencyThresholds,
        map: ({ id }) => saliency.call(own, id),
      };
    }
  }
}
