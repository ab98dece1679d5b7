import { type Html, type HtmlValue, html } from '../html.js';

/** A section of the page; the note under the heading says what is seen. */
export function section(options: { id: string; title: string; note?: HtmlValue; body: HtmlValue }): Html {
  const { id, title, note, body } = options;
  return html`<section id="${id}"><h2>${title}</h2>${note ? html`<p class="note">${note}</p>` : null}${body}</section>`;
}

/** What stands in place of something the run directory does not hold. */
export function missing(sentence: string): Html {
  return html`<p class="missing">${sentence}</p>`;
}
