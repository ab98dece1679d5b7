import type { OnnxBackend } from '../onnx-backend.js';
import { canBlock, convFlipped } from './conv-forward.js';
import type { ConvGeometry, Pads } from './conv-geometry.js';

/** The pixels phase, phase + stride, ... of one axis, and the convolution that gives their gradient. */
interface AxisPhase {
  readonly phase: number;
  /** How many pixels there are. */
  readonly size: number;
  /** The filter's taps that reach them, ascending; adjacent ones lie `dilation` output positions apart. */
  readonly taps: readonly number[];
  readonly dilation: number;
  /** Pads of the stride-1 convolution whose input gradient this is. */
  readonly pads: readonly [before: number, behind: number];
}

/** For each axis the phases that any tap reaches. */
export type GradInputPhases = readonly [rows: readonly AxisPhase[], columns: readonly AxisPhase[]];

/**
 * The phases of a strided convolution's input gradient, or null where it is not a few stride-1 convolutions: a filter of one tap, channels
 * that do not fill blocks, or gradients that no pixel of some phase sees.
 */
export function planGradInputPhases(backend: OnnxBackend, g: ConvGeometry): GradInputPhases | null {
  if (g.kernelHeight * g.kernelWidth === 1 || !canBlock(backend, g.outChannels)) return null;
  const axes: GradInputPhases = [axisPhases(g, 0), axisPhases(g, 1)];
  const sound = axes.flat().every(({ taps, dilation, pads }) => {
    const reach = dilation * (taps.length - 1);
    return pads.every((pad) => pad <= reach);
  });
  return sound ? axes : null;
}

function axisPhases(g: ConvGeometry, axis: 0 | 1): AxisPhase[] {
  const stride = g.strides[axis];
  const before = g.pads[2 * axis];
  const kernel = axis === 0 ? g.kernelHeight : g.kernelWidth;
  const inSize = axis === 0 ? g.inHeight : g.inWidth;
  const outSize = axis === 0 ? g.outHeight : g.outWidth;
  const phases: AxisPhase[] = [];
  for (let phase = 0; phase < Math.min(stride, inSize); phase++) {
    // Pixel stride * p + phase is read through tap t by output position p + offset, where that is whole.
    const offsetOf = (tap: number): number => (phase + before - tap * g.dilations[axis]) / stride;
    const taps = Array.from({ length: kernel }, (_, tap) => tap).filter((t) => Number.isInteger(offsetOf(t)));
    if (taps.length === 0) continue;
    const size = Math.ceil((inSize - phase) / stride);
    const dilation = taps.length > 1 ? offsetOf(taps[0]) - offsetOf(taps[1]) : 1;
    const first = offsetOf(taps[0]);
    const last = offsetOf(taps[taps.length - 1]);
    phases.push({ phase, size, taps, dilation, pads: [first, outSize - size - last] });
  }
  return phases;
}

/**
 * Writes the input gradient of a strided convolution into `dx` [N,H,W,C]: each of the interleaved images that the stride makes of the input is
 * reached by some of the taps only, and its gradient is that of a stride-1 convolution with these.
 */
export function gradInputByPhase(
  backend: OnnxBackend,
  dy: Float32Array,
  filter: Float32Array,
  dx: Float32Array,
  g: ConvGeometry,
  [rows, columns]: GradInputPhases,
): void {
  const size = g.inChannels * g.outChannels;
  const reached = (axis: readonly AxisPhase[]): number => axis.reduce((sum, phase) => sum + phase.size, 0);
  if (reached(rows) < g.inHeight || reached(columns) < g.inWidth) dx.fill(0);
  for (const row of rows) {
    for (const column of columns) {
      const taps = row.taps.flatMap((i) => column.taps.map((j) => i * g.kernelWidth + j));
      const chosen = backend.arrays.take('float32', taps.length * size);
      taps.forEach((tap, i) => {
        chosen.set(filter.subarray(tap * size, (tap + 1) * size), i * size);
      });
      const part: ConvGeometry = {
        ...g,
        inHeight: row.size,
        inWidth: column.size,
        kernelHeight: row.taps.length,
        kernelWidth: column.taps.length,
        strides: [1, 1],
        dilations: [row.dilation, column.dilation],
        pads: [...row.pads, ...column.pads] as unknown as Pads,
      };
      const pixels = backend.arrays.take('float32', g.batch * row.size * column.size * g.inChannels);
      convFlipped(backend, dy, chosen, pixels, part);
      interleave(pixels, dx, g, row, column);
      backend.arrays.give(chosen);
      backend.arrays.give(pixels);
    }
  }
}

/** Writes the pixels of one phase to their places. */
function interleave(
  pixels: Float32Array,
  dx: Float32Array,
  g: ConvGeometry,
  row: AxisPhase,
  column: AxisPhase,
): void {
  const { inChannels } = g;
  const [strideH, strideW] = g.strides;
  let from = 0;
  for (let n = 0; n < g.batch; n++) {
    for (let y = 0; y < row.size; y++) {
      const line = (n * g.inHeight + y * strideH + row.phase) * g.inWidth + column.phase;
      for (let x = 0; x < column.size; x++) {
        const to = (line + x * strideW) * inChannels;
        for (let c = 0; c < inChannels; c++) dx[to + c] = pixels[from + c];
        from += inChannels;
      }
    }
  }
}
