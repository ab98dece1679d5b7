import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { type Html, trusted } from '../html.js';

/** Draws a plot without a browser; colours may be CSS variables of the page. */
export function plotSvg(options: Plot.PlotOptions, label: string): Html {
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const svg = Plot.plot({
    ...options,
    document: document as unknown as Document,
    className: 'plot',
    ariaLabel: label,
    style: { background: 'transparent', color: 'currentColor', overflow: 'visible' },
  });
  svg.removeAttribute('width');
  svg.removeAttribute('height');
  svg.setAttribute('role', 'img');
  // The page styles all plots at once.
  svg.querySelector('style')?.remove();
  return trusted(svg.outerHTML);
}
