import type { RunSummary, Score, ValidationScores } from './run-data.js';

/** Heads in the order in which a table shows them; the last present one without CRF is "the" result. */
export const HEADS = ['initial', 'refined', 'initialCrf', 'refinedCrf'];

/** Heads of a stage that carry a score, known ones first. */
export function headsOf(scores: ValidationScores): string[] {
  const present = Object.keys(scores).filter((head) => scoreOf(scores, head) !== null);
  return [
    ...HEADS.filter((head) => present.includes(head)),
    ...present.filter((head) => !HEADS.includes(head)),
  ];
}

/** The score of one head, null where it has none. */
export function scoreOf(scores: ValidationScores, head: string): Score | null {
  const value = scores[head];
  return typeof value === 'object' && value !== null && typeof value.meanIoU === 'number' ? value : null;
}

/** The refined head of the last stage, or the initial one where there is no refinement. */
export function lastValidation(
  summary: RunSummary | null,
): { stage: number; head: string; score: Score } | null {
  const scores = summary?.validation?.at(-1);
  if (!scores) return null;
  const head = ['refined', 'initial'].find((name) => scoreOf(scores, name)) ?? headsOf(scores)[0];
  const score = head === undefined ? null : scoreOf(scores, head);
  return score && head !== undefined ? { stage: scores.stage, head, score } : null;
}
