import { Option } from 'commander';

/** `--backend NAME`. */
export const backendOption = () =>
  new Option('--backend <name>', 'TensorFlow.js backend').choices([
    'auto',
    'onnx',
    'wasm',
    'cpu',
    'webgpu',
    'node',
    'node-gpu',
  ]);
