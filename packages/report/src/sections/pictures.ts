import { classChip } from '../class-chip.js';
import { type Html, html } from '../html.js';
import type { PictureKind, PictureStrip, RunData } from '../run-data.js';
import { missing, section } from './section.js';

const GROUPS: readonly { title: string; kinds: readonly PictureKind[] }[] = [
  { title: 'image', kinds: ['photo', 'truth'] },
  { title: 'class activation', kinds: ['cam'] },
  { title: 'saliency', kinds: ['saliency'] },
  { title: 'pseudo labels', kinds: ['label'] },
  { title: 'result', kinds: ['prediction'] },
  { title: 'affinity', kinds: ['affinity'] },
];

/** The strips of pictures, each image's in the order of the method, embedded in the page. */
export function pictureSection(run: RunData): Html {
  const { pictures, pictureCount, summary, state } = run;
  const classes = summary?.classes ?? state?.classes ?? [];
  const body =
    pictures.length === 0
      ? missing('There are no pictures in this run directory.')
      : [
          pictures.map((strip) => picturesOf(strip, run, classes)),
          pictures.length < pictureCount &&
            missing(`${pictureCount - pictures.length} more images are in the folder pictures.`),
        ];
  return section({
    id: 'pictures',
    title: 'Pictures',
    note:
      pictures.length > 0 &&
      'Click a picture to enlarge it; the arrow keys then flip through the pictures of one image in place.',
    body,
  });
}

function picturesOf(strip: PictureStrip, run: RunData, classes: readonly string[]): Html {
  const groups = GROUPS.map(({ title, kinds }) => ({
    title,
    items: strip.items
      .filter(({ kind }) => kinds.includes(kind))
      .sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind)),
  })).filter(({ items }) => items.length > 0);
  return html`<article class="card strip"><h3>${strip.id} ${strip.labels.map((name) => {
    const index = classes.indexOf(name);
    return index >= 0 ? classChip(name, index + 1) : html`<span class="chip">${name}</span>`;
  })}</h3><div class="groups">${groups.map(
    ({ title, items }) =>
      html`<div class="group"><h4>${title}</h4><div class="row">${items.map((item) => {
        const bytes = run.pictureFiles.get(item.file);
        return html`<figure class="picture">${
          bytes
            ? html`<img decoding="async" ${sizeOf(bytes)} alt="${`${strip.id}: ${item.title}`}" src="${dataUri(bytes)}">`
            : html`<p class="missing">${item.file} is missing.</p>`
        }<figcaption>${item.title}</figcaption></figure>`;
      })}</div></div>`,
  )}</div></article>`;
}

/** Offset of width and height in a PNG: after the signature, the first chunk's length and its name. */
const PNG_SIZE_OFFSET = 16;

/** Width and height attributes, so that nothing moves while the page loads. */
function sizeOf(bytes: Uint8Array): Html | null {
  if (bytes.byteLength < PNG_SIZE_OFFSET + 8) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return html`width="${view.getUint32(PNG_SIZE_OFFSET)}" height="${view.getUint32(PNG_SIZE_OFFSET + 4)}"`;
}

function dataUri(bytes: Uint8Array): string {
  return `data:image/png;base64,${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')}`;
}
