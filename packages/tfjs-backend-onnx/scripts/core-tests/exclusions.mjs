const repaired = [
  {
    test: 'gradients cpu {} throws error on dilations > 1',
    reason: 'the runtime gives depthwise convolutions this gradient',
  },
  {
    test: 'avgPool cpu {} gradient x=[3,3,1] f=[3,3] s=1 p=explicit',
    reason:
      'expects the gradient of a mean over the padding too, which the forward pass leaves out; the runtime repairs it',
  },
];
const on = (name) =>
  repaired.map(({ test, reason }) => ({ test: test.replace(' cpu ', ` ${name} `), reason }));

/**
 * Tests of tfjs-core that are not run, by backend: `tests` by a part of the full name, with the reason; `kernels` that
 * tfjs's own backend lacks, and `messages` by which it refuses: a test that fails for want of one of them counts as excluded.
 */
export const exclusions = {
  onnx: { tests: [], kernels: [] },
  cpu: { tests: on('cpu'), kernels: [] },
  wasm: { tests: on('wasm'), kernels: [] },
  node: {
    tests: [
      on('tensorflow')[0],
      { test: 'sign tensorflow', reason: 'TensorFlow gives sign(NaN) = NaN' },
      { test: 'tan tensorflow {} numbers exceed float32 precision', reason: "TensorFlow's last bit" },
      { test: 'unique tensorflow {} 1d tensor with NaN', reason: 'in TensorFlow no NaN equals another' },
      {
        test: 'multinomial tensorflow {} creates the same data given the same seed',
        reason: 'an eager op keeps a state',
      },
      {
        test: 'einsum tensorflow {} 2d matrix calculate trace',
        reason: 'TensorFlow can do what tfjs refuses',
      },
      { test: 'einsum tensorflow {} nonexistent dimension', reason: 'TensorFlow words the error otherwise' },
    ],
    messages: [
      {
        message: "TF Backend supports only 'valid' and 'same' padding",
        reason: 'tfjs-node refuses other padding of poolings, aloud',
      },
      {
        message: "FusedConv2D does not support dataFormat:'NCHW'",
        reason: 'tfjs-node refuses channel-first, aloud',
      },
      {
        message: 'Invalid TF_Status: 3',
        reason: 'TensorFlow has no such operation for these types or shapes, and says so',
      },
    ],
    kernels: [
      ...[
        'BitwiseAnd',
        'DenseBincount',
        'MaxPoolWithArgmax',
        'RaggedGather',
        'RaggedRange',
        'RaggedTensorToTensor',
      ],
      ...['SearchSorted', 'SparseFillEmptyRows', 'SparseReshape', 'SparseSegmentMean', 'SparseSegmentSum'],
      ...['StringNGrams', 'StringSplit', 'StringToHashBucketFast', 'Transform'],
    ],
  },
};
