import { html, trusted } from './html.js';
import { PAGE_SCRIPT } from './page-script.js';
import { PAGE_STYLE } from './page-style.js';
import type { RunData } from './run-data.js';
import { classSection } from './sections/classes.js';
import { headline } from './sections/headline.js';
import { pictureSection } from './sections/pictures.js';
import { provenanceSection } from './sections/provenance.js';
import { pseudoLabelSection } from './sections/pseudo-labels.js';
import { trainingSection } from './sections/training.js';
import { validationSection } from './sections/validation.js';

/**
 * Renders a run as one HTML page that needs no other file and no network; equal data give equal bytes.
 *
 * What the run does not hold is left out with a sentence.
 */
export function renderReport(run: RunData, options: { title?: string } = {}): string {
  const title = options.title ?? run.state?.name ?? run.folder;
  const links: [string, string][] = [
    ['pseudo-labels', 'Pseudo labels'],
    ['validation', 'Validation'],
    ['classes', 'Classes'],
    ['pictures', 'Pictures'],
    ['training', 'Training'],
    ['provenance', 'How it was made'],
  ];
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="@auxseg/report">
<title>${title}</title>
<style>${trusted(PAGE_STYLE)}</style>
</head>
<body>
<nav class="topbar"><div class="bar-inner">${links.map(([id, name]) => html`<a href="#${id}">${name}</a>`)}<button id="theme" type="button" hidden>dark</button></div></nav>
<main>
${headline(run, title)}
${pseudoLabelSection(run.summary)}
${validationSection(run.summary)}
${classSection(run.summary)}
${pictureSection(run)}
${trainingSection(run)}
${provenanceSection(run)}
<footer>Made by AuxSeg: weakly supervised semantic segmentation with cross-task affinity, after Xu et al., ICCV 2021.</footer>
</main>
<dialog aria-label="Enlarged picture"><img alt=""><p></p></dialog>
<script>${trusted(PAGE_SCRIPT)}</script>
</body>
</html>
`.markup;
}
