import { expect, test } from '@jest/globals';
import { denseCrfWasmSource } from './generated/dense-crf-wasm.js';

test('the embedded kernel was compiled from the sources as they are', async () => {
  const script = new URL('../scripts/build-wasm.mjs', import.meta.url).href;
  const { sourceHash } = (await import(script)) as { sourceHash(): string };
  // If this fails: npm run build in packages/crf, and commit src/generated.
  expect(denseCrfWasmSource).toBe(sourceHash());
});
