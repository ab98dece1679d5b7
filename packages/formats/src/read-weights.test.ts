import { describe, expect, test } from '@jest/globals';
import { writeMxnetParams } from './mxnet-params.js';
import { writeNpy } from './npy.js';
import { writeNpz } from './npz.js';
import { detectWeightsFormat, readWeights } from './read-weights.js';
import { writeSafetensors } from './safetensors.js';
import { fromBase64, plainTensor, readFixture } from './testing/fixtures.js';
import { writePyTorchCheckpoint } from './write-pytorch-checkpoint.js';
import { writeZip } from './zip-archive.js';

const tensor = { dtype: 'float32' as const, shape: [2], data: Float32Array.of(1, 2) };
const tensors = new Map([['w', tensor]]);
const pytorch = readFixture<{ files: Record<string, string> }>('pytorch.json').files;

describe('readWeights', () => {
  test.each([
    ['safetensors', writeSafetensors(tensors)],
    ['pytorch', writePyTorchCheckpoint(tensors)],
    ['mxnet', writeMxnetParams(tensors)],
    ['npz', writeNpz(tensors)],
  ])('tells %s by its contents', (format, file) => {
    const read = readWeights(file);
    expect(read.format).toBe(format);
    expect(plainTensor(read.tensors.get('w'))).toEqual({ ...tensor, data: [1, 2] });
    // Cut off, it is still that format, and the error its reader's.
    const cut = file.subarray(0, Math.floor(file.length * 0.6));
    expect(detectWeightsFormat(cut)).toBe(format);
    expect(() => readWeights(cut)).toThrow(/Expected/);
  });

  test('keeps what stands beside the tensors', () => {
    expect(readWeights(writeSafetensors(tensors, { epoch: '3' })).metadata).toEqual({ epoch: '3' });
    for (const name of ['nested', 'nestedLegacy']) {
      expect(readWeights(fromBase64(pytorch[name])).metadata).toEqual({
        epoch: '7',
        best: '0.5',
        name: 'run',
      });
    }
    expect([...readWeights(fromBase64(pytorch.two), { stateDictKey: 'critic' }).tensors.keys()]).toHaveLength(
      2,
    );
  });

  test('names what is none', () => {
    expect(() => readWeights(new TextEncoder().encode('<html>'))).toThrow(/begin with 3c 68 74 6d 6c 3e/);
    expect(detectWeightsFormat(writeNpy(tensor))).toBeNull();
    expect(detectWeightsFormat(writeZip([{ name: 'readme', data: new Uint8Array(3) }]))).toBeNull();
    expect(detectWeightsFormat(new Uint8Array(0))).toBeNull();
  });
});
