import { readFileSync } from 'node:fs';
import type { NamedTensor } from '../tensors.js';

/** What a reference program says a tensor holds. */
export interface ExpectedTensor {
  dtype: string;
  shape: number[];
  data: number[];
}

/** Reads a JSON fixture that tools/reference/formats made. */
export function readFixture<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../src/fixtures/${name}`, import.meta.url), 'utf8')) as T;
}

/** A fixture's file. */
export function fromBase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

/** A tensor as plain data, int64 and bool as numbers. */
export function plainTensor(tensor: NamedTensor | undefined): ExpectedTensor | undefined {
  if (!tensor) return undefined;
  return {
    dtype: tensor.dtype,
    shape: tensor.shape,
    data: Array.from(tensor.data as ArrayLike<number>, Number),
  };
}
