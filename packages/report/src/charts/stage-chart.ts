import * as Plot from '@observablehq/plot';
import { type Html, html } from '../html.js';
import { percent } from '../wording.js';
import { plotSvg } from './plot-svg.js';
import { SERIES_COLOURS } from './series-colours.js';

export interface StageSeries {
  name: string;
  /** Fractions 0..1 by stage. */
  values: readonly { stage: number; value: number }[];
}

/** Lines over stages with a legend that says the last values; `levels` are dashed horizontals to compare with. */
export function stageChart(options: {
  label: string;
  series: readonly StageSeries[];
  levels?: readonly { name: string; value: number }[];
}): Html {
  const { label, levels = [] } = options;
  const series = options.series.filter(({ values }) => values.length > 0);
  const colourOf = (index: number) => SERIES_COLOURS[index % SERIES_COLOURS.length];
  const stages = [...new Set(series.flatMap(({ values }) => values.map(({ stage }) => stage)))].sort(
    (a, b) => a - b,
  );
  const shown = [
    ...series.flatMap(({ values }) => values.map(({ value }) => value)),
    ...levels.map(({ value }) => value),
  ];
  const [low, high] = [Math.min(...shown) * 100, Math.max(...shown) * 100];
  const margin = Math.max(2, (high - low) * 0.12);
  const marks: Plot.Markish[] = [
    Plot.gridY({ strokeOpacity: 0.12 }),
    ...levels.map(({ name, value }, index) =>
      Plot.ruleY([100 * value], {
        stroke: colourOf(series.length + index),
        strokeDasharray: '5 4',
        strokeWidth: 1.5,
        title: () => `${name}: ${percent(value)}`,
      }),
    ),
    ...series.flatMap(({ name, values }, index) => {
      const data = values.map(({ stage, value }) => ({
        stage,
        value: 100 * value,
        title: `${name}, stage ${stage}: ${percent(value)}`,
      }));
      const channels = { x: 'stage', y: 'value' };
      return [
        Plot.line(data, { ...channels, stroke: colourOf(index), strokeWidth: 2.25 }),
        Plot.dot(data, {
          ...channels,
          fill: colourOf(index),
          stroke: 'var(--card)',
          strokeWidth: 1.5,
          r: 4.5,
          title: 'title',
        }),
      ];
    }),
  ];
  const svg = plotSvg(
    {
      width: 560,
      height: 290,
      marginLeft: 36,
      marginRight: 16,
      marginBottom: 40,
      x: {
        label: 'stage',
        labelAnchor: 'center',
        labelArrow: 'none',
        ticks: stages,
        tickFormat: 'd',
        inset: 18,
        tickSize: 0,
      },
      y: {
        label: 'percent',
        labelArrow: 'none',
        domain: [Math.max(0, low - margin), Math.min(100, high + margin)],
        ticks: 5,
        tickSize: 0,
      },
      marks,
    },
    label,
  );
  const entries = [
    ...series.map(({ name, values }) => ({ name, last: values[values.length - 1].value, dashed: false })),
    ...levels.map(({ name, value }) => ({ name, last: value, dashed: true })),
  ];
  return html`<figure class="chart">
    <ul class="legend">${entries.map(
      ({ name, last, dashed }, index) =>
        html`<li><span class="line${dashed ? ' dashed' : ''}" style="color:${colourOf(index)}"></span>${name} <b>${percent(last)}</b></li>`,
    )}</ul>${svg}</figure>`;
}
