import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fuzzTargets, readCorpus } from './testing/fuzz.js';

// A short, repeatable run; `npm run fuzz -w @auxseg/formats -- 3600` spends that many seconds on new input.
describe('hostile files', () => {
  test('the files that the changes start from', () => expect(readCorpus).not.toThrow());

  test.each(fuzzTargets)('$name', ({ property }) => {
    expect(() => fc.assert(property, { numRuns: 120, seed: 20240607, endOnFailure: true })).not.toThrow();
  });
});
