import type { RgbImage } from '@auxseg/formats';
import { SaliencyError } from './errors.js';
import type { SaliencySample, SaliencySource } from './types.js';

/** One check of the suite: run it inside a test of any framework; it rejects with SaliencyError CONTRACT. */
export interface ConformanceCheck {
  readonly name: string;
  run(): Promise<void>;
}

/** What the suite needs. */
export interface SaliencyConformanceOptions {
  /** Makes a fresh source; called once a check, closed afterwards. */
  readonly create: () => SaliencySource | Promise<SaliencySource>;
  /** Samples the source can answer for; default: `conformanceSamples()`. Sources that look things up by id pass their own. */
  readonly samples?: readonly SaliencySample[];
}

/** Small images that have broken detectors: pictures of odd sizes, plain, noise, one pixel, lines, a panorama. */
export function conformanceSamples(): SaliencySample[] {
  const scene = (id: string, width: number, height: number): SaliencySample => ({
    id,
    image: paint(width, height, (x, y, random) => {
      const inside = ((x + 0.5) / width - 0.5) ** 2 + ((y + 0.5) / height - 0.55) ** 2 < 0.06;
      const shade = inside ? 200 : 60 + (40 * x) / width;
      return [shade + 12 * random(), inside ? 60 : shade, 90 + 20 * random()];
    }),
  });
  return [
    scene('scene-64x48', 64, 48),
    scene('scene-37x53', 37, 53),
    scene('panorama-400x9', 400, 9),
    scene('column-1x40', 1, 40),
    scene('row-40x1', 40, 1),
    scene('four-pixels-2x2', 2, 2),
    scene('one-pixel-1x1', 1, 1),
    { id: 'plain-30x20', image: paint(30, 20, () => [127, 80, 20]) },
    {
      id: 'noise-30x20',
      image: paint(30, 20, (_x, _y, random) => [255 * random(), 255 * random(), 255 * random()]),
    },
  ];
}

/**
 * Checks that any `SaliencySource` must pass; call it from your own test file.
 *
 * `for (const check of saliencySourceConformance({ create })) test(check.name, check.run)`
 */
export function saliencySourceConformance(options: SaliencyConformanceOptions): ConformanceCheck[] {
  const samples = options.samples ?? conformanceSamples();
  const using = (body: (source: SaliencySource) => Promise<void>) => async () => {
    const source = await options.create();
    try {
      await body(source);
    } finally {
      await source.close?.();
    }
  };
  return [
    {
      name: 'has a name and thresholds with 0 <= background <= foreground <= 1',
      run: using(async ({ name, thresholds: { foreground, background } }) => {
        expectThat(typeof name === 'string' && name.length > 0, 'a non-empty name', name);
        expectThat(
          background >= 0 && background <= foreground && foreground <= 1,
          '0 <= background <= foreground <= 1',
          `background ${background}, foreground ${foreground}`,
        );
      }),
    },
    {
      name: 'gives a Float32 map of the image size, finite and in 0..1, for every image',
      run: using(async (source) => {
        for (const sample of samples) {
          const { width, height } = sample.image;
          const map = await source.map(sample);
          const where = `for ${sample.id}`;
          expectThat(
            map.width === width && map.height === height,
            `${width}x${height} ${where}`,
            `${map.width}x${map.height}`,
          );
          const kind = Object.prototype.toString.call(map.data);
          expectThat(kind === '[object Float32Array]', `a Float32Array ${where}`, kind);
          expectThat(
            map.data.length === width * height,
            `${width * height} values ${where}`,
            map.data.length,
          );
          for (const value of map.data)
            expectThat(value >= 0 && value <= 1, `values in 0..1 ${where}`, value);
        }
      }),
    },
    {
      name: 'gives the same map again, from a second source, and in any order',
      run: using(async (source) => {
        const first = await Promise.all(samples.map((sample) => source.map(sample)));
        const other = await options.create();
        try {
          for (let i = samples.length - 1; i >= 0; i--) {
            const again = await source.map(samples[i]);
            const elsewhere = await other.map(samples[i]);
            expectThat(
              sameValues(first[i].data, again.data),
              `the same map of ${samples[i].id} again`,
              'another',
            );
            expectThat(
              sameValues(first[i].data, elsewhere.data),
              `the same map of ${samples[i].id} from a second source`,
              'another',
            );
          }
        } finally {
          await other.close?.();
        }
      }),
    },
    {
      name: 'returns new memory and leaves the image alone',
      run: using(async (source) => {
        const sample = samples[0];
        const before = sample.image.data.slice();
        const first = await source.map(sample);
        const kept = first.data.slice();
        first.data.fill(0.123);
        const second = await source.map(sample);
        expectThat(
          sameValues(kept, second.data),
          'a map that an earlier caller cannot change',
          'a changed one',
        );
        expectThat(sameValues(before, sample.image.data), 'an unchanged image', 'a changed one');
      }),
    },
  ];
}

function paint(
  width: number,
  height: number,
  colour: (x: number, y: number, random: () => number) => number[],
): RgbImage {
  let state = (width * 7919 + height) >>> 0;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.set(colour(x, y, random), 3 * (y * width + x));
  }
  return { width, height, data };
}

function sameValues(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function expectThat(condition: boolean, expected: string, got: unknown): void {
  if (!condition) {
    throw new SaliencyError(
      'CONTRACT',
      `Expected the saliency source to give ${expected}, got ${String(got)}.`,
      {
        expected,
        got,
      },
    );
  }
}
