import { disposeModel } from '@auxseg/runtime';
import { AuxSegNetError } from '../auxsegnet-error.js';
import { argmaxLabels, predictSegmentation } from '../inference.js';
import { branchModel, branchPredictions, predictBranchRound, trainBranchRound } from './branch.js';
import { forEachImage, type PipelineContext, throwIfAborted } from './context.js';
import { createInitialNetwork, findFile, loadNetworkFile, networkConfigOf } from './network-files.js';
import { makePictures } from './pictures.js';
import { scoreNetwork, scoreValidation, writePrediction } from './predictions.js';
import { lanesOf, predictValidation, refineWithCrf, trainStage, updateStageLabels } from './stage.js';
import { makeCams, makeInitialLabels, makeSaliency, percent, trainClassifier } from './stage-zero.js';
import { type Summary, writeSummary } from './summary.js';

/** One resumable step of a run. */
export interface PipelineStep {
  name: string;
  description: string;
  /** Does the work, or what is left of it; a string it returns is a line about the result. */
  run(context: PipelineContext): Promise<unknown>;
}

/** All steps of a recipe, in order. */
export function pipelineSteps(context: PipelineContext): PipelineStep[] {
  const { recipe } = context;
  const steps: PipelineStep[] = [
    {
      name: 'saliency',
      description: 'off-the-shelf saliency of every training image',
      run: (c) => makeSaliency(c, 'saliency'),
    },
    { name: 'classifier', description: 'single-task classifier', run: trainClassifier },
    { name: 'cam', description: 'class activation maps', run: (c) => makeCams(c, 'cam') },
    { name: 'labels-0', description: 'stage-0 pseudo labels', run: (c) => makeInitialLabels(c, 'labels-0') },
  ];
  for (let stage = 1; stage <= recipe.stages; stage++) {
    const labels = `labels-${stage}`;
    steps.push(
      {
        name: `train-${stage}`,
        description: `AuxSegNet on the labels of stage ${stage - 1}`,
        run: (c) => trainStage(c, stage),
      },
      {
        name: labels,
        description: `pseudo labels of stage ${stage}`,
        run: (c) => updateStageLabels(c, stage, labels),
      },
      {
        name: `evaluate-${stage}`,
        description: `validation images with the network of stage ${stage}`,
        run: (c) => evaluateStage(c, stage, `evaluate-${stage}`),
      },
    );
  }
  if (recipe.stages > 0)
    steps.push({ name: 'predict', description: 'final predictions', run: (c) => predictFinal(c, 'predict') });
  for (const branch of recipe.branches) {
    for (let round = 1; round <= branch.rounds; round++) {
      const name = `branch-${branch.name}-${round}`;
      steps.push(
        {
          name,
          description: `control: ${branch.description || branch.name}${branch.rounds > 1 ? `, round ${round}` : ''}`,
          run: (c) => trainBranchRound(c, branch, round),
        },
        {
          name: `${name}-evaluate`,
          description: `validation images with ${branchModel(branch, round)}`,
          run: async (c) => {
            await predictBranchRound(c, branch, round, `${name}-evaluate`);
            return describeScores(await scoreNetwork(c, branchPredictions(branch, round)));
          },
        },
      );
    }
  }
  if (recipe.pictures > 0)
    steps.push({ name: 'pictures', description: 'pictures for the report', run: makePictures });
  return steps;
}

/**
 * Runs the steps of a recipe that are not done yet; every step goes on where a killed run stopped, and the result is the
 * same as an undisturbed run's. `until` ends after that step. Ends with summary.json.
 */
export async function runPipeline(
  context: PipelineContext,
  { until, only }: { until?: string; only?: (step: string) => boolean } = {},
): Promise<Summary> {
  const { directory } = context;
  if (directory.state!.steps.length === 0) await checkBeforeWork(context);
  for (const step of pipelineSteps(context)) {
    if (only && !only(step.name)) continue;
    throwIfAborted(context);
    const states = directory.state!.steps;
    let state = states.find((candidate) => candidate.name === step.name);
    if (state?.status === 'done') {
      context.emit({ type: 'step-skip', step: step.name });
    } else {
      if (state === undefined) {
        state = { name: step.name, status: 'running', seconds: 0 };
        states.push(state);
      }
      await directory.saveState();
      context.emit({ type: 'step-start', step: step.name, description: step.description });
      const started = performance.now();
      let result: unknown;
      try {
        result = await step.run(context);
        state.status = 'done';
      } finally {
        state.seconds += (performance.now() - started) / 1000;
        await directory.saveState();
      }
      context.emit({
        type: 'step-done',
        step: step.name,
        seconds: state.seconds,
        result: typeof result === 'string' ? result : undefined,
      });
    }
    if (step.name === until) break;
  }
  return writeSummary(context);
}

/** What would fail in a later step. Before any work, because the remedy may change the recipe, which then is that of the work done. */
async function checkBeforeWork({ recipe, searchPaths, train }: PipelineContext): Promise<void> {
  const { saliency, network, classifier } = recipe;
  const files = {
    'network.backbone.weights': network.backbone.weights,
    'classifier.weights': classifier.weights,
    'saliency.weights': saliency.source === 'prediction' ? saliency.weights : undefined,
  };
  for (const [setting, file] of Object.entries(files))
    if (file !== undefined) await findFile(file, searchPaths, setting);
  const trainings = [
    ...(classifier.weights === undefined ? ['classifier' as const] : []),
    ...(recipe.stages > 0 || recipe.branches.length > 0 ? ['train' as const] : []),
  ];
  for (const training of trainings) {
    const { batchSize } = recipe[training];
    const images = train.ids.length;
    if (batchSize > images)
      throw new AuxSegNetError(
        'BAD_RECIPE',
        `Expected at least one batch of training images, got ${images} images for ${training}.batchSize ${batchSize}; give more images, or --set ${training}.batchSize=${images}.`,
        { training, batchSize, images },
      );
  }
}

async function evaluateStage(context: PipelineContext, stage: number, step: string): Promise<string> {
  const { directory } = context;
  const network = await createInitialNetwork(context, networkConfigOf(context.recipe));
  const folder = `stage-${stage}/predictions`;
  try {
    await loadNetworkFile(context, network, `stage-${stage}/model.safetensors`);
    await predictValidation(context, step, network, folder);
  } finally {
    disposeModel(network.model);
  }
  const validation = await scoreNetwork(context, folder);
  const file = `stage-${stage}/metrics.json`;
  const before = (await directory.has(file)) ? await directory.readJson<object>(file) : {};
  await directory.writeJson(file, { ...before, validation });
  return describeScores(validation);
}

/** predictions/<id>.png with the recipe's scales, flip and CRF. */
async function predictFinal(context: PipelineContext, step: string): Promise<string> {
  const { recipe, directory, val } = context;
  const network = await createInitialNetwork(context, networkConfigOf(recipe));
  const { scales, flip, scaleFusion } = recipe.evaluation;
  try {
    await loadNetworkFile(context, network, `stage-${recipe.stages}/model.safetensors`);
    await forEachImage(
      context,
      step,
      val.ids,
      (id) => directory.has('predictions', `${id}.png`),
      async (id) => {
        const { image } = await val.sample(id);
        const scores = predictSegmentation(network, image, {
          normalization: recipe.network.normalization,
          longSidePx: recipe.data.longSidePx,
          scales,
          flip,
          scaleFusion,
        });
        const map = recipe.evaluation.crf
          ? await refineWithCrf(context.crf, scores, image, recipe)
          : argmaxLabels(scores);
        await writePrediction(directory, `predictions/${id}.png`, map);
      },
      lanesOf(context.crf),
    );
  } finally {
    disposeModel(network.model);
  }
  const score = await scoreValidation(context, 'predictions');
  if (score === null || context.scoredVal === null) return `${val.ids.length} images; not scored: no masks`;
  await directory.writeJson('metrics.json', { ...score, images: context.scoredVal.ids.length });
  return `mIoU ${percent(score.meanIoU)}`;
}

function describeScores(scores: Awaited<ReturnType<typeof scoreNetwork>>): string {
  const parts = Object.entries(scores).map(([head, score]) => `${head} ${percent(score?.meanIoU ?? null)}`);
  return parts.length === 0 ? 'not scored: no masks' : `validation mIoU: ${parts.join(', ')}`;
}
