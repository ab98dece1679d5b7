import { describe, expect, test } from '@jest/globals';
import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from './half-float.js';

const all = Uint16Array.from({ length: 65536 }, (_, i) => i);

describe('half-precision floats', () => {
  test('every float16 survives decoding and encoding', () => {
    const back = encodeFloat16(decodeFloat16(all));
    let wrong = 0;
    for (let i = 0; i < 65536; i++) {
      const nan = (i & 0x7c00) === 0x7c00 && (i & 0x3ff) !== 0;
      if (nan ? (back[i] & 0x7fff) !== 0x7e00 : back[i] !== i) wrong++;
    }
    expect(wrong).toBe(0);
  });

  test('every bfloat16 survives decoding and encoding', () => {
    const back = encodeBfloat16(decodeBfloat16(all));
    let wrong = 0;
    for (let i = 0; i < 65536; i++) {
      const nan = (i & 0x7f80) === 0x7f80 && (i & 0x7f) !== 0;
      if (nan ? (back[i] & 0x7f80) !== 0x7f80 || (back[i] & 0x7f) === 0 : back[i] !== i) wrong++;
    }
    expect(wrong).toBe(0);
  });

  test('float16 rounds to the nearest, ties to even', () => {
    // Brute force: between neighbours, the midpoint goes to the even one, anything beyond to the nearer.
    const values = decodeFloat16(all);
    const inputs: number[] = [];
    const expected: number[] = [];
    for (let bits = 0; bits < 0x7bff; bits += 7) {
      const low = values[bits];
      const high = values[bits + 1];
      const middle = (low + high) / 2;
      inputs.push(middle, low + (high - low) * 0.25, low + (high - low) * 0.75);
      expected.push(bits % 2 === 0 ? bits : bits + 1, bits, bits + 1);
    }
    expect(Array.from(encodeFloat16(Float32Array.from(inputs)))).toEqual(expected);
    expect(
      Array.from(
        encodeFloat16(Float32Array.of(65504, 65519.99, 65520, 1e9, -1e9, 2 ** -25, 2 ** -25 * 1.0001)),
      ),
    ).toEqual([0x7bff, 0x7bff, 0x7c00, 0x7c00, 0xfc00, 0, 1]);
  });

  test('bfloat16 rounds to the nearest, ties to even', () => {
    const word = (bits: number) => new Float32Array(Uint32Array.of(bits).buffer)[0];
    const inputs = [0x3f808000, 0x3f818000, 0x3f80ffff, 0x3f807fff, 0x7f7fffff, 0xff800000].map(word);
    expect(Array.from(encodeBfloat16(Float32Array.from(inputs)))).toEqual([
      0x3f80, 0x3f82, 0x3f81, 0x3f80, 0x7f80, 0xff80,
    ]);
  });
});
