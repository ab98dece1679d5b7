import { intervalBar } from '../charts/interval-bar.js';
import { stageChart } from '../charts/stage-chart.js';
import { type Html, html } from '../html.js';
import type { BaselineScore, RunSummary } from '../run-data.js';
import { HEADS, headsOf, lastValidation, scoreOf } from '../scores.js';
import { headName, percent, points } from '../wording.js';
import { missing, section } from './section.js';

/** Validation mIoU by stage and head, the baselines, and the paired comparisons. */
export function validationSection(summary: RunSummary | null): Html {
  const stages = summary?.validation ?? [];
  const baselines = summary?.baselines ?? [];
  const present = new Set(stages.flatMap(headsOf));
  const heads = [
    ...HEADS.filter((head) => present.has(head)),
    ...[...present].filter((head) => !HEADS.includes(head)),
  ];
  const table =
    heads.length > 0 &&
    html`<div class="scroll"><table><thead><tr><th>stage</th>${heads.map((head) => html`<th>${headName(head)}</th>`)}</tr></thead><tbody>${stages.map(
      (scores) =>
        html`<tr><th>${scores.stage}</th>${heads.map((head) => {
          const score = scoreOf(scores, head);
          return html`<td>${head === 'refined' ? html`<b>${percent(score?.meanIoU)}</b>` : percent(score?.meanIoU)}</td>`;
        })}</tr>`,
    )}</tbody></table></div>`;
  const chart =
    heads.length > 0 &&
    stageChart({
      label: 'Validation mIoU by stage',
      series: heads.map((head) => ({
        name: headName(head),
        values: stages.flatMap((scores) => {
          const score = scoreOf(scores, head);
          return score ? [{ stage: scores.stage, value: score.meanIoU }] : [];
        }),
      })),
      levels: levelsOf(baselines),
    });
  return section({
    id: 'validation',
    title: 'Validation',
    note: 'Mean intersection over union on the validation images, one confusion matrix over all of them, percent. The initial head reads the features; the refined one is its logits propagated by the cross-task affinity.',
    body: [
      heads.length > 0
        ? html`<div class="split">${chart}${table}</div>`
        : missing('There are no validation scores yet.'),
      baselineTable(baselines, summary),
      comparisonTable(summary),
    ],
  });
}

/** The last round of each baseline, its refined head where it has one. */
function levelsOf(baselines: readonly BaselineScore[]): { name: string; value: number }[] {
  const best = new Map<string, BaselineScore>();
  for (const baseline of baselines) {
    if (baseline.head?.endsWith('Crf')) continue;
    const known = best.get(baseline.name);
    const later = (baseline.rounds ?? 1) > (known?.rounds ?? 0);
    const refined = baseline.rounds === known?.rounds && baseline.head === 'refined';
    if (!known || later || refined) best.set(baseline.name, baseline);
  }
  return [...best.values()].map(({ name, meanIoU }) => ({ name, value: meanIoU }));
}

function baselineTable(baselines: readonly BaselineScore[], summary: RunSummary | null): Html {
  if (baselines.length === 0) return missing('No baseline was trained in this run.');
  const final = lastValidation(summary);
  return html`<h3>Baselines</h3><div class="scroll"><table><thead><tr><th class="text">training</th><th class="text">head</th><th>rounds</th><th>mIoU</th>${
    final && html`<th>main run minus this</th>`
  }</tr></thead><tbody>${baselines.map(
    (baseline) =>
      html`<tr><th class="text">${baseline.name}${baseline.description && html`<small>${baseline.description}</small>`}</th><td class="text">${baseline.head ? headName(baseline.head) : '–'}</td><td>${baseline.rounds ?? '–'}</td><td><b>${percent(baseline.meanIoU)}</b></td>${final && html`<td>${lead(baseline, summary)}</td>`}</tr>`,
  )}</tbody></table></div>`;
}

/** By how much the main run's comparable stage is ahead, its refined head where it has one. */
function lead(baseline: BaselineScore, summary: RunSummary | null): Html | string {
  const stages = summary?.validation ?? [];
  const scores = stages.find(({ stage }) => stage === baseline.compareWithStage) ?? stages.at(-1);
  if (!scores) return '–';
  const heads = baseline.head?.endsWith('Crf') ? ['refinedCrf', 'initialCrf'] : ['refined', 'initial'];
  const score = heads.map((head) => scoreOf(scores, head)).find((found) => found !== null);
  return score ? html`${points(score.meanIoU - baseline.meanIoU)} <small>stage ${scores.stage}</small>` : '–';
}

function comparisonTable(summary: RunSummary | null): Html {
  const comparisons = summary?.comparisons ?? [];
  if (comparisons.length === 0) return missing('There are no paired comparisons.');
  const limit = Math.max(1e-6, ...comparisons.flatMap(({ low, high }) => [Math.abs(low), Math.abs(high)]));
  const level = Math.round(100 * (comparisons[0].level ?? 0.95));
  return html`<h3>Differences</h3><p class="note">In points of mIoU, with the ${level}% interval of a paired bootstrap over the validation images. An interval that holds 0 is within noise.</p>
    <div class="scroll"><table class="comparisons"><thead><tr><th class="text">comparison</th><th>difference</th><th>interval</th><th></th><th class="text">verdict</th></tr></thead><tbody>${comparisons.map(
      ({ name, difference, low, high }) => {
        const verdict = low > 0 ? 'better' : high < 0 ? 'worse' : 'within noise';
        return html`<tr class="${verdict.replace(' ', '-')}"><th class="text">${name}</th><td><b>${points(difference)}</b></td><td>${points(low)} to ${points(high)}</td><td>${intervalBar({ difference, low, high, limit })}</td><td class="text"><span class="verdict">${verdict}</span></td></tr>`;
      },
    )}</tbody></table></div>`;
}
