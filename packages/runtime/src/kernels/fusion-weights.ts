/** The fusion block's weights as the compiled kernels take them. */
export interface FusionNumbers {
  /** [3,3,2,2] */
  conv1: Float32Array;
  /** Difference of the two logits' weights for each hidden channel. */
  u0: number;
  u1: number;
  /** Difference of the two logits' biases. */
  bias: number;
}

/** A softmax over two channels depends on the difference of the logits only, so the second convolution becomes one row. */
export function fusionNumbers(
  conv1: ArrayLike<number>,
  conv2: ArrayLike<number>,
  bias: ArrayLike<number>,
): FusionNumbers {
  return {
    conv1: Float32Array.from(conv1),
    u0: conv2[0] - conv2[1],
    u1: conv2[2] - conv2[3],
    bias: bias[0] - bias[1],
  };
}

/** The 39 sums of the backward kernel as gradients of the three weights. */
export function fusionGradients(sums: Float64Array): {
  conv1: Float32Array;
  conv2: Float32Array;
  bias: Float32Array;
} {
  const [h0, h1, d] = sums.subarray(36, 39);
  return {
    conv1: Float32Array.from(sums.subarray(0, 36)),
    conv2: Float32Array.from([h0, -h0, h1, -h1]),
    bias: Float32Array.from([d, -d]),
  };
}
