/**
 * The colours of PASCAL VOC for label values 0..255, [256 * 3] bytes RGB.
 *
 * Source: VOCdevkit's VOClabelcolormap: the bits of the label, three at a time, fill the channels from the top.
 * 0 is black, 1 (aeroplane) dark red, 255 the cream of VOC's borders. The caller owns the returned array.
 */
export function vocPalette(): Uint8Array {
  const palette = new Uint8Array(256 * 3);
  for (let label = 0; label < 256; label++) {
    for (let bit = 0; bit < 8; bit++) {
      for (let channel = 0; channel < 3; channel++) {
        const value = (label >> (3 * bit + channel)) & 1;
        palette[3 * label + channel] |= value << (7 - bit);
      }
    }
  }
  return palette;
}
