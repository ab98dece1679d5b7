import { stageChart } from '../charts/stage-chart.js';
import { type Html, html } from '../html.js';
import type { RunSummary } from '../run-data.js';
import { percent } from '../wording.js';
import { missing, section } from './section.js';

/** Precision, recall and mIoU of the pseudo labels by stage, and the saliency maps behind them. */
export function pseudoLabelSection(summary: RunSummary | null): Html {
  const rows = summary?.pseudoLabels ?? [];
  const saliency = summary?.saliency ?? [];
  const saliencyOf = (stage: number) => saliency.find((entry) => entry.stage === stage);
  const body =
    rows.length === 0
      ? missing(
          'The pseudo labels have not been scored: the training images have no masks, or the run has not come that far.',
        )
      : html`<div class="split">${stageChart({
          label: 'Precision, recall and mIoU of the pseudo labels by stage',
          series: (['precision', 'recall', 'meanIoU'] as const).map((key) => ({
            name: key === 'meanIoU' ? 'mIoU' : key,
            values: rows.map((row) => ({ stage: row.stage, value: row[key] })),
          })),
        })}<div class="scroll"><table><thead><tr><th>stage</th><th>precision</th><th>recall</th><th>mIoU</th><th>ignored</th>${
          saliency.length > 0 && html`<th>saliency MAE</th><th>saliency max F<sub>β</sub></th>`
        }</tr></thead><tbody>${rows.map(
          (row) =>
            html`<tr><th>${row.stage}</th><td>${percent(row.precision)}</td><td>${percent(row.recall)}</td><td><b>${percent(row.meanIoU)}</b></td><td>${percent(row.ignoredFraction)}</td>${
              saliency.length > 0 &&
              html`<td>${saliencyOf(row.stage)?.mae.toFixed(3) ?? '–'}</td><td>${saliencyOf(row.stage)?.maxFBeta.toFixed(3) ?? '–'}</td>`
            }</tr>`,
        )}</tbody></table></div></div>`;
  return section({
    id: 'pseudo-labels',
    title: 'Pseudo labels',
    note: 'Labels made for the training images, scored against their masks, which training never sees. Percent; an ignored pixel counts as missed in recall and mIoU. Stage 0 is the classifier’s.',
    body,
  });
}
