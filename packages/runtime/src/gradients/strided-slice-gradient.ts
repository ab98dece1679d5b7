import * as tf from '@tensorflow/tfjs-core';

/** Attributes of tfjs's StridedSlice kernel. */
export interface StridedSliceAttrs {
  begin: number[];
  end: number[];
  strides: number[];
  beginMask: number;
  endMask: number;
  ellipsisMask: number;
  newAxisMask: number;
  shrinkAxisMask: number;
}

/** Puts `stride - 1` zeros between neighbours along `axis`. */
function spread(x: tf.Tensor, axis: number, stride: number): tf.Tensor {
  const before = x.shape.slice(0, axis);
  const size = x.shape[axis];
  const after = x.shape.slice(axis + 1);
  const flatBefore = before.reduce((a, b) => a * b, 1);
  const flatAfter = after.reduce((a, b) => a * b, 1);
  const cells = tf.reshape(x, [flatBefore, size, 1, flatAfter]) as tf.Tensor4D;
  const padded = tf.pad(cells, [
    [0, 0],
    [0, 0],
    [0, stride - 1],
    [0, 0],
  ]);
  const long = tf.reshape(padded, [flatBefore, size * stride, flatAfter]);
  const kept = (size - 1) * stride + 1;
  return tf.reshape(tf.slice(long, [0, 0, 0], [flatBefore, kept, flatAfter]), [...before, kept, ...after]);
}

/** Gradient of tf.stridedSlice, with masks, steps and negative steps: dy put back to where it was taken from. */
export function stridedSliceGradient(
  dy: tf.Tensor,
  inputShape: number[],
  attrs: StridedSliceAttrs,
): tf.Tensor {
  return tf.tidy(() => {
    const info = tf.slice_util.sliceInfo(
      inputShape,
      attrs.begin,
      attrs.end,
      attrs.strides,
      attrs.beginMask,
      attrs.endMask,
      attrs.ellipsisMask,
      attrs.newAxisMask,
      attrs.shrinkAxisMask,
    );
    const { begin, end, strides } = info;
    // Sizes before axes were removed or added: one per input axis, while dy may have fewer or more.
    const sizes = inputShape.map((_, axis) =>
      Math.max(0, Math.ceil((end[axis] - begin[axis]) / strides[axis])),
    );
    if (sizes.some((size) => size === 0)) return tf.zeros(inputShape);
    let gradient = tf.reshape(dy, sizes);
    const paddings = inputShape.map((total, axis): [number, number] => {
      const stride = strides[axis];
      let first = begin[axis];
      if (stride < 0) {
        gradient = tf.reverse(gradient, [axis]);
        first += (sizes[axis] - 1) * stride;
      }
      if (Math.abs(stride) > 1) gradient = spread(gradient, axis, Math.abs(stride));
      return [first, total - first - gradient.shape[axis]];
    });
    return tf.pad(gradient, paddings);
  });
}
