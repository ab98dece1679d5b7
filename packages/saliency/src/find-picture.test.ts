import { describe, expect, test } from '@jest/globals';
import { defaultDetectorParameters } from './detector-parameters.js';
import { findPicture } from './find-picture.js';

const parameters = defaultDetectorParameters.frame;

function textured(width: number, height: number) {
  const data = new Uint8Array(3 * width * height);
  for (let i = 0; i < data.length; i++) data[i] = (i * 7919 + ((i * i) % 251)) % 256;
  return { width, height, data };
}

function fill(
  image: { width: number; data: Uint8Array },
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  colour: number[],
) {
  for (let y = y0; y < y1; y++)
    for (let x = x0; x < x1; x++) image.data.set(colour, 3 * (y * image.width + x));
}

describe('findPicture', () => {
  test('no frame: the whole image', () => {
    expect(findPicture(textured(80, 60), parameters)).toEqual({ x: 0, y: 0, width: 80, height: 60 });
  });

  test('black bars above and below are cut with two pixels to spare', () => {
    const image = textured(80, 60);
    fill(image, 0, 0, 80, 6, [3, 2, 4]);
    fill(image, 0, 53, 80, 60, [0, 0, 0]);
    expect(findPicture(image, parameters)).toEqual({ x: 0, y: 8, width: 80, height: 60 - 8 - 9 });
  });

  test('a drawn border all round is cut on all sides', () => {
    const image = textured(80, 60);
    fill(image, 0, 0, 80, 3, [255, 255, 255]);
    fill(image, 0, 57, 80, 60, [255, 255, 255]);
    fill(image, 0, 0, 4, 60, [255, 255, 255]);
    fill(image, 76, 0, 80, 60, [255, 255, 255]);
    expect(findPicture(image, parameters)).toEqual({ x: 6, y: 5, width: 68, height: 50 });
  });

  test('one plain side, sides of different colours, thin lines and wide plains are no frames', () => {
    const whole = { x: 0, y: 0, width: 80, height: 60 };
    const sky = textured(80, 60);
    fill(sky, 0, 0, 80, 6, [100, 150, 255]);
    expect(findPicture(sky, parameters)).toEqual(whole);
    const skyAndSea = textured(80, 60);
    fill(skyAndSea, 0, 0, 80, 6, [100, 150, 255]);
    fill(skyAndSea, 0, 54, 80, 60, [20, 50, 90]);
    expect(findPicture(skyAndSea, parameters)).toEqual(whole);
    const line = textured(80, 60);
    fill(line, 0, 0, 80, 1, [0, 0, 0]);
    fill(line, 0, 59, 80, 60, [0, 0, 0]);
    expect(findPicture(line, parameters)).toEqual(whole);
    const studio = textured(80, 60);
    fill(studio, 0, 0, 80, 12, [255, 255, 255]);
    fill(studio, 0, 48, 80, 60, [255, 255, 255]);
    expect(findPicture(studio, parameters)).toEqual(whole);
  });

  test('plain and tiny images stay whole', () => {
    for (const [width, height] of [
      [1, 1],
      [2, 2],
      [1, 50],
      [50, 40],
    ]) {
      const data = new Uint8Array(3 * width * height).fill(9);
      expect(findPicture({ width, height, data }, parameters)).toEqual({ x: 0, y: 0, width, height });
    }
  });
});
