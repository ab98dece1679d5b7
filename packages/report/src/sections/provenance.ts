import { type Html, html } from '../html.js';
import type { RunData } from '../run-data.js';
import { missing, section } from './section.js';

/** The resolved recipe and what is needed to repeat the run. */
export function provenanceSection(run: RunData): Html {
  const times = run.log.map(({ time }) => time).filter((time): time is string => Boolean(time));
  const facts: [string, string][] = [
    ['run directory', run.folder],
    ['name', run.state?.name ?? '–'],
    ['backend', run.state?.backend ?? '–'],
    ['first training step', times[0] ?? '–'],
    ['last training step', times[times.length - 1] ?? '–'],
    ['logged steps', String(run.log.length)],
  ];
  return section({
    id: 'provenance',
    title: 'How it was made',
    body: [
      html`<dl class="facts-list">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`,
      run.config === null
        ? missing('config.yaml is missing, so the run cannot be repeated from this page.')
        : html`<details><summary>config.yaml, the resolved recipe</summary><pre>${run.config}</pre></details>`,
    ],
  });
}
