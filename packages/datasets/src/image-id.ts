import { extname } from 'node:path';

/** The id of an image by its path below the image folder: without extension, '/' written as '__', so that it is a file name. */
export function imageIdOf(path: string): string {
  const plain = path.replace(/\\/g, '/').replace(/^(\.?\/)+/, '');
  return plain.slice(0, plain.length - extname(plain).length).replaceAll('/', '__');
}
