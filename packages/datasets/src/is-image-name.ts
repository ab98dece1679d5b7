import { extname } from 'node:path';

const EXTENSIONS = ['.jpg', '.jpeg', '.png', '.webp', '.tif', '.tiff', '.avif'];

/** Whether a file name is that of an image that `readImage` decodes; hidden files, such as macOS's `._photo.jpg`, are none. */
export function isImageName(name: string): boolean {
  return !name.startsWith('.') && EXTENSIONS.includes(extname(name).toLowerCase());
}
