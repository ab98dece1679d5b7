import * as tf from '@tensorflow/tfjs-core';

/** Zero padding as [top, bottom, left, right], in pixels. */
export type Pads = [number, number, number, number];

/** Explicit padding in the form that tfjs's convolutions take. */
export type ExplicitPads = [[number, number], [number, number], [number, number], [number, number]];

/** Everything that decides which input pixels an output pixel of a convolution reads. */
export interface ConvGeometry {
  strides: [number, number];
  pads: Pads;
  dilations: [number, number];
}

/** Attributes of tfjs's convolution kernels. */
export interface ConvAttrs {
  strides: number | [number, number];
  pad: number | 'same' | 'valid' | ExplicitPads;
  dilations?: number | [number, number];
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
  dataFormat?: 'NHWC' | 'NCHW';
}

const pair = (value: number | [number, number] | undefined): [number, number] =>
  value == null ? [1, 1] : typeof value === 'number' ? [value, value] : [value[0], value[1] ?? value[0]];

/** [top, bottom, left, right] in tfjs's explicit form. */
export function explicitPads([top, bottom, left, right]: Pads): ExplicitPads {
  return [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
}

/**
 * Numeric padding rewritten as explicit padding.
 *
 * tfjs computes both output sizes of a numerically padded convolution from the kernel's height and the vertical stride;
 * with a non-square kernel the wasm kernel then writes outside its output. Explicit padding has no such fault.
 */
export function withoutNumericPad<T extends ConvAttrs>(attrs: T): T {
  const { pad } = attrs;
  if (typeof pad !== 'number') return attrs;
  const explicit: ExplicitPads =
    attrs.dataFormat === 'NCHW'
      ? [
          [0, 0],
          [0, 0],
          [pad, pad],
          [pad, pad],
        ]
      : explicitPads([pad, pad, pad, pad]);
  return { ...attrs, pad: explicit };
}

/** Strides, padding and dilation of an NHWC convolution, read from kernel attributes. */
export function convGeometry(
  inputShape: readonly number[],
  filterShape: readonly number[],
  attrs: ConvAttrs,
  depthwise = false,
): ConvGeometry {
  const { strides, pad, dilations, dimRoundingMode } = withoutNumericPad({ ...attrs, dataFormat: 'NHWC' });
  const info = tf.backend_util.computeConv2DInfo(
    inputShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    strides,
    dilations ?? 1,
    pad as 'same',
    dimRoundingMode,
    depthwise,
  );
  const { top, bottom, left, right } = info.padInfo;
  return {
    strides: pair(strides),
    pads: [top, bottom, left, right],
    dilations: pair(dilations),
  };
}
