import { disposeModel } from '@auxseg/runtime';
import type { Branch } from '../recipe.js';
import type { PipelineContext } from './context.js';
import {
  createInitialNetwork,
  createStartNetwork,
  loadNetworkFile,
  networkConfigOf,
  weightsMetadata,
} from './network-files.js';
import { labelTargets, predictValidation, saliencyTarget } from './stage.js';
import { trainNetwork } from './train-network.js';

/** Weight file of a branch after its round `round`. */
export const branchModel = (branch: Branch, round = branch.rounds) =>
  `branches/${branch.name}/round-${round}.safetensors`;
export const branchPredictions = (branch: Branch, round = branch.rounds) =>
  `branches/${branch.name}/predictions-${round}`;

/**
 * One round of a branch: a control training that differs from the main run in its affinity, its losses or its labels,
 * with the same schedule and steps.
 */
export async function trainBranchRound(
  context: PipelineContext,
  branch: Branch,
  round: number,
): Promise<string> {
  const config = networkConfigOf(context.recipe, branch);
  const network = await createStartNetwork(context, config);
  try {
    if (round > 1) await loadNetworkFile(context, network, branchModel(branch, round - 1));
    else if (branch.fromStage > 0) {
      await loadNetworkFile(context, network, `stage-${branch.fromStage}/model.safetensors`, {
        partial: branch.affinity !== undefined,
      });
    }
    const losses = await trainNetwork(context, {
      phase: `branch-${branch.name}-${round}`,
      network,
      schedule: context.recipe.train,
      losses: branch.losses ?? context.recipe.train.losses,
      targets: labelTargets(context, branch.labelsOfStage),
      saliencyTarget: saliencyTarget(context, branch.labelsOfStage),
      metadata: weightsMetadata(context, config, 'auxsegnet'),
      output: branchModel(branch, round),
      checkpoint: `branches/${branch.name}/trainer-state-${round}.safetensors`,
      // The same random stream as the main run's stage at that place, so that batches and crops are the same.
      seedOffset: branch.fromStage + round,
    });
    return `loss ${losses['total']?.toFixed(4) ?? 'from checkpoint'}`;
  } finally {
    disposeModel(network.model);
  }
}

export async function predictBranchRound(
  context: PipelineContext,
  branch: Branch,
  round: number,
  step: string,
): Promise<void> {
  const network = await createInitialNetwork(context, networkConfigOf(context.recipe, branch));
  try {
    await loadNetworkFile(context, network, branchModel(branch, round));
    await predictValidation(context, step, network, branchPredictions(branch, round));
  } finally {
    disposeModel(network.model);
  }
}
