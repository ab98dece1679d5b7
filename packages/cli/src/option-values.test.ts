import { expect, test } from '@jest/globals';
import { nameList, numberIn, wholeNumber } from './option-values.js';

test('numbers within their range, and nothing else', () => {
  expect(wholeNumber(0)('12')).toBe(12);
  expect(wholeNumber()('-3')).toBe(-3);
  expect(() => wholeNumber(1)('0')).toThrow('Expected a whole number from 1.');
  expect(() => wholeNumber()('1e400')).toThrow('Expected a whole number.');
  expect(numberIn(0, 1)('0.25')).toBe(0.25);
  for (const text of ['abc', '', ' ', '1.5', '1e3', '-1', '0x10', 'NaN', '7'])
    expect(() => wholeNumber(0, 6)(text)).toThrow('Expected a whole number in 0..6.');
  for (const text of ['abc', '', '1.5', '-1', 'NaN'])
    expect(() => numberIn(0, 1)(text)).toThrow('Expected a number in 0..1.');
});

test('lists of names', () => {
  expect(nameList('train, val')).toEqual(['train', 'val']);
  for (const text of ['', 'train,', ',val', 'a,,b'])
    expect(() => nameList(text)).toThrow('single commas between them');
});
