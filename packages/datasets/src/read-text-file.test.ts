import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { fileError } from './file-error.js';
import { readTextFile } from './read-text-file.js';

let root = '';
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'auxseg-text-'));
});
afterAll(() => rmSync(root, { recursive: true }));

test('readTextFile reads UTF-8 with and without a mark and UTF-16 with one, and refuses other encodings', async () => {
  const file = join(root, 'list.txt');
  const read = (bytes: Uint8Array | string) => {
    writeFileSync(file, bytes);
    return readTextFile(file, 'an image list', 'Check the path.');
  };
  expect(await read('Größe')).toBe('Größe');
  expect(await read('\uFEFFim00')).toBe('im00');
  const utf16 = Buffer.from('\uFEFFGröße\r\n', 'utf16le');
  expect(await read(utf16)).toBe('Größe\r\n');
  expect(await read(utf16.swap16())).toBe('Größe\r\n');
  await expect(read(Buffer.from('Größe', 'latin1'))).rejects.toMatchObject({ code: 'bad-encoding' });
  await expect(readTextFile(join(root, 'no'), 'an image list', 'Check the path.')).rejects.toThrow(
    /an image list at .*no, found none\. Check the path/,
  );
});

test('a file without permission is not called absent', () => {
  const error = fileError(Object.assign(new Error(), { code: 'EACCES' }), 'm.png', 'a mask', '');
  expect(error).toMatchObject({
    code: 'unreadable-file',
    message: 'Expected a mask at m.png, which cannot be read: EACCES. Check its permissions.',
  });
});
