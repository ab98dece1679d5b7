let tables: Uint32Array[] | undefined;

/** Tables for four bytes at a time: 4 KiB, made on first use. */
function crcTables(): Uint32Array[] {
  if (tables) return tables;
  const made = [0, 1, 2, 3].map(() => new Uint32Array(256));
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    made[0][n] = c >>> 0;
  }
  for (let n = 0; n < 256; n++) {
    for (let t = 1; t < 4; t++) {
      const previous = made[t - 1][n];
      made[t][n] = (previous >>> 8) ^ made[0][previous & 255];
    }
  }
  tables = made;
  return made;
}

/** CRC-32 as PNG and zip use it (ISO 3309); `seed` continues an earlier one. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  const [t0, t1, t2, t3] = crcTables();
  let c = ~seed;
  let i = 0;
  for (const end = bytes.length - 3; i < end; i += 4) {
    c ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    c = t3[c & 255] ^ t2[(c >>> 8) & 255] ^ t1[(c >>> 16) & 255] ^ t0[c >>> 24];
  }
  for (; i < bytes.length; i++) c = t0[(c ^ bytes[i]) & 255] ^ (c >>> 8);
  return ~c >>> 0;
}
