import { pairedBootstrap } from '@auxseg/metrics';
import type { Branch } from '../recipe.js';
import { branchPredictions } from './branch.js';
import type { PipelineContext } from './context.js';
import { confusionByImage, labelScoreByImage } from './evaluate.js';
import { scoreNetwork } from './predictions.js';
import { labelFolder } from './stage-zero.js';

/** Scores of one set of label maps or predictions, fractions. */
export interface Score {
  meanIoU: number;
  perClassIoU: (number | null)[];
  pixelAccuracy?: number;
}

export interface PseudoLabelRow {
  stage: number;
  precision: number;
  recall: number;
  meanIoU: number;
  ignoredFraction: number;
  perClassIoU: (number | null)[];
}

/**
 * A paired comparison: `a` minus `b` in mIoU, with a bootstrap interval over images: validation images for predictions,
 * scored training images for pseudo labels.
 */
export interface Comparison {
  name: string;
  of: 'prediction' | 'pseudo label';
  a: string;
  b: string;
  difference: number;
  low: number;
  high: number;
  level: number;
}

/** `summary.json`: the run's results, all from files of the run directory. */
export interface Summary {
  classes: string[];
  pseudoLabels: PseudoLabelRow[];
  saliency: { stage: number; mae: number; maxFBeta: number }[];
  validation: ({ stage: number } & Record<string, Score | number>)[];
  baselines: (Score & {
    name: string;
    description: string;
    rounds: number;
    head: string;
    compareWithStage: number;
  })[];
  comparisons: Comparison[];
  timings: { step: string; seconds: number }[];
}

/** Collects every stage's metrics, scores the branches and compares them with the main run. */
export async function writeSummary(context: PipelineContext): Promise<Summary> {
  const { recipe, directory } = context;
  const summary: Summary = {
    classes: [...context.train.classes],
    pseudoLabels: [],
    saliency: [],
    validation: [],
    baselines: [],
    comparisons: [],
    timings: directory.state!.steps.map(({ name, seconds }) => ({ step: name, seconds })),
  };
  for (let stage = 0; stage <= recipe.stages; stage++) {
    if (!(await directory.has(`stage-${stage}/metrics.json`))) continue;
    const metrics = await directory.readJson<Record<string, never>>(`stage-${stage}/metrics.json`);
    if (metrics['pseudoLabels'])
      summary.pseudoLabels.push({ stage, ...(metrics['pseudoLabels'] as object) } as PseudoLabelRow);
    if (metrics['saliency']) summary.saliency.push({ stage, ...(metrics['saliency'] as object) } as never);
    if (metrics['validation'])
      summary.validation.push({ stage, ...(metrics['validation'] as object) } as never);
  }
  for (const branch of recipe.branches) {
    for (let round = 1; round <= branch.rounds; round++) {
      const scores = await scoreNetwork(context, branchPredictions(branch, round));
      for (const [head, score] of Object.entries(scores)) {
        if (!score) continue;
        summary.baselines.push({
          name: branch.name,
          description: branch.description,
          rounds: round,
          head,
          compareWithStage: comparedStage(branch, round),
          ...score,
        });
      }
    }
  }
  summary.comparisons = await compareAll(context);
  await directory.writeJson('summary.json', summary);
  return summary;
}

/** The stage with as many trainings behind it as this round of a control: its last round meets `compareWithStage`. */
const comparedStage = (branch: Branch, round: number) => branch.compareWithStage - branch.rounds + round;

/** Every stage's pseudo labels against those that training began with. */
async function compareLabels(context: PipelineContext): Promise<Comparison[]> {
  const { recipe, directory, scoredTrain, train } = context;
  if (scoredTrain === null) return [];
  const numClasses = train.classes.length + 1;
  const scores = (stage: number) =>
    labelScoreByImage({
      predictions: directory.path(labelFolder(stage), 'seg'),
      ...scoredTrain,
      numClasses,
    });
  const comparisons: Comparison[] = [];
  const labelled = async (stage: number) => {
    const file = `stage-${stage}/metrics.json`;
    return (await directory.has(file)) && 'pseudoLabels' in (await directory.readJson<object>(file));
  };
  const relabelled: number[] = [];
  for (let stage = 1; stage <= recipe.stages; stage++) if (await labelled(stage)) relabelled.push(stage);
  if (relabelled.length === 0 || !(await labelled(0))) return [];
  const first = await scores(0);
  for (const stage of relabelled) {
    const { difference, low, high, level } = pairedBootstrap({
      a: await scores(stage),
      b: first,
      numClasses,
      samples: recipe.evaluation.bootstrapSamples,
      seed: recipe.seed,
    });
    comparisons.push({
      name: `labels of stage ${stage} against labels of stage 0`,
      of: 'pseudo label',
      a: labelFolder(stage),
      b: labelFolder(0),
      difference,
      low,
      high,
      level,
    });
  }
  return comparisons;
}

async function compareAll(context: PipelineContext): Promise<Comparison[]> {
  const { recipe, directory, val, scoredVal } = context;
  if (scoredVal === null) return [];
  const numClasses = val.classes.length + 1;
  const matrices = new Map<string, Awaited<ReturnType<typeof confusionByImage>>>();
  const read = async (folder: string) => {
    if (!matrices.has(folder)) {
      matrices.set(
        folder,
        await confusionByImage({
          predictions: directory.path(folder),
          ...scoredVal,
          numClasses,
        }),
      );
    }
    return matrices.get(folder)!;
  };
  /** The best-informed single-scale head of a stage or branch. */
  const lastHead = async (folder: string) =>
    (await directory.has(folder, 'refined')) ? `${folder}/refined` : `${folder}/initial`;
  const pairs: { name: string; a: string; b: string }[] = [];
  for (let stage = 1; stage <= recipe.stages; stage++) {
    const folder = `stage-${stage}/predictions`;
    if ((await lastHead(folder)).endsWith('refined')) {
      pairs.push({
        name: `stage ${stage}: refined head against initial head`,
        a: `${folder}/refined`,
        b: `${folder}/initial`,
      });
    }
    if (stage > 1) {
      pairs.push({
        name: `stage ${stage} against stage ${stage - 1}`,
        a: await lastHead(folder),
        b: await lastHead(`stage-${stage - 1}/predictions`),
      });
    }
  }
  for (const branch of recipe.branches) {
    for (let round = 1; round <= branch.rounds; round++) {
      const stage = comparedStage(branch, round);
      const main = `stage-${stage}/predictions`;
      const control = branchPredictions(branch, round);
      if (stage < 1 || !(await directory.has(main)) || !(await directory.has(control))) continue;
      pairs.push({
        name: `stage ${stage} against ${branch.name}${branch.rounds > 1 ? `, round ${round}` : ''}`,
        a: await lastHead(main),
        b: await lastHead(control),
      });
    }
  }
  const comparisons: Comparison[] = [];
  for (const { name, a, b } of pairs) {
    if (!(await directory.has(a)) || !(await directory.has(b))) continue;
    const { difference, low, high, level } = pairedBootstrap({
      a: await read(a),
      b: await read(b),
      numClasses,
      samples: recipe.evaluation.bootstrapSamples,
      seed: recipe.seed,
    });
    comparisons.push({ name, of: 'prediction', a, b, difference, low, high, level });
  }
  return [...(await compareLabels(context)), ...comparisons];
}
