import { Option } from 'commander';

/** `--backend NAME`. */
export const backendOption = (description = 'TensorFlow.js backend') =>
  new Option('--backend <name>', description).choices([
    'auto',
    'onnx',
    'wasm',
    'cpu',
    'webgpu',
    'node',
    'node-gpu',
  ]);
