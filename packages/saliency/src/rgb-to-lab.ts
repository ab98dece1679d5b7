import type { Planes } from './planes.js';

const CURVE_STEPS = 4096;

const linear = new Float32Array(257);
for (let i = 0; i < 256; i++) {
  const v = i / 255;
  linear[i] = v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
}
linear[256] = linear[255];

// The CIE curve f(t), tabulated: a table with interpolation is several times faster than Math.cbrt.
const curve = new Float32Array(CURVE_STEPS + 2);
for (let i = 0; i < curve.length; i++) {
  const t = i / CURVE_STEPS;
  curve[i] = t > 216 / 24389 ? Math.cbrt(t) : ((24389 / 27) * t + 16) / 116;
}

function linearOf(value: number): number {
  const i = value | 0;
  const low = linear[i];
  return low + (linear[i + 1] - low) * (value - i);
}

function curveOf(t: number): number {
  const scaled = t * CURVE_STEPS;
  const i = scaled | 0;
  const low = curve[i];
  return low + (curve[i + 1] - low) * (scaled - i);
}

/**
 * Converts planar sRGB [3,h,w] (0..255) to CIE L*a*b* (D65): L 0..100, a and b about -110..110, within 0.01 of the exact formula.
 */
export function rgbToLab(rgb: Planes): Planes {
  const pixels = rgb.width * rgb.height;
  const source = rgb.data;
  const data = new Float32Array(3 * pixels);
  for (let i = 0; i < pixels; i++) {
    const r = linearOf(source[i]);
    const g = linearOf(source[pixels + i]);
    const b = linearOf(source[2 * pixels + i]);
    const fx = curveOf((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
    const fy = curveOf(0.2126729 * r + 0.7151522 * g + 0.072175 * b);
    const fz = curveOf((0.0193339 * r + 0.119192 * g + 0.9503041 * b) / 1.08883);
    data[i] = 116 * fy - 16;
    data[pixels + i] = 500 * (fx - fy);
    data[2 * pixels + i] = 200 * (fy - fz);
  }
  return { width: rgb.width, height: rgb.height, channels: 3, data };
}
