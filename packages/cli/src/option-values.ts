import { InvalidArgumentError } from 'commander';

/** Reads an option's text as a whole number in min..max; commander names the option where it is none. */
export function wholeNumber(min = -Infinity, max = Infinity): (text: string) => number {
  const range = max < Infinity ? ` in ${min}..${max}` : min > -Infinity ? ` from ${min}` : '';
  return (text) => {
    const value = Number(text);
    if (/^-?\d+$/.test(text.trim()) && Number.isSafeInteger(value) && value >= min && value <= max)
      return value;
    throw new InvalidArgumentError(`Expected a whole number${range}.`);
  };
}

/** Reads an option's text as a number in min..max. */
export function numberIn(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Expected a number in ${min}..${max}.`);
  };
}

/** Reads an option's text as names between commas; spaces around them do not count. */
export function nameList(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (!names.includes('')) return names;
  throw new InvalidArgumentError('Expected names with single commas between them.');
}
