import { classChip } from '../class-chip.js';
import { type Html, html } from '../html.js';
import type { RunData } from '../run-data.js';
import { lastValidation } from '../scores.js';
import { duration, headName, percent, points } from '../wording.js';

/** Title, one sentence on what came out, the figures to remember, and how far the run is. */
export function headline(run: RunData, title: string): Html {
  const { state, summary } = run;
  const classes = summary?.classes ?? state?.classes ?? [];
  const steps = state?.steps ?? [];
  const running = steps.find(({ status }) => status !== 'done');
  const seconds = steps.reduce((sum, step) => sum + (step.seconds ?? 0), 0);
  const facts = [
    classes.length > 0 && `${classes.length} classes`,
    state?.stages !== undefined && `${state.stages} ${state.stages === 1 ? 'stage' : 'stages'}`,
    state?.backend && `backend ${state.backend}`,
    seconds > 0 && `${duration(seconds)} of work`,
  ].filter((fact): fact is string => Boolean(fact));
  const status =
    steps.length > 0 &&
    html`<span class="pill ${running ? 'running' : 'done'}">${running ? `at ${running.name}` : 'complete'}</span>`;
  return html`<header class="page-head">
    <p class="kicker">AuxSeg run ${status}</p>
    <h1>${title}</h1>
    <p class="facts">${facts.join(' · ')}</p>
    <p class="lede">${lede(run)}</p>
    ${cards(run)}
    ${classes.length > 0 && html`<p class="chips">${classes.map((name, index) => classChip(name, index + 1))}<span class="chip"><i class="ignore"></i>ignored</span></p>`}
  </header>`;
}

const NUMBER_WORDS = ['No', 'One', 'Two', 'Three', 'Four', 'Five', 'Six', 'Seven', 'Eight', 'Nine'];

/** What came out, in words. */
function lede(run: RunData): string {
  const labels = run.summary?.pseudoLabels ?? [];
  const validation = lastValidation(run.summary);
  const sentences: string[] = [];
  if (labels.length > 1) {
    const [first, last] = [labels[0], labels[labels.length - 1]];
    const verb = last.meanIoU >= first.meanIoU ? 'raised' : 'lowered';
    const rounds = last.stage - first.stage;
    sentences.push(
      `${NUMBER_WORDS[rounds] ?? rounds} ${rounds === 1 ? 'round' : 'rounds'} of training and relabelling ${verb} the pseudo labels from ${percent(first.meanIoU)} to ${percent(last.meanIoU)} mIoU.`,
    );
  }
  if (validation) {
    sentences.push(`The network reaches ${percent(validation.score.meanIoU)} mIoU on the validation images.`);
  }
  return sentences.join(' ') || 'The run has no results yet; what it has done so far is below.';
}

function cards(run: RunData): Html | null {
  const labels = run.summary?.pseudoLabels ?? [];
  const validation = lastValidation(run.summary);
  const comparison = run.summary?.comparisons?.at(-1);
  const list: Html[] = [];
  if (validation) {
    list.push(
      card(
        'Validation mIoU',
        percent(validation.score.meanIoU),
        `${headName(validation.head)}, stage ${validation.stage}`,
      ),
    );
  }
  if (labels.length > 0) {
    const [first, last] = [labels[0], labels[labels.length - 1]];
    const change =
      labels.length > 1
        ? `${points(last.meanIoU - first.meanIoU)} points since stage ${first.stage}`
        : `stage ${last.stage}`;
    list.push(card('Pseudo-label mIoU', percent(last.meanIoU), change));
    list.push(
      card(
        'Precision / recall',
        `${percent(last.precision)} / ${percent(last.recall)}`,
        `pseudo labels, stage ${last.stage}`,
      ),
    );
  }
  if (comparison) {
    list.push(
      card(
        'Difference in points',
        points(comparison.difference),
        `${comparison.name}; ${percent(comparison.level ?? 0.95).replace('.0', '')}% interval ${points(comparison.low)} to ${points(comparison.high)}`,
      ),
    );
  }
  return list.length > 0 ? html`<div class="cards">${list}</div>` : null;
}

function card(name: string, value: string, note: string): Html {
  return html`<div class="card figure"><span>${name}</span><strong>${value}</strong><small>${note}</small></div>`;
}
