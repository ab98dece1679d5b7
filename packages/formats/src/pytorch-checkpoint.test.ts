import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { FormatError } from './format-error.js';
import { readPyTorchCheckpoint } from './pytorch-checkpoint.js';
import { tensorMaps } from './testing/arbitraries.js';
import { type ExpectedTensor, fromBase64, plainTensor, readFixture } from './testing/fixtures.js';
import { writePyTorchCheckpoint } from './write-pytorch-checkpoint.js';
import { writeZip } from './zip-archive.js';

const fixture = readFixture<{
  files: Record<string, string>;
  bare: Record<string, ExpectedTensor>;
  small: Record<string, ExpectedTensor>;
  module: Record<string, ExpectedTensor>;
}>('pytorch.json');
const file = (name: string) => fromBase64(fixture.files[name]);
const contents = (tensors: ReturnType<typeof readPyTorchCheckpoint>['tensors']) =>
  Object.fromEntries([...tensors].map(([name, tensor]) => [name, plainTensor(tensor)]));

describe('readPyTorchCheckpoint', () => {
  test.each(['', 'Legacy'])('reads every dtype and layout that torch.save writes%s', (suffix) => {
    const checkpoint = readPyTorchCheckpoint(file(`bare${suffix}`));
    expect(checkpoint.format).toBe(suffix ? 'legacy' : 'zip');
    expect(checkpoint.stateDictKey).toBe('');
    expect([...checkpoint.tensors.keys()]).toEqual(Object.keys(fixture.bare));
    expect(contents(checkpoint.tensors)).toEqual(fixture.bare);
  });

  test.each(['', 'Legacy'])('finds state dicts where people nest them%s', (suffix) => {
    const nested = readPyTorchCheckpoint(file(`nested${suffix}`));
    expect(nested).toMatchObject({ stateDictKey: 'state_dict', extra: { epoch: 7, best: 0.5, name: 'run' } });
    expect(contents(nested.tensors)).toEqual(fixture.small);

    // A best score and a random state that are tensors themselves do not make the file's value a state dict.
    const beside = readPyTorchCheckpoint(file(`besideTensors${suffix}`));
    expect(beside.stateDictKey).toBe('state_dict');
    expect(contents(beside.tensors)).toEqual(fixture.small);
    expect([
      ...readPyTorchCheckpoint(file(`besideTensors${suffix}`), { stateDictKey: '' }).tensors.keys(),
    ]).toEqual(['best', 'state_dict.fc8.weight', 'state_dict.fc8.other', 'rng']);
    expect(() => readPyTorchCheckpoint(file(`twice${suffix}`))).toThrow(/got a\.b twice/);

    const parallel = readPyTorchCheckpoint(file(`parallel${suffix}`));
    expect(parallel.strippedPrefix).toBe('module.');
    expect(contents(parallel.tensors)).toEqual(fixture.small);
    const kept = readPyTorchCheckpoint(file(`parallel${suffix}`), { stripModulePrefix: false });
    expect([...kept.tensors.keys()]).toEqual(['module.fc8.weight', 'module.fc8.other']);

    const training = readPyTorchCheckpoint(file(`training${suffix}`));
    expect(training).toMatchObject({ stateDictKey: 'model', extra: { iteration: 3 } });
    expect(contents(training.tensors)).toEqual(fixture.module);
    const momentum = readPyTorchCheckpoint(file(`training${suffix}`), { stateDictKey: 'optimizer.state' });
    expect([...momentum.tensors.keys()]).toContain('0.momentum_buffer');

    expect(() => readPyTorchCheckpoint(file(`two${suffix}`))).toThrow(
      /generator, critic\. Choose with stateDictKey/,
    );
    expect(contents(readPyTorchCheckpoint(file(`two${suffix}`), { stateDictKey: 'critic' }).tensors)).toEqual(
      fixture.small,
    );
    expect(() => readPyTorchCheckpoint(file(`two${suffix}`), { stateDictKey: 'x' })).toThrow(
      /key x.*generator, critic/,
    );

    expect([...readPyTorchCheckpoint(file(`list${suffix}`)).tensors.keys()]).toEqual(['0', '1.a']);
    expect(() => readPyTorchCheckpoint(file(`noTensors${suffix}`))).toThrow(/a dict of epoch/);
    expect(plainTensor(readPyTorchCheckpoint(file(`numpy${suffix}`)).tensors.get('w'))).toEqual({
      dtype: 'float32',
      shape: [2, 3],
      data: [0, 1, 2, 3, 4, 5],
    });
  });

  test('types it does not read are named', () => {
    expect(() => readPyTorchCheckpoint(file('complex'))).toThrow(/torch\.ComplexFloatStorage.*tensor\.float/);
    expect(() => readPyTorchCheckpoint(file('complexLegacy'))).toThrow(/ComplexFloatStorage/);
    expect(() => readPyTorchCheckpoint(file('wideInt'))).toThrow(/torch\.uint16/);
  });

  test('an unknown class is an error that names it; nothing runs', () => {
    const log = jest.spyOn(console, 'log');
    expect(() => readPyTorchCheckpoint(file('evil'))).toThrow(/(?:builtins|__builtin__)\.print.*allow-list/);
    expect(() => readPyTorchCheckpoint(file('evil'))).toThrow(FormatError);
    expect(log).not.toHaveBeenCalled();
    expect(() => readPyTorchCheckpoint(file('namespace'))).toThrow(/inertGlobals: \['argparse\.Namespace'\]/);
    const skipped = readPyTorchCheckpoint(file('namespace'), { inertGlobals: ['argparse.Namespace'] });
    expect(contents(skipped.tensors)).toEqual(fixture.small);
    // A whole pickled module: its class is the first thing asked for.
    expect(() => readPyTorchCheckpoint(file('module'))).toThrow(/torch\.nn\.modules\.linear\.Linear/);
  });

  test('holds the file once: views, and copies that are let go', () => {
    const bytes = file('bare');
    const { tensors } = readPyTorchCheckpoint(bytes);
    const view = tensors.get('as.float32')?.data as Float32Array;
    expect(view.buffer).toBe(bytes.buffer);
    expect((tensors.get('shared')!.data as Float32Array).buffer).toBe(bytes.buffer);
    const copy = tensors.get('transposed');
    expect(copy!.data).toBe(copy!.data);
    expect((copy!.data as Float32Array).buffer).not.toBe(bytes.buffer);
  });

  test.each(['bare', 'bareLegacy'])('%s cut off anywhere is a clear error', (name) => {
    const bytes = file(name);
    for (let length = 0; length < bytes.length - 1; length += 13) {
      let error: unknown;
      try {
        contents(readPyTorchCheckpoint(bytes.subarray(0, length)).tensors);
      } catch (caught) {
        error = caught;
      }
      expect(error).toBeInstanceOf(FormatError);
    }
    expect(() => readPyTorchCheckpoint(file('bareLegacy').subarray(0, -10))).toThrow(
      /Expected \d+ bytes for storage \d+ at offset \d+ of this PyTorch file, got \d+/,
    );
  });

  test('other files are told apart', () => {
    expect(() => readPyTorchCheckpoint(new TextEncoder().encode('<!DOCTYPE html> not found, sorry'))).toThrow(
      /error page/,
    );
    expect(() => readPyTorchCheckpoint(writeZip([{ name: 'a.npy', data: new Uint8Array(1) }]))).toThrow(
      /got a\.npy/,
    );
    const script = writeZip([
      { name: 'm/data.pkl', data: Uint8Array.of(0x4e, 0x2e) },
      { name: 'm/constants.pkl', data: new Uint8Array(1) },
    ]);
    expect(() => readPyTorchCheckpoint(script)).toThrow(/TorchScript/);
    const big = writeZip([
      { name: 'm/data.pkl', data: Uint8Array.of(0x4e, 0x2e) },
      { name: 'm/byteorder', data: new TextEncoder().encode('big') },
    ]);
    expect(() => readPyTorchCheckpoint(big)).toThrow(/big-endian/);
    const tar = new Uint8Array(600);
    tar.set(new TextEncoder().encode('ustar'), 257);
    expect(() => readPyTorchCheckpoint(tar)).toThrow(/tar format/);
  });

  test('tensors that leave their storage or blow it up are refused', () => {
    // One storage of 4 floats; offset, size and stride as given.
    const hostile = (offset: string, size: string, stride: string) => {
      const pickle = `\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ${offset}(${size}t(${stride}t\x89NtRs.`;
      return writeZip([
        { name: 'a/data.pkl', data: Uint8Array.from(pickle, (c) => c.charCodeAt(0)) },
        { name: 'a/data/0', data: new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer) },
      ]);
    };
    const read = (...args: [string, string, string]) =>
      Array.from(readPyTorchCheckpoint(hostile(...args)).tensors.get('w')?.data as Float32Array);
    expect(read('K\x01', 'K\x03', 'K\x01')).toEqual([2, 3, 4]);
    expect(read('K\x00', 'K\x02K\x02', 'K\x00K\x02')).toEqual([1, 3, 1, 3]);
    expect(() => read('K\x02', 'K\x03', 'K\x01')).toThrow(/storage 0 of 4 elements, it reaches element 4/);
    expect(() => read('K\x00', 'K\x02', 'J\xff\xff\xff\x7f')).toThrow(/lie within/);
    expect(() => read('K\x00', 'J\x00\x00\x00\x40', 'K\x00')).toThrow(/expanded tensor w/);
    expect(() => read('K\x00', 'J\xff\xff\xff\xff', 'K\x01')).toThrow(FormatError);
  });
});

describe('writePyTorchCheckpoint', () => {
  test('a round trip keeps names, order, types and bits', () => {
    fc.assert(
      fc.property(tensorMaps({ float16: true }), (tensors) => {
        if (tensors.size === 0) return;
        const nested = readPyTorchCheckpoint(
          writePyTorchCheckpoint(tensors, { stateDictKey: 'state_dict' }),
          {
            stateDictKey: 'state_dict',
          },
        );
        expect([...nested.tensors.keys()]).toEqual([...tensors.keys()]);
        for (const [name, tensor] of tensors) expect(nested.tensors.get(name)).toEqual(tensor);
      }),
      { numRuns: 60 },
    );
  });

  test('equal input gives equal bytes, storages on 64 bytes', () => {
    const tensors = readPyTorchCheckpoint(file('bare')).tensors;
    const bytes = writePyTorchCheckpoint(tensors);
    expect(Buffer.compare(bytes, writePyTorchCheckpoint(tensors))).toBe(0);
    const back = readPyTorchCheckpoint(bytes);
    expect(contents(back.tensors)).toEqual(fixture.bare);
    expect((back.tensors.get('as.float64')!.data as Float64Array).byteOffset % 64).toBe(0);
  });
});
