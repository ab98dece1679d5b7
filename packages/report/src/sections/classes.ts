import { classChip } from '../class-chip.js';
import { type Html, html } from '../html.js';
import type { RunSummary } from '../run-data.js';
import { lastValidation, scoreOf } from '../scores.js';
import { headName, percent } from '../wording.js';
import { missing, section } from './section.js';

/** IoU of every class: pseudo labels and validation, side by side over the stages. */
export function classSection(summary: RunSummary | null): Html {
  const names = ['background', ...(summary?.classes ?? [])];
  const head = lastValidation(summary)?.head ?? 'refined';
  const columns = [
    ...(summary?.pseudoLabels ?? []).map(({ stage, perClassIoU }) => ({
      group: 'labels',
      stage,
      perClassIoU,
    })),
    ...(summary?.validation ?? []).map((scores) => ({
      group: 'validation',
      stage: scores.stage,
      perClassIoU: scoreOf(scores, head)?.perClassIoU,
    })),
  ].filter((column): column is typeof column & { perClassIoU: (number | null)[] } =>
    Boolean(column.perClassIoU?.length),
  );
  const count = (group: string) => columns.filter((column) => column.group === group).length;
  const groupHead = (group: string, title: string) =>
    count(group) > 0 && html`<th colspan="${count(group)}" class="group">${title}</th>`;
  const body =
    columns.length === 0
      ? missing('There are no scores by class.')
      : html`<div class="scroll"><table class="heat"><thead><tr><th rowspan="2" class="text">class</th>${groupHead('labels', 'pseudo labels')}${groupHead('validation', `validation, ${headName(head)}`)}</tr><tr>${columns.map(
          ({ stage }) => html`<th>stage ${stage}</th>`,
        )}</tr></thead><tbody>${names.map(
          (name, index) =>
            html`<tr><th class="text">${classChip(name, index)}</th>${columns.map(({ perClassIoU }) => {
              const value = perClassIoU[index];
              return html`<td style="--share:${Math.round(100 * (value ?? 0))}%">${percent(value)}</td>`;
            })}</tr>`,
        )}</tbody></table></div>`;
  return section({
    id: 'classes',
    title: 'Class by class',
    note: 'IoU in percent; a dash where a class occurs neither in truth nor in the labels.',
    body,
  });
}
