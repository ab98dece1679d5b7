import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readNpz } from '@auxseg/formats';
import { afterAll, describe, expect, test } from '@jest/globals';
import sharp, { type Raw, type Sharp } from 'sharp';
import { createLoader } from './create-loader.js';
import { openFolderDataset } from './open-folder-dataset.js';
import { createRandom } from './random.js';
import { readImage, readImageSize } from './read-image.js';

const fixtures = join(import.meta.dirname, 'fixtures');
const folder = mkdtempSync(join(tmpdir(), 'auxseg-read-image-'));
afterAll(() => rmSync(folder, { recursive: true }));

function noise(width: number, height: number, channels: 1 | 3 | 4): { data: Buffer; raw: Raw } {
  const random = createRandom(width, height, channels);
  const data = Buffer.alloc(width * height * channels);
  for (let i = 0; i < data.length; i++) data[i] = random.integer(256);
  return { data, raw: { width, height, channels } };
}

const flat = (r: number, g: number, b: number, width = 24, height = 16): Sharp =>
  sharp({ create: { width, height, channels: 3, background: { r, g, b } } });

describe('readImage', () => {
  test.each(['420', '444'])('decodes a %s JPEG as OpenCV does', async (name) => {
    const image = await readImage(join(fixtures, `photo-${name}.jpg`));
    const expected = readNpz(readFileSync(join(fixtures, 'decoded.npz'))).get(`photo${name}`);
    expect([image.height, image.width, 3]).toEqual(expected?.shape);
    const data = expected?.data as Uint8Array;
    let worst = 0;
    for (let i = 0; i < data.length; i++) worst = Math.max(worst, Math.abs(image.data[i] - data[i]));
    expect(worst).toBeLessThanOrEqual(1);
  });

  test('lossless RGB comes back byte for byte, from PNG and WebP, from a path and from bytes', async () => {
    const { data, raw } = noise(31, 17, 3);
    const png = await sharp(data, { raw }).png().toBuffer();
    const webp = await sharp(data, { raw }).webp({ lossless: true }).toBuffer();
    writeFileSync(join(folder, 'a.png'), png);
    for (const input of [png, webp, join(folder, 'a.png')]) {
      const image = await readImage(input);
      expect([image.width, image.height]).toEqual([31, 17]);
      expect(Buffer.from(image.data).equals(data)).toBe(true);
    }
  });

  test('grey is repeated over three channels, alpha is dropped, 16 bits become 8', async () => {
    const grey = noise(9, 5, 1);
    const fromGrey = await readImage(
      await sharp(grey.data, { raw: grey.raw }).toColourspace('b-w').png().toBuffer(),
    );
    for (let i = 0; i < grey.data.length; i++) {
      expect(Array.from(fromGrey.data.subarray(i * 3, i * 3 + 3))).toEqual([
        grey.data[i],
        grey.data[i],
        grey.data[i],
      ]);
    }
    const rgba = noise(6, 4, 4);
    const fromRgba = await readImage(await sharp(rgba.data, { raw: rgba.raw }).png().toBuffer());
    for (let i = 0; i < 24; i++)
      expect(Array.from(fromRgba.data.subarray(i * 3, i * 3 + 3))).toEqual([
        ...rgba.data.subarray(i * 4, i * 4 + 3),
      ]);
    const deep = await flat(200, 100, 50).toColourspace('rgb16').png().toBuffer();
    expect((await sharp(deep).metadata()).depth).toBe('ushort');
    expect(Array.from((await readImage(deep)).data.subarray(0, 3))).toEqual([200, 100, 50]);
    const deepGrey = await flat(90, 90, 90).toColourspace('grey16').png().toBuffer();
    expect(Array.from((await readImage(deepGrey)).data.subarray(0, 3))).toEqual([90, 90, 90]);
  });

  test('CMYK goes through its profile', async () => {
    const cmyk = await flat(180, 130, 95).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
    expect((await sharp(cmyk).metadata()).space).toBe('cmyk');
    const { data } = await readImage(cmyk);
    for (const [c, v] of [180, 130, 95].entries()) expect(Math.abs(data[c] - v)).toBeLessThan(30);
  });

  test('EXIF orientation is applied', async () => {
    const { data, raw } = noise(8, 5, 3);
    const turned = await sharp(data, { raw }).withMetadata({ orientation: 6 }).png().toBuffer();
    const image = await readImage(turned);
    expect([image.width, image.height]).toEqual([5, 8]);
    // Orientation 6: the stored left edge is the top, read from the bottom up.
    expect(Array.from(image.data.subarray(0, 3))).toEqual([...data.subarray(4 * 8 * 3, 4 * 8 * 3 + 3)]);
    writeFileSync(join(folder, 'turned.png'), turned);
    expect(await readImageSize(join(folder, 'turned.png'))).toEqual({ width: 5, height: 8 });
  });

  test('one pixel and a panorama', async () => {
    expect(await readImage(await flat(1, 2, 3, 1, 1).png().toBuffer())).toMatchObject({
      width: 1,
      height: 1,
    });
    expect(await readImage(await flat(1, 2, 3, 9000, 20).jpeg().toBuffer())).toMatchObject({
      width: 9000,
      height: 20,
    });
    const wide = await flat(1, 2, 3, 3000, 40).png().toBuffer();
    await expect(readImage(wide, { maxPixels: 1000 })).rejects.toThrow(
      /more than 1000 pixels.*raise maxPixels/,
    );
  });

  test('a JPEG cut at any place is an error that names the file and the remedy', async () => {
    const jpeg = readFileSync(join(fixtures, 'photo-420.jpg'));
    const progressive = await sharp(jpeg).jpeg({ progressive: true }).toBuffer();
    for (const whole of [jpeg, progressive]) {
      expect((await readImage(whole)).width).toBe(67);
      for (const part of [0.02, 0.3, 0.5, 0.71, 0.9, 0.99]) {
        await expect(readImage(whole.subarray(0, Math.floor(whole.length * part)))).rejects.toMatchObject({
          code: 'unreadable-image',
        });
      }
    }
    writeFileSync(join(folder, 'cut.jpg'), jpeg.subarray(0, 1500));
    await expect(readImage(join(folder, 'cut.jpg'))).rejects.toThrow(/cut\.jpg.*truncated.*again/);
    // Bytes behind the end marker are common (cameras pad with zeros) and harmless.
    expect((await readImage(Buffer.concat([jpeg, Buffer.alloc(100)]))).width).toBe(67);
  });

  test('a JPEG whose data run out before its end marker is an error, a wrong header of a whole picture is not', async () => {
    const jpeg = readFileSync(join(fixtures, 'photo-444.jpg'));
    const cut = Buffer.concat([jpeg.subarray(0, Math.floor((2 * jpeg.length) / 3)), jpeg.subarray(-2)]);
    await expect(readImage(cut)).rejects.toThrow(/premature end.*again/);
    // What follows the components in the start-of-scan header: 0, 63, 0 where all is right.
    const samsung = Buffer.from(jpeg);
    const scan = jpeg.indexOf(Buffer.from([0xff, 0xda]));
    const spectralEnd = scan + 2 + jpeg.readUInt16BE(scan + 2) - 2;
    expect(samsung[spectralEnd]).toBe(63);
    samsung[spectralEnd] = 0;
    expect(await readImage(samsung)).toEqual(await readImage(jpeg));
  });

  test('a truncated JPEG is found out even when it carries a whole thumbnail', async () => {
    const thumbnail = readFileSync(join(fixtures, 'photo-444.jpg'));
    const jpeg = readFileSync(join(fixtures, 'photo-420.jpg'));
    const segment = Buffer.concat([
      Buffer.from([0xff, 0xe2, (thumbnail.length + 2) >> 8, (thumbnail.length + 2) & 255]),
      thumbnail,
    ]);
    const whole = Buffer.concat([jpeg.subarray(0, 2), segment, jpeg.subarray(2)]);
    expect((await readImage(whole)).width).toBe(67);
    await expect(readImage(whole.subarray(0, whole.length - 200))).rejects.toMatchObject({
      code: 'unreadable-image',
    });
  });

  test('truncated PNG and WebP, other content, an empty and a missing file are errors', async () => {
    const { data, raw } = noise(64, 64, 3);
    const png = await sharp(data, { raw }).png().toBuffer();
    const webp = await sharp(data, { raw }).webp().toBuffer();
    await expect(readImage(png.subarray(0, png.length - 3000))).rejects.toMatchObject({
      code: 'unreadable-image',
    });
    await expect(readImage(webp.subarray(0, webp.length - 300))).rejects.toMatchObject({
      code: 'unreadable-image',
    });
    await expect(readImage(Buffer.from('<html>404</html>'))).rejects.toThrow(
      /no known image format.*web page/,
    );
    await expect(readImage(new Uint8Array(0))).rejects.toThrow(/empty/);
    await expect(readImage(join(folder, 'none.jpg'))).rejects.toThrow(/Expected a file at .*none\.jpg/);
  });
});

test('photographs of every kind give the same batches for any number of workers', async () => {
  const root = join(folder, 'kinds');
  mkdirSync(root);
  const colour = noise(40, 30, 3);
  const raw = (image: { data: Buffer; raw: Raw }) => sharp(image.data, { raw: image.raw });
  const kinds: Record<string, Promise<Buffer>> = {
    'a-grey.jpg': raw(noise(40, 30, 1))
      .toColourspace('b-w')
      .jpeg()
      .toBuffer(),
    'b-cmyk.jpg': raw(colour).toColourspace('cmyk').jpeg().toBuffer(),
    'c-deep.png': raw(colour).toColourspace('rgb16').png().toBuffer(),
    'd-turned.jpg': raw(colour).withMetadata({ orientation: 8 }).jpeg().toBuffer(),
    'e-alpha.webp': raw(noise(20, 50, 4))
      .webp()
      .toBuffer(),
    'f-pixel.png': flat(9, 8, 7, 1, 1).png().toBuffer(),
    'g-panorama.jpg': flat(90, 80, 70, 3000, 12).jpeg().toBuffer(),
    'h-progressive.jpg': raw(colour).jpeg({ progressive: true }).toBuffer(),
  };
  for (const [name, bytes] of Object.entries(kinds)) writeFileSync(join(root, name), await bytes);
  const rows = Object.keys(kinds).map((name) => `${name},x`);
  writeFileSync(join(root, 'labels.csv'), `file,labels\n${rows.join('\n')}\n`);
  const dataset = await openFolderDataset({ root });
  const batches = async (workers: number) => {
    const transform = { flip: true, scale: { min: 0.7, max: 1.3 }, crop: 33 };
    const loader = createLoader({ dataset, transform, batchSize: 3, seed: 5, workers });
    const hash = createHash('sha256');
    for await (const { ids, images } of loader.epoch(1))
      hash.update(ids.join()).update(new Uint8Array(images.buffer, images.byteOffset, images.byteLength));
    await loader.close();
    return hash.digest('hex');
  };
  const alone = await batches(0);
  for (const workers of [1, 3]) expect(await batches(workers)).toBe(alone);
});
