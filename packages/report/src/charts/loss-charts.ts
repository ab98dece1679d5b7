import * as Plot from '@observablehq/plot';
import { type Html, html } from '../html.js';
import type { LogEntry } from '../run-data.js';
import { lossName, phaseName } from '../wording.js';
import { plotSvg } from './plot-svg.js';
import { SERIES_COLOURS } from './series-colours.js';

/** Points per phase and chart; the means of equal stretches of steps stand for more. */
const MAX_POINTS = 160;
/** Drawn points to both sides that the smooth line averages over. */
const SMOOTHING_REACH = 6;
const ORDER = [
  'total',
  'classification',
  'saliencyInitial',
  'saliencyRefined',
  'segmentationInitial',
  'segmentationRefined',
];

interface Phase {
  name: string;
  colour: string;
  /** Steps of the phases before it. */
  offset: number;
  entries: LogEntry[];
}

/** One small chart per loss, all phases after each other, raw values faint behind a smooth line; and the learning rate. */
export function lossCharts(log: readonly LogEntry[]): Html {
  const phases = splitPhases(log);
  const present = new Set(log.flatMap(({ losses }) => Object.keys(losses)));
  const names = [
    ...ORDER.filter((name) => present.has(name)),
    ...[...present].filter((name) => !ORDER.includes(name)),
  ];
  // A total of one part is that part.
  const shown = names.length === 2 && names[0] === 'total' ? [names[0]] : names;
  const charts = shown.map((name) => chart(lossName(name), phases, ({ losses }) => losses[name]));
  if (log.some(({ lr }) => lr !== undefined))
    charts.push(chart('Learning rate', phases, ({ lr }) => lr, false));
  return html`<ul class="legend">${phases.map(
    ({ name, colour }) => html`<li><span class="line" style="color:${colour}"></span>${phaseName(name)}</li>`,
  )}</ul><div class="small-charts">${charts}</div>`;
}

function splitPhases(log: readonly LogEntry[]): Phase[] {
  const phases: Phase[] = [];
  for (const entry of log) {
    let phase = phases.find(({ name }) => name === entry.phase);
    if (!phase) {
      phase = {
        name: entry.phase,
        colour: SERIES_COLOURS[phases.length % SERIES_COLOURS.length],
        offset: 0,
        entries: [],
      };
      phases.push(phase);
    }
    phase.entries.push(entry);
  }
  let offset = 0;
  for (const phase of phases) {
    phase.offset = offset;
    phase.entries.sort((a, b) => a.step - b.step);
    offset += phase.entries[phase.entries.length - 1].step;
  }
  return phases;
}

function chart(
  title: string,
  phases: readonly Phase[],
  measure: (entry: LogEntry) => number | undefined,
  smooth = true,
): Html {
  const marks: Plot.Markish[] = [
    Plot.gridY({ strokeOpacity: 0.12 }),
    Plot.ruleX(
      phases.slice(1).map(({ offset }) => offset),
      { stroke: 'currentColor', strokeOpacity: 0.18 },
    ),
  ];
  const total = Math.max(...phases.map(({ offset, entries }) => offset + entries[entries.length - 1].step));
  for (const { colour, offset, entries } of phases) {
    const raw = thin(entries, measure).map(({ step, value }) => ({ step: offset + step, value }));
    if (raw.length === 0) continue;
    const smoothed = raw.map(({ step }, index) => {
      // The same reach on both sides, so that the line neither lags nor leans at its ends.
      const reach = Math.min(SMOOTHING_REACH, index, raw.length - 1 - index);
      const window = raw.slice(index - reach, index + reach + 1);
      return { step, value: window.reduce((sum, { value }) => sum + value, 0) / window.length };
    });
    const channels = { x: 'step', y: 'value', stroke: colour };
    if (smooth) marks.push(Plot.line(raw, { ...channels, strokeWidth: 1, strokeOpacity: 0.28 }));
    marks.push(Plot.line(smooth ? smoothed : raw, { ...channels, strokeWidth: 2 }));
  }
  const svg = plotSvg(
    {
      width: 380,
      height: 200,
      marginLeft: 44,
      marginRight: 10,
      marginTop: 10,
      marginBottom: 38,
      x: {
        label: 'step',
        labelAnchor: 'center',
        labelArrow: 'none',
        domain: [0, total],
        ticks: 4,
        tickSize: 0,
        tickFormat: (step: number) => (step < 1000 ? `${step}` : `${step / 1000}k`),
      },
      y: {
        label: null,
        ticks: 4,
        tickSize: 0,
        zero: true,
        nice: true,
        tickFormat: smooth ? undefined : '.1~e',
      },
      marks,
    },
    `${title} by step`,
  );
  return html`<figure class="chart small"><figcaption>${title}</figcaption>${svg}</figure>`;
}

/** The finite values of a phase as at most MAX_POINTS points. */
function thin(
  entries: readonly LogEntry[],
  measure: (entry: LogEntry) => number | undefined,
): { step: number; value: number }[] {
  const points = entries
    .map((entry) => ({ step: entry.step, value: measure(entry) }))
    .filter((point): point is { step: number; value: number } => Number.isFinite(point.value));
  const stretch = Math.ceil(points.length / MAX_POINTS);
  const thinned: { step: number; value: number }[] = [];
  for (let start = 0; start < points.length; start += stretch) {
    const group = points.slice(start, start + stretch);
    const sum = group.reduce((total, { value }) => total + value, 0);
    thinned.push({ step: group[group.length - 1].step, value: sum / group.length });
  }
  return thinned;
}
