import { crc32 } from './crc32.js';
import { rawDeflate } from './deflate.js';
import { FormatError } from './format-error.js';
import { inflateExact } from './inflate-exact.js';
import { MAX_ZIP_ENTRIES } from './limits.js';

/** One file in a zip archive. */
export interface ZipEntry {
  name: string;
  /** Bytes when unpacked. */
  size: number;
  /** Where its (stored or compressed) bytes begin in the archive. */
  offset: number;
  compressedSize: number;
  method: number;
  crc: number;
}

const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END_RECORD = 0x06054b50;
const END_RECORD_64 = 0x06064b50;
const END_LOCATOR_64 = 0x07064b50;
const END_RECORD_BYTES = 22;
const MAX_COMMENT_BYTES = 65_535;
const STORED = 0;
const DEFLATED = 8;

/** Whether the bytes begin like a zip archive. */
export function isZip(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x50 && bytes[1] === 0x4b && (bytes[2] === 3 || bytes[2] === 5);
}

/**
 * Lists a zip archive from its central directory, 64-bit records included; unpacks nothing.
 *
 * @throws FormatError for a directory or members that leave the file or overlap one another.
 */
export function readZipDirectory(bytes: Uint8Array, format: string): Map<string, ZipEntry> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = findEnd(bytes, view, format);
  let count = view.getUint16(end + 10, true);
  let directoryBytes = view.getUint32(end + 12, true);
  let directoryStart = view.getUint32(end + 16, true);
  if (end >= 20 && view.getUint32(end - 20, true) === END_LOCATOR_64) {
    const at = Number(view.getBigUint64(end - 12, true));
    if (at + 56 > end || view.getUint32(at, true) !== END_RECORD_64) {
      throw new FormatError(
        'malformed',
        `Expected a zip64 end record at offset ${at} of this ${format} file.`,
        {
          offset: at,
        },
      );
    }
    count = Number(view.getBigUint64(at + 32, true));
    directoryBytes = Number(view.getBigUint64(at + 40, true));
    directoryStart = Number(view.getBigUint64(at + 48, true));
  }
  if (count > MAX_ZIP_ENTRIES) {
    throw new FormatError(
      'limit',
      `Expected at most ${MAX_ZIP_ENTRIES} files in this ${format} archive, got ${count}.`,
    );
  }
  if (directoryStart + directoryBytes > end) {
    throw new FormatError(
      'truncated',
      `Expected the zip directory of this ${format} file at ${directoryStart}..${directoryStart + directoryBytes}, but the file has it before ${end}. Was it cut off?`,
      { expected: directoryStart + directoryBytes, actual: end, offset: directoryStart },
    );
  }
  const text = new TextDecoder();
  const entries = new Map<string, ZipEntry>();
  const directoryEnd = directoryStart + directoryBytes;
  let at = directoryStart;
  for (let i = 0; i < count; i++) {
    if (at + 46 > directoryEnd || view.getUint32(at, true) !== CENTRAL_HEADER) {
      throw new FormatError('malformed', `Expected zip directory entry ${i} of ${count} at offset ${at}.`, {
        offset: at,
      });
    }
    const flags = view.getUint16(at + 8, true);
    const method = view.getUint16(at + 10, true);
    const crc = view.getUint32(at + 16, true);
    let compressedSize = view.getUint32(at + 20, true);
    let size = view.getUint32(at + 24, true);
    const nameBytes = view.getUint16(at + 28, true);
    const extraBytes = view.getUint16(at + 30, true);
    const commentBytes = view.getUint16(at + 32, true);
    let local = view.getUint32(at + 42, true);
    const next = at + 46 + nameBytes + extraBytes + commentBytes;
    if (next > directoryEnd) {
      throw new FormatError('malformed', `Zip directory entry ${i} at offset ${at} leaves the directory.`, {
        offset: at,
      });
    }
    const name = text.decode(bytes.subarray(at + 46, at + 46 + nameBytes));
    if (size === 0xffffffff || compressedSize === 0xffffffff || local === 0xffffffff) {
      const wide = findZip64Extra(view, at + 46 + nameBytes, extraBytes);
      let field = wide?.start ?? 0;
      const take = () => {
        if (!wide || field + 8 > wide.end) {
          throw new FormatError(
            'malformed',
            `Expected 64-bit sizes for ${name} in the zip directory at offset ${at}.`,
            {
              name,
              offset: at,
            },
          );
        }
        const value = Number(view.getBigUint64(field, true));
        field += 8;
        return value;
      };
      if (size === 0xffffffff) size = take();
      if (compressedSize === 0xffffffff) compressedSize = take();
      if (local === 0xffffffff) local = take();
    }
    if (flags & 1) {
      throw new FormatError('unsupported', `Expected ${name} in this ${format} archive to be unencrypted.`, {
        name,
      });
    }
    if (local + 30 > bytes.length || view.getUint32(local, true) !== LOCAL_HEADER) {
      throw new FormatError('malformed', `Expected the zip header of ${name} at offset ${local}.`, {
        name,
        offset: local,
      });
    }
    // The local header's own name and extra lengths: writers pad there, to align the data.
    const offset = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    if (offset + compressedSize > directoryStart) {
      throw new FormatError(
        'truncated',
        `Expected ${compressedSize} bytes for ${name} at offset ${offset} of this ${format} archive, got ${Math.max(0, directoryStart - offset)}.`,
        { name, expected: compressedSize, actual: Math.max(0, directoryStart - offset), offset },
      );
    }
    if (method === STORED && size !== compressedSize) {
      throw new FormatError(
        'malformed',
        `Expected equal sizes for the stored ${name}, got ${size} and ${compressedSize}.`,
        {
          name,
        },
      );
    }
    entries.set(name, { name, size, offset, compressedSize, method, crc });
    at = next;
  }
  const ordered = [...entries.values()].sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < ordered.length; i++) {
    const before = ordered[i - 1];
    if (before.offset + before.compressedSize > ordered[i].offset) {
      throw new FormatError(
        'malformed',
        `${before.name} and ${ordered[i].name} overlap in this ${format} archive.`,
        {
          names: [before.name, ordered[i].name],
          offset: ordered[i].offset,
        },
      );
    }
  }
  return entries;
}

/** The bytes of one member: a view when it is stored, else unpacked. */
export function readZipEntry(
  bytes: Uint8Array,
  entry: ZipEntry,
  options: { verifyChecksum: boolean },
): Uint8Array {
  const packed = bytes.subarray(entry.offset, entry.offset + entry.compressedSize);
  let data: Uint8Array;
  if (entry.method === STORED) data = packed;
  else if (entry.method === DEFLATED) data = inflateExact(packed, entry.size, entry.name);
  else {
    throw new FormatError(
      'unsupported',
      `Expected ${entry.name} to be stored or deflated, got zip method ${entry.method}. Save the file again with NumPy or PyTorch.`,
      { name: entry.name, method: entry.method },
    );
  }
  if (options.verifyChecksum && crc32(data) !== entry.crc) {
    throw new FormatError('malformed', `The checksum of ${entry.name} does not match: the file is damaged.`, {
      name: entry.name,
    });
  }
  return data;
}

/** A file for {@link writeZip}. */
export interface ZipInput {
  name: string;
  data: Uint8Array;
}

/**
 * Writes a zip archive with fixed dates (1980-01-01), so equal input gives equal bytes.
 *
 * `align` pads each local header so that the data begins at a multiple of it; `compress` deflates.
 *
 * @throws FormatError `limit` at 4 GiB: larger archives would need 64-bit records.
 */
export function writeZip(
  files: readonly ZipInput[],
  options: { align?: number; compress?: boolean } = {},
): Uint8Array {
  const { align = 1, compress = false } = options;
  const text = new TextEncoder();
  let position = 0;
  let directoryBytes = 0;
  const members = files.map((file) => {
    const name = text.encode(file.name);
    const body = compress ? rawDeflate(file.data) : file.data;
    const local = position;
    // An extra field needs four bytes of its own header.
    let padding = (align - ((local + 30 + name.length) % align)) % align;
    if (padding > 0 && padding < 4) padding += align;
    position += 30 + name.length + padding + body.length;
    directoryBytes += 46 + name.length;
    return { name, body, local, padding, size: file.data.length, crc: crc32(file.data) };
  });
  if (position + directoryBytes >= 0xffffffff || members.length > 0xffff) {
    throw new FormatError(
      'limit',
      `Expected an archive below 4 GiB and 65,536 files, got ${position + directoryBytes} bytes in ${members.length} files. Write safetensors instead.`,
      { bytes: position + directoryBytes, files: members.length },
    );
  }
  const result = new Uint8Array(position + directoryBytes + END_RECORD_BYTES);
  const view = new DataView(result.buffer);
  const method = compress ? DEFLATED : STORED;
  let at = position;
  for (const { name, body, local, padding, size, crc } of members) {
    const shared = (start: number) => {
      view.setUint16(start, 20, true); // version needed: 2.0
      view.setUint16(start + 2, 0x0800, true); // names in UTF-8
      view.setUint16(start + 4, method, true);
      view.setUint16(start + 6, 0, true); // 00:00
      view.setUint16(start + 8, 0x21, true); // 1980-01-01
      view.setUint32(start + 10, crc, true);
      view.setUint32(start + 14, body.length, true);
      view.setUint32(start + 18, size, true);
      view.setUint16(start + 22, name.length, true);
    };
    view.setUint32(local, LOCAL_HEADER, true);
    shared(local + 4);
    view.setUint16(local + 28, padding, true);
    result.set(name, local + 30);
    if (padding > 0) {
      // "FB" is the padding field that PyTorch's own archives use.
      view.setUint16(local + 30 + name.length, 0x4246, true);
      view.setUint16(local + 32 + name.length, padding - 4, true);
    }
    result.set(body, local + 30 + name.length + padding);

    view.setUint32(at, CENTRAL_HEADER, true);
    view.setUint16(at + 4, 20, true);
    shared(at + 6);
    view.setUint32(at + 42, local, true);
    result.set(name, at + 46);
    at += 46 + name.length;
  }
  view.setUint32(at, END_RECORD, true);
  view.setUint16(at + 8, members.length, true);
  view.setUint16(at + 10, members.length, true);
  view.setUint32(at + 12, directoryBytes, true);
  view.setUint32(at + 16, position, true);
  return result;
}

function findEnd(bytes: Uint8Array, view: DataView, format: string): number {
  const last = bytes.length - END_RECORD_BYTES;
  for (let at = last; at >= 0 && at >= last - MAX_COMMENT_BYTES; at--) {
    if (
      view.getUint32(at, true) === END_RECORD &&
      at + END_RECORD_BYTES + view.getUint16(at + 20, true) <= bytes.length
    ) {
      return at;
    }
  }
  throw new FormatError(
    'truncated',
    `Expected the end record of a zip archive in this ${format} file of ${bytes.length} bytes, found none: the file is cut off. Copy or download it again.`,
    { actual: bytes.length },
  );
}

function findZip64Extra(
  view: DataView,
  start: number,
  length: number,
): { start: number; end: number } | null {
  let at = start;
  const end = start + length;
  while (at + 4 <= end) {
    const id = view.getUint16(at, true);
    const size = view.getUint16(at + 2, true);
    if (at + 4 + size > end) return null;
    if (id === 1) return { start: at + 4, end: at + 4 + size };
    at += 4 + size;
  }
  return null;
}
