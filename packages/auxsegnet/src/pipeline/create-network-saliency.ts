import { disposeModel } from '@auxseg/runtime';
import { createPredictionSaliency, type SaliencySource, type SaliencyThresholds } from '@auxseg/saliency';
import { predictSaliency } from '../inference.js';
import type { NetworkConfig } from '../network-config.js';
import { presetOfBackbone } from '../presets.js';
import { resolveRecipe } from '../recipe.js';
import { findFile, openNetworkFile } from './network-files.js';

/** Which network is asked for saliency, and how. */
export interface NetworkSaliencyOptions {
  /** A file that a stage of a run wrote: model.safetensors, with the network's configuration in its metadata. */
  weights: string;
  /** Folders in which a relative path is looked up; default the working folder. */
  searchPaths?: readonly string[];
  /** Images are resized to this longer side first, 0 keeps them; default what the network was trained with. */
  longSidePx?: number;
  head?: 'initial' | 'refined';
  thresholds?: SaliencyThresholds;
}

/**
 * A source that asks the saliency head of a trained AuxSegNet, on images it need not have seen: [H,W], 0..1.
 *
 * The file is opened by the first `map`, on the backend in use then; `close` frees the network. Throws AuxSegNetError from
 * `map`: MISSING_INPUT, BAD_WEIGHTS (no file of ours, or a classifier).
 */
export function createNetworkSaliency(options: NetworkSaliencyOptions): SaliencySource {
  const { weights, searchPaths = ['.'], head = 'refined', thresholds } = options;
  let opened: ReturnType<typeof openNetworkFile> | null = null;
  const open = async () => openNetworkFile(await findFile(weights, searchPaths, 'saliency.weights'));
  return createPredictionSaliency({
    thresholds,
    async predict(image) {
      opened ??= open();
      const { network, metadata } = await opened;
      return predictSaliency(network, image, {
        normalization: metadata.network.normalization,
        longSidePx: options.longSidePx ?? metadata.longSidePx ?? longSideOf(metadata.network.backbone.name),
        head,
      });
    },
    async close() {
      const last = opened;
      opened = null;
      const loaded = await last?.catch(() => null);
      if (loaded) disposeModel(loaded.network.model);
    },
  });
}

/** What the preset of a backbone has, for files that do not say what they were trained with. */
function longSideOf(backbone: NetworkConfig['backbone']['name']): number {
  return resolveRecipe({ preset: presetOfBackbone[backbone] }).data.longSidePx;
}
