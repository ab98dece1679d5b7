import { ReportError } from '../report-error.js';

/** Throws unless `data` holds `channels` values for each pixel of a picture of at least one pixel. */
export function checkImage(
  what: string,
  image: { width: number; height: number; data: ArrayLike<number> },
  channels: number,
): void {
  const { width, height, data } = image;
  if (width >= 1 && height >= 1 && data.length === width * height * channels) return;
  throw new ReportError(
    'BAD_IMAGE',
    `Expected ${width * height * channels} values for ${what} of ${width}x${height} with ${channels} channel(s), came ${data.length}; does the array belong to this picture?`,
    { what, width, height, channels, length: data.length },
  );
}
