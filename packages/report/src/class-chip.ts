import { vocPalette } from '@auxseg/formats';
import { type Html, html } from './html.js';

/** CSS colour of a label value in VOC's palette. */
export function labelColour(value: number): string {
  const palette = vocPalette();
  return `rgb(${palette[3 * value]},${palette[3 * value + 1]},${palette[3 * value + 2]})`;
}

/** A class name with its colour. `value` is the label value (0 = background). */
export function classChip(name: string, value: number): Html {
  return html`<span class="chip"><i style="background:${labelColour(value)}"></i>${name}</span>`;
}
