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
  wasm: {
    tests: [
      ...on('wasm'),
      {
        test: 'conv2dTranspose wasm {} input=8x8x8,output=4x4x8,f=8,s=1',
        reason: 'expects numbers for an output shape that does not belong to its input',
      },
    ],
    messages: [
      { message: "does not support dataFormat:'", reason: 'tfjs-wasm refuses channel-first, aloud' },
      {
        message: 'FusedConv2D only supports rank-1 bias but got rank 0',
        reason: 'tfjs-wasm refuses channel-first, aloud',
      },
    ],
    kernels: ['Complex'],
  },
  node: {
    tests: [
      on('tensorflow')[0],
      ...['basic', 'does not propagate NaNs', 'accepts a tensor-like object'].map((test) => ({
        test: `sign tensorflow {} ${test}`,
        reason: 'TensorFlow gives sign(NaN) = NaN',
      })),
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
      {
        test: 'avgPool3d tensorflow {} x=[1,1,1,1,1] f=[1,1,3] s=1 p=valid',
        reason: 'TensorFlow refuses a window larger than its input',
      },
      {
        test: 'conv2dTranspose tensorflow {} input=8x8x8,output=4x4x8,f=8,s=1',
        reason: 'TensorFlow refuses an output shape that does not belong to its input',
      },
      ...[
        'diag tensorflow {} bool',
        'leakyrelu tensorflow {} int32',
        'step kernel tensorflow {} with int32',
      ].map((test) => ({ test, reason: 'TensorFlow has the operation for other types only' })),
      ...['greater', 'greaterEqual', 'less', 'lessEqual'].map((op) => ({
        test: `${op} tensorflow {} should support string comparison`,
        reason: 'TensorFlow does not order strings',
      })),
      ...[
        'should work for 2d',
        'should work for simple 1d',
        'should work for multiple 1d',
        'should sum the duplicated indices',
        'should work for tensorLike input',
      ].map((test) => ({
        test: `scatterND tensorflow {} ${test}`,
        reason: 'indices of rank 1 are to TensorFlow one index of many dimensions',
      })),
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
