import type { ScoreMap } from '@auxseg/formats';
import { checkThresholds } from './check-unit.js';
import { SaliencyError } from './errors.js';
import type { SaliencySource, SaliencyThresholds } from './types.js';

/** How several maps become one, pixel by pixel. */
export type CombineRule = 'mean' | 'max' | 'product';

/**
 * A source that merges others: their mean, maximum or product at every pixel, [H,W], 0..1.
 *
 * The thresholds are merged by the same rule unless given. Throws SaliencyError: BAD_OPTION for no sources or an unknown rule,
 * BAD_SHAPE when a source returns another size than the image's. Closing it closes the merged sources.
 */
export function combineSaliency(
  sources: readonly SaliencySource[],
  rule: CombineRule,
  options: { readonly name?: string; readonly thresholds?: SaliencyThresholds } = {},
): SaliencySource {
  if (sources.length === 0) {
    throw new SaliencyError('BAD_OPTION', 'Expected at least one saliency source to combine, got none.');
  }
  if (rule !== 'mean' && rule !== 'max' && rule !== 'product') {
    throw new SaliencyError(
      'BAD_OPTION',
      `Expected combination rule 'mean', 'max' or 'product', got ${JSON.stringify(rule)}.`,
      { rule },
    );
  }
  const merge = (values: number[]): number => {
    if (rule === 'max') return Math.max(...values);
    if (rule === 'product') return values.reduce((a, b) => a * b, 1);
    return values.reduce((a, b) => a + b, 0) / values.length;
  };
  const thresholds = options.thresholds ?? {
    foreground: merge(sources.map((source) => source.thresholds.foreground)),
    background: merge(sources.map((source) => source.thresholds.background)),
    ...(sources.some((source) => source.thresholds.single !== undefined)
      ? { single: merge(sources.map(({ thresholds: t }) => t.single ?? t.foreground)) }
      : {}),
  };
  const name = options.name ?? `${rule}(${sources.map((source) => source.name).join(', ')})`;
  checkThresholds(name, thresholds);
  return {
    name,
    thresholds,
    async map(sample) {
      const { width, height } = sample.image;
      const maps: ScoreMap[] = await Promise.all(sources.map((source) => source.map(sample)));
      const data = new Float32Array(width * height).fill(rule === 'product' ? 1 : 0);
      maps.forEach((map, k) => {
        if (map.width !== width || map.height !== height || map.data.length !== data.length) {
          throw new SaliencyError(
            'BAD_SHAPE',
            `Expected source ${sources[k].name} to return ${width}x${height} for image ${sample.id}, got ${map.width}x${map.height}.`,
            { id: sample.id, source: sources[k].name },
          );
        }
        if (rule === 'max') for (let i = 0; i < data.length; i++) data[i] = Math.max(data[i], map.data[i]);
        else if (rule === 'product') for (let i = 0; i < data.length; i++) data[i] *= map.data[i];
        else for (let i = 0; i < data.length; i++) data[i] += map.data[i];
      });
      // Dividing the sum, not adding shares: n equal maps give exactly that map.
      if (rule === 'mean') for (let i = 0; i < data.length; i++) data[i] = Math.min(1, data[i] / maps.length);
      return { width, height, data };
    },
    async close() {
      for (const source of sources) await source.close?.();
    },
  };
}
