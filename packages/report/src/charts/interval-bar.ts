import { type Html, html } from '../html.js';

const WIDTH = 260;
const HEIGHT = 26;
const MARGIN = 8;

/** Draws a difference with its interval on a scale of `limit` to both sides of a zero line. */
export function intervalBar(options: { difference: number; low: number; high: number; limit: number }): Html {
  const { difference, low, high, limit } = options;
  const x = (value: number) => Number((WIDTH / 2 + (value / limit) * (WIDTH / 2 - MARGIN)).toFixed(1));
  const middle = HEIGHT / 2;
  return html`<svg class="interval" viewBox="0 0 ${WIDTH} ${HEIGHT}" aria-hidden="true">
    <line class="zero" x1="${x(0)}" x2="${x(0)}" y1="0" y2="${HEIGHT}"/>
    <line class="range" x1="${x(low)}" x2="${x(high)}" y1="${middle}" y2="${middle}"/>
    <line class="cap" x1="${x(low)}" x2="${x(low)}" y1="${middle - 5}" y2="${middle + 5}"/>
    <line class="cap" x1="${x(high)}" x2="${x(high)}" y1="${middle - 5}" y2="${middle + 5}"/>
    <circle cx="${x(difference)}" cy="${middle}" r="5"/></svg>`;
}
