import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { FormatError } from './format-error.js';
import { writeNpy } from './npy.js';
import { readClassLabelsNpy, readPickledNpy } from './pickled-npy.js';
import { fromBase64, readFixture } from './testing/fixtures.js';

const fixture = readFixture<{ pickled: string[]; objects: string[] }>('numpy.json');

function pickledNpy(body: Uint8Array | string): Uint8Array {
  const header = "{'descr': '|O', 'fortran_order': False, 'shape': (), }\n";
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  return Buffer.concat([
    Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0]),
    Buffer.from(header),
    bytes,
  ]);
}

describe('readClassLabelsNpy', () => {
  test.each(fixture.pickled.map((file, protocol) => [protocol, file] as const))(
    'reads pickle protocol %i',
    (_, file) => {
      const labels = readClassLabelsNpy(fromBase64(file));
      expect([...labels]).toEqual([
        ['2007_000032', Float32Array.of(1, 0, 1)],
        ['2007_000039', Float32Array.of(0, 1, 0)],
        ['é', Float32Array.of(0, 0, 0)],
      ]);
    },
  );

  test('reads the real file of the field', () => {
    const path = new URL('../../../../shared/data/voc12-lists/cls_labels.npy', import.meta.url);
    if (!existsSync(path)) {
      console.warn('Skipped: ../shared/data/voc12-lists/cls_labels.npy is not there.');
      return;
    }
    const labels = readClassLabelsNpy(readFileSync(path));
    expect(labels.size).toBe(12_031);
    expect([...labels.keys()].every((id) => /^\d{4}_\d{6}$/.test(id))).toBe(true);
    const sums = [...labels.values()].map((vector) => vector.reduce((a, b) => a + b, 0));
    expect(Math.min(...sums)).toBeGreaterThan(0);
    expect(new Set([...labels.values()].map((vector) => vector.length))).toEqual(new Set([20]));
    // 2007_000032: aeroplane and person.
    expect(Array.from(labels.get('2007_000032') ?? []).flatMap((v, i) => (v === 1 ? [i] : []))).toEqual([
      0, 14,
    ]);
  });

  test('names what is no class vector', () => {
    expect(() => readClassLabelsNpy(fromBase64(fixture.objects[0]))).toThrow(
      /vector of numbers for image list/,
    );
    expect(() => readClassLabelsNpy(fromBase64(fixture.objects[1]))).toThrow(/dict/);
  });
});

describe('readPickledNpy', () => {
  test('reads values of every kind', () => {
    const value = readPickledNpy(fromBase64(fixture.objects[0])) as Map<string, unknown>;
    const list = value.get('list') as unknown[];
    expect(list.slice(0, 5)).toEqual([1, 2.5, null, true, 'text']);
    expect(Array.from(list[5] as Uint8Array)).toEqual(Array.from(Buffer.from('bytes')));
    expect(list.slice(6)).toEqual([[1, 2], new Set([3])]);
    expect(value.get('shared')).toBe(list);
    expect(value.get('big')).toBe(2n ** 70n);
    expect(value.get('negative')).toBe(-(2 ** 40));
    expect(value.get('matrix')).toEqual({ dtype: 'int16', shape: [2, 2], data: Int16Array.of(0, 1, 2, 3) });
    expect(value.get('scalar')).toBe(1.5);
    expect(value.get('flag')).toBe(true);
    expect(value.get('long')).toBe('x'.repeat(300));
    expect(value.get('inf')).toBe(Number.POSITIVE_INFINITY);
    expect(readPickledNpy(fromBase64(fixture.objects[1]))).toEqual([
      new Map<string, unknown>([
        ['first', 1],
        ['second', new Map([['k', [1]]])],
      ]),
      'b',
    ]);
    const plain = { dtype: 'float32' as const, shape: [1], data: Float32Array.of(3) };
    expect(readPickledNpy(writeNpy(plain))).toEqual(plain);
  });

  test('executes nothing, names the global and where it stands', () => {
    const evil = pickledNpy("cos\nsystem\n(S'echo unsafe'\ntR.");
    let error: FormatError | undefined;
    try {
      readPickledNpy(evil);
    } catch (caught) {
      error = caught as FormatError;
    }
    expect(error).toBeInstanceOf(FormatError);
    expect(error?.code).toBe('unknown-global');
    expect(error?.details.global).toBe('os.system');
    expect(error?.message).toMatch(/os\.system \(pickle offset \d+\).*allow-list/);
    for (const name of [
      'builtins\neval',
      'numpy\nload',
      '__builtin__\ngetattr',
      'collections\nnamedtuple',
      'a\n__proto__',
    ]) {
      expect(() => readPickledNpy(pickledNpy(`c${name}\n.`))).toThrow(/not on the allow-list/);
    }
  });

  test.each([
    ['an empty pickle', ''],
    ['an empty stack', '.'],
    ['a pop below a mark', '(0.'],
    ['a mark never set', 't.'],
    ['an unknown opcode', '\xff.'],
    ['a newer protocol', '\x80\x09N.'],
    ['an unknown memo entry', 'h\x05.'],
    ['an append to a dict', '}Na.'],
    ['items of a list', ']NNs.'],
    ['an odd number of items', '}(Nu.'],
    ['a text that is too long', 'X\xff\xff\xff\xffabc'],
    ['a call of a number', 'K\x01)R.'],
    ['a line without end', 'I12345'],
    ['a number that is none', 'I1x\n.'],
    ['a state for a number', 'K\x01Nb.'],
    ['an array without a state', 'cnumpy\nndarray\n)R.'],
    ['an integer of a gigabyte', '\x8b\x00\x00\x00\x40.'],
    ['a persistent id', 'PX\n.'],
    ['an encoding that is not latin1', 'c_codecs\nencode\n(Vab\nVutf-7\ntR.'],
  ])('refuses %s', (_, body) => {
    expect(() => readPickledNpy(pickledNpy(body))).toThrow(FormatError);
  });

  test('bombs end at a limit', () => {
    // Lists of lists, each twice in the next: two to the power of the depth.
    let doubling = '(lp0\n';
    for (let i = 1; i < 60; i++) doubling += `(g${i - 1}\ng${i - 1}\nlp${i}\n`;
    expect(() => readPickledNpy(pickledNpy(`${doubling}.`))).not.toThrow();
    const nested = `${']'.repeat(5000)}${'a'.repeat(4999)}.`;
    expect(() => readPickledNpy(pickledNpy(nested))).toThrow(/nested at most/);
    const itself = readPickledNpy(pickledNpy(']q\x00h\x00a.')) as unknown[];
    expect(itself[0]).toBe(itself);
    // One long text, made into bytes again and again.
    const again = 'c_codecs\nencode\nq\x01X\x00\x00\x08\x00';
    const body = `${again}${'a'.repeat(0x80000)}q\x02X\x06\x00\x00\x00latin1q\x030000](${'h\x01h\x02h\x03\x86R'.repeat(20000)}e.`;
    const before = process.memoryUsage().arrayBuffers;
    readPickledNpy(pickledNpy(body.replace('0000]', ']')));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(200e6);
    const dicts = pickledNpy(`(${'}'.repeat(1_000_100)}t.`);
    expect(() => readPickledNpy(dicts)).toThrow(/at most 4000000 objects/);
  });
});
