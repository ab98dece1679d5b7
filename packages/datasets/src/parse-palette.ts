import { vocPalette } from '@auxseg/formats';
import { DatasetError } from './dataset-error.js';

const IGNORED = 255;

/**
 * Parses the colours that masks were painted with, one on each line in class order from background on: `0 128 0`, `0,128,0`, `#008000`, each with a
 * name before it or not (`rust:0,128,0::`, as CVAT's labelmap.txt has them). Lines of another kind that start with # are comments.
 *
 * Returns [256*3]; entries that are not given repeat the background, and 255 keeps VOC's ignore colour.
 * @throws DatasetError 'bad-option' for a line without a colour, no colours at all or more than 255.
 */
export function parsePalette(text: string, where: string): Uint8Array {
  const colors: number[][] = [];
  text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .forEach((line, i) => {
      const hex = /#([0-9a-f]{6})\b/i.exec(line);
      if (hex) {
        const value = Number.parseInt(hex[1], 16);
        colors.push([value >> 16, (value >> 8) & 255, value & 255]);
        return;
      }
      if (line.trim() === '' || line.trim().startsWith('#')) return;
      const rgb = /(?:^|[\s:])(\d{1,3})\s*[\s,]\s*(\d{1,3})\s*[\s,]\s*(\d{1,3})(?:$|[\s:])/.exec(line);
      const color = rgb?.slice(1).map(Number);
      if (!color || color.some((v) => v > 255)) {
        throw new DatasetError(
          'bad-option',
          `Expected a colour such as "0 128 0" or "#008000" in line ${i + 1} of ${where}, found "${line.trim().slice(0, 80)}". One colour on each line, background first.`,
          { file: where, line: i + 1 },
        );
      }
      colors.push(color);
    });
  if (colors.length === 0 || colors.length > IGNORED) {
    throw new DatasetError(
      'bad-option',
      `Expected 1 to 255 colours in ${where}, found ${colors.length}. One on each line, background first.`,
      { file: where, colors: colors.length },
    );
  }
  const palette = new Uint8Array(256 * 3);
  // What is not given repeats the background, whose first entry wins every look-up.
  for (let i = 0; i < 256; i++) palette.set(colors[i] ?? colors[0], i * 3);
  palette.set(vocPalette().subarray(IGNORED * 3), IGNORED * 3);
  return palette;
}
