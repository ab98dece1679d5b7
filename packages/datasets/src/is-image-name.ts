import { extname } from 'node:path';

/** How the names of images that `readImage` decodes end, in lower case. */
export const IMAGE_EXTENSIONS = ['.jpg', '.jpeg', '.png', '.webp', '.tif', '.tiff', '.avif'];

/** Whether a file name is that of an image that `readImage` decodes; hidden files, such as macOS's `._photo.jpg`, are none. */
export function isImageName(name: string): boolean {
  return !name.startsWith('.') && IMAGE_EXTENSIONS.includes(extname(name).toLowerCase());
}
