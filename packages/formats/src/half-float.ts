const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

let table: Float32Array | undefined;

/** Every float16 as float32, by its bits: 256 KiB, made on first use. */
function float16Table(): Float32Array {
  if (table) return table;
  const made = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    let value: number;
    if (exponent === 0) value = fraction * 2 ** -24;
    else if (exponent === 31) value = fraction === 0 ? Number.POSITIVE_INFINITY : Number.NaN;
    else value = (1 + fraction / 1024) * 2 ** (exponent - 15);
    made[bits] = bits & 0x8000 ? -value : value;
  }
  table = made;
  return made;
}

/** IEEE 754 binary16 bits to numbers; exact. */
export function decodeFloat16(bits: Uint16Array): Float32Array {
  const values = float16Table();
  const result = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) result[i] = values[bits[i]];
  return result;
}

/** bfloat16 bits (the upper half of a float32) to numbers; exact. */
export function decodeBfloat16(bits: Uint16Array): Float32Array {
  const result = new Float32Array(bits.length);
  const words = new Uint32Array(result.buffer);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
  return result;
}

/** Numbers to IEEE 754 binary16 bits, rounded to nearest, ties to even; beyond 65,504 becomes infinity. */
export function encodeFloat16(values: Float32Array): Uint16Array {
  const result = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    scratchFloat[0] = values[i];
    const bits = scratchBits[0];
    const sign = (bits >>> 16) & 0x8000;
    const magnitude = bits & 0x7fffffff;
    let half: number;
    if (magnitude > 0x7f800000) half = 0x7e00;
    else if (magnitude >= 0x477ff000) half = 0x7c00;
    else if (magnitude >= 0x38800000) {
      // Normal: move the exponent's bias from 127 to 15, round at bit 13.
      half = (magnitude - 0x38000000 + 0x0fff + ((magnitude >>> 13) & 1)) >>> 13;
    } else {
      // Subnormal: whole multiples of 2^-24.
      const scaled = Math.abs(scratchFloat[0]) * 2 ** 24;
      const floor = Math.floor(scaled);
      const rest = scaled - floor;
      half = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
    }
    result[i] = sign | half;
  }
  return result;
}

/** Numbers to bfloat16 bits, rounded to nearest, ties to even. */
export function encodeBfloat16(values: Float32Array): Uint16Array {
  const result = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    scratchFloat[0] = values[i];
    const bits = scratchBits[0];
    if ((bits & 0x7fffffff) > 0x7f800000) {
      result[i] = (bits >>> 16) | 0x40;
    } else {
      result[i] = (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
    }
  }
  return result;
}
