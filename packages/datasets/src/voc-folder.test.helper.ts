import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeIndexedPng } from '@auxseg/formats';
import sharp from 'sharp';
import { createRandom } from './random.js';

/** Writes a small VOC folder for the tests: `ids` with random pixels and masks holding the given values. */
export async function writeVocFolder(
  root: string,
  samples: { id: string; width: number; height: number; values: number[] }[],
): Promise<void> {
  for (const dir of ['JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation', 'Annotations'])
    mkdirSync(join(root, dir), { recursive: true });
  for (const { id, width, height, values } of samples) {
    const random = createRandom('voc-folder', id);
    const pixels = Buffer.alloc(width * height * 3);
    for (let i = 0; i < pixels.length; i++) pixels[i] = random.integer(256);
    writeFileSync(
      join(root, 'JPEGImages', `${id}.jpg`),
      await sharp(pixels, { raw: { width, height, channels: 3 } })
        .jpeg()
        .toBuffer(),
    );
    const data = Uint8Array.from({ length: width * height }, (_, i) => values[i % values.length]);
    writeFileSync(join(root, 'SegmentationClass', `${id}.png`), writeIndexedPng({ width, height, data }));
  }
  writeFileSync(join(root, 'ImageSets/Segmentation/train.txt'), samples.map((s) => s.id).join('\n'));
}

/** The XML of one VOC annotation. */
export function vocXml(...names: string[]): string {
  const objects = names.map(
    (name) => `<object><name>${name}</name><difficult>1</difficult><part><name>head</name></part></object>`,
  );
  return `<annotation><folder>VOC2012</folder><!-- <object><name>bus</name></object> -->${objects.join('\n')}</annotation>`;
}
