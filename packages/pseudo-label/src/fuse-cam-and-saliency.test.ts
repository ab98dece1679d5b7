import { describe, expect, test } from '@jest/globals';
import { PseudoLabelError } from './errors.js';
import { type FusionOptions, fuseCamAndSaliency, resolveFusionOptions } from './fuse-cam-and-saliency.js';
import type { PseudoLabelInput } from './types.js';

function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function randomInput(seed: number, levels = 0) {
  const random = randomSource(seed);
  const width = 1 + Math.floor(random() * 12);
  const height = 1 + Math.floor(random() * 12);
  const classes = 1 + Math.floor(random() * 6);
  // A few levels only, so that values equal to a threshold and ties between classes occur.
  const value = () => (levels > 0 ? Math.floor(random() * levels) / 10 : random());
  return {
    width,
    height,
    cam: Float32Array.from({ length: classes * width * height }, value),
    labels: Uint8Array.from({ length: classes }, () => (random() < 0.5 ? 1 : 0)),
    saliency: Float32Array.from({ length: width * height }, value),
  };
}

/** The rule as the method facts say it, pixel by pixel, with float32 thresholds. */
function slowRule(input: PseudoLabelInput, camThreshold: number, saliencyThreshold: number): number[] {
  const { cam, labels, saliency, width, height } = input;
  const result: number[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const masked = Array.from(labels, (label, k) => (label ? cam[(k * height + y) * width + x] : 0));
      const top = Math.max(...masked);
      const object = top > Math.fround(camThreshold);
      const salient = saliency[y * width + x] > Math.fround(saliencyThreshold);
      if (object && salient) result.push(masked.indexOf(top) + 1);
      else if (object || salient) result.push(255);
      else result.push(0);
    }
  }
  return result;
}

/** Three zones and the keep option, as the doc comment's table says them. */
function slowZones(input: PseudoLabelInput, options: FusionOptions): number[] {
  const { cam, labels, saliency, width, height } = input;
  const f = Math.fround;
  const fg = f(options.saliencyForeground ?? options.saliencyThreshold ?? 0.06);
  const bg = f(options.saliencyBackground ?? fg);
  return Array.from(saliency, (s, i) => {
    let top = -1;
    let label = 0;
    for (let k = labels.length - 1; k >= 0; k--) {
      if (labels[k] && cam[k * width * height + i] >= top) {
        top = cam[k * width * height + i];
        label = k + 1;
      }
    }
    const object = top > f(options.camThreshold ?? 0.2);
    const zone = s > fg ? 'salient' : s <= bg ? 'background' : 'middle';
    if (!object) return zone === 'background' ? 0 : 255;
    if (zone === 'salient') return label;
    const keepAbove = f(options.keepAbove ?? 0.5);
    const bar = zone === 'middle' ? keepAbove : f(options.keepAboveInBackground ?? keepAbove);
    return options.confidentCam === 'keep' && top > bar ? label : 255;
  });
}

describe('fuseCamAndSaliency', () => {
  test('is the paper rule with the default thresholds, on random images', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const input = randomInput(seed);
      expect(Array.from(fuseCamAndSaliency(input).data)).toEqual(slowRule(input, 0.2, 0.06));
    }
  });

  test('treats a value equal to its threshold as below it, and a tie as the lower class', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const input = randomInput(seed, 5);
      const options = { camThreshold: 0.2, saliencyThreshold: 0.3 };
      expect(Array.from(fuseCamAndSaliency({ ...input, ...options }).data)).toEqual(
        slowRule(input, 0.2, 0.3),
      );
    }
  });

  test('three zones and keeping confident CAMs agree with the table, on random options', () => {
    for (let seed = 1; seed <= 400; seed++) {
      const input = randomInput(seed, seed % 2 ? 0 : 8);
      const random = randomSource(seed + 5000);
      const foreground = random() * 0.8;
      const options: FusionOptions = {
        camThreshold: random() * 0.5,
        saliencyForeground: foreground,
        ...(random() < 0.7 ? { saliencyBackground: foreground * random() } : {}),
        ...(random() < 0.6 ? { confidentCam: 'keep' as const, keepAbove: random() } : {}),
        ...(random() < 0.4 ? { keepAboveInBackground: random() * 1.3 } : {}),
      };
      expect(Array.from(fuseCamAndSaliency({ ...input, ...options }).data)).toEqual(
        slowZones(input, options),
      );
    }
  });

  test('without image labels nothing is an object', () => {
    const input = { ...randomInput(3), labels: new Uint8Array(randomInput(3).labels.length) };
    expect(Array.from(fuseCamAndSaliency(input).data)).toEqual(
      Array.from(input.saliency, (s) => (s > Math.fround(0.06) ? 255 : 0)),
    );
  });

  test('saliencyForeground wins over saliencyThreshold', () => {
    expect(resolveFusionOptions({ saliencyThreshold: 0.1, saliencyForeground: 0.4 })).toEqual({
      camThreshold: 0.2,
      saliencyForeground: 0.4,
      saliencyBackground: 0.4,
      confidentCam: 'ignore',
      keepAbove: 0.5,
      keepAboveInBackground: 0.5,
    });
  });

  test('says what is wrong with shapes, options and values', () => {
    const input = {
      width: 2,
      height: 1,
      cam: new Float32Array(4),
      labels: [1, 1],
      saliency: new Float32Array(2),
    };
    const code = (bad: object) => {
      try {
        fuseCamAndSaliency({ ...input, ...bad });
        return 'none';
      } catch (error) {
        return (error as PseudoLabelError).code;
      }
    };
    expect(code({})).toBe('none');
    expect(code({ cam: new Float32Array(3) })).toBe('BAD_SHAPE');
    expect(code({ saliency: new Float32Array(3) })).toBe('BAD_SHAPE');
    expect(code({ labels: [] })).toBe('BAD_SHAPE');
    expect(code({ width: 0 })).toBe('BAD_SHAPE');
    expect(code({ camThreshold: 1.5 })).toBe('BAD_OPTION');
    expect(code({ saliencyThreshold: Number.NaN })).toBe('BAD_OPTION');
    expect(code({ saliencyBackground: 0.5 })).toBe('BAD_OPTION');
    expect(code({ confidentCam: 'maybe' })).toBe('BAD_OPTION');
    expect(code({ cam: Float32Array.of(0, Number.NaN, 0, 0) })).toBe('BAD_VALUE');
    // NaN in an absent class's map is nobody's business.
    expect(code({ cam: Float32Array.of(0, Number.NaN, 0, 0), labels: [0, 1] })).toBe('none');
    expect(code({ saliency: Float32Array.of(0, Number.NaN) })).toBe('BAD_VALUE');
    // An 8-bit map that nobody divided: every pixel above 0 would be salient.
    expect(code({ saliency: Float32Array.of(0, 12) })).toBe('BAD_VALUE');
    expect(() => fuseCamAndSaliency({ ...input, saliency: Float32Array.of(0, 12), id: 'a' })).toThrow(
      /saliency in 0\.\.1, got 12 of image a at x=1, y=0; divide 8-bit maps by 255/,
    );
    expect(() => fuseCamAndSaliency({ ...input, saliency: new Float32Array(6), id: '2007_000032' })).toThrow(
      'Expected saliency [1,2] (2 numbers) for image 2007_000032, got 6',
    );
    expect(new PseudoLabelError('BAD_ID', 'm', { id: 1 }).details).toEqual({ id: 1 });
  });
});
