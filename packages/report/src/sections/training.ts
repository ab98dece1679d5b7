import { lossCharts } from '../charts/loss-charts.js';
import { type Html, html } from '../html.js';
import type { RunData } from '../run-data.js';
import { duration } from '../wording.js';
import { missing, section } from './section.js';

/** Loss curves and where the time went. */
export function trainingSection(run: RunData): Html {
  return section({
    id: 'training',
    title: 'Training',
    note:
      run.log.length > 0 &&
      'Losses by step, all trainings after each other; the faint line is what each step measured.',
    body: [
      run.log.length > 0 ? lossCharts(run.log) : missing('log.jsonl has no steps yet.'),
      run.brokenLogLines > 0 &&
        missing(`${run.brokenLogLines} line(s) of log.jsonl could not be read and were left out.`),
      times(run),
    ],
  });
}

function times(run: RunData): Html {
  const { timings } = run.summary ?? {};
  const rows = Array.isArray(timings)
    ? timings
    : timings
      ? Object.entries(timings).map(([step, seconds]) => ({ step, seconds }))
      : (run.state?.steps ?? []).map(({ name, seconds }) => ({ step: name, seconds: seconds ?? 0 }));
  if (rows.length === 0) return missing('No step has been timed.');
  const longest = Math.max(...rows.map(({ seconds }) => seconds), 1e-9);
  const total = rows.reduce((sum, { seconds }) => sum + seconds, 0);
  return html`<h3>Time, ${duration(total)} in all</h3><div class="times">${rows.map(
    ({ step, seconds }) =>
      html`<span>${step}</span><span class="bar"><i style="width:${((100 * seconds) / longest).toFixed(1)}%"></i></span><span>${duration(seconds)}</span>`,
  )}</div>`;
}
