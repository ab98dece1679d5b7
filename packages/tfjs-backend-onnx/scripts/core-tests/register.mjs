// Evaluated before the tests are collected: the environment that `describeWithFlags` runs them in.
import { setTestEnvs } from '@tensorflow/tfjs-core/dist/jasmine_util.js';

const name = globalThis.testedBackend;
const backendName = name === 'node' ? 'tensorflow' : name;
export const register = setTestEnvs([{ name: backendName, backendName, flags: {}, isDataSync: true }]);
