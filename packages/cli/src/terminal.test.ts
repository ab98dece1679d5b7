import { expect, jest, test } from '@jest/globals';
import { createTerminal, formatSeconds, formatTable } from './terminal.js';

test('durations change their unit at a minute and at an hour', () => {
  expect([-3, 0.4, 59.4, 59.6, 185, 3599.6, 7800].map(formatSeconds)).toEqual([
    '0 s',
    '0 s',
    '59 s',
    '1 min 00 s',
    '3 min 05 s',
    '1 h 00 min',
    '2 h 10 min',
  ]);
});

test('a table aligns names left and numbers right, with no blanks at the end of a line', () => {
  const rows = [
    ['a', '9.1'],
    ['longer name', '-'],
  ];
  expect(formatTable(['stage', 'mIoU'], rows).split('\n')).toEqual([
    'stage        mIoU',
    '-----------  ----',
    'a             9.1',
    'longer name     -',
  ]);
  expect(formatTable(['only', 'header'], [])).toBe('only  header\n----  ------');
});

test('results go to stdout in one of the two forms, everything else to stderr', () => {
  const written = (json: boolean) => {
    const out = jest.spyOn(process.stdout, 'write').mockReturnValue(true);
    const err = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    const terminal = createTerminal({ json });
    terminal.note('working');
    terminal.print('people');
    terminal.printJson({ machine: 1 });
    const texts = [out, err].map((spy) => spy.mock.calls.map(([text]) => String(text)).join(''));
    out.mockRestore();
    err.mockRestore();
    return texts;
  };
  expect(written(false)).toEqual(['people\n', 'working\n']);
  expect(written(true)).toEqual(['{\n  "machine": 1\n}\n', 'working\n']);
});
