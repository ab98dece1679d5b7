// Evaluated before the tests are collected: the environment that `describeWithFlags` runs them in.
import { setTestEnvs } from '@tensorflow/tfjs-core/dist/jasmine_util.js';

export const register = setTestEnvs([{ name: 'onnx', backendName: 'onnx', flags: {}, isDataSync: true }]);
