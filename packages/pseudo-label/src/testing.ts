import { PseudoLabelError } from './errors.js';
import type { PseudoLabeler, PseudoLabelInput } from './types.js';

/** One check of the suite: run it inside a test of any framework; it throws PseudoLabelError CONTRACT. */
export interface ConformanceCheck {
  readonly name: string;
  run(): void;
}

/**
 * Checks that any `PseudoLabeler` must pass; call it from your own test file.
 *
 * `for (const check of pseudoLabelerConformance(() => myLabeler)) test(check.name, check.run)`
 */
export function pseudoLabelerConformance(create: () => PseudoLabeler): ConformanceCheck[] {
  const sizes = [
    [1, 1],
    [1, 7],
    [9, 1],
    [13, 8],
  ] as const;
  return [
    {
      name: 'has a name',
      run() {
        expectThat(create().name.length > 0, 'a non-empty name', create().name);
      },
    },
    {
      name: 'returns one byte a pixel at any image size',
      run() {
        for (const [width, height] of sizes) {
          const map = create().label(sampleInput(width, height, 5));
          expectThat(
            map.width === width && map.height === height,
            `${width}x${height}`,
            `${map.width}x${map.height}`,
          );
          expectThat(map.data.length === width * height, `${width * height} values`, map.data.length);
          expectThat(
            Object.prototype.toString.call(map.data) === '[object Uint8Array]',
            'a Uint8Array',
            Object.prototype.toString.call(map.data),
          );
        }
      },
    },
    {
      name: 'labels only background, present classes and 255',
      run() {
        for (let seed = 1; seed <= 20; seed++) {
          const input = sampleInput(11, 7, seed);
          for (const value of create().label(input).data) {
            const allowed = value === 0 || value === 255 || Boolean(input.labels[value - 1]);
            expectThat(allowed, `0, 255 or a class among [${Array.from(input.labels)}]`, value);
          }
        }
      },
    },
    {
      name: 'is deterministic and leaves its input alone',
      run() {
        const labeler = create();
        const input = sampleInput(17, 9, 3);
        const camBefore = input.cam.slice();
        const saliencyBefore = input.saliency.slice();
        const labelsBefore = Array.from(input.labels);
        const first = labeler.label(input).data.slice();
        labeler.label(sampleInput(5, 6, 8));
        expectThat(sameValues(first, labeler.label(input).data), 'the same labels a second time', 'others');
        expectThat(
          sameValues(first, create().label(input).data),
          'the same labels from a second instance',
          'others',
        );
        expectThat(sameValues(camBefore, input.cam), 'an unchanged CAM', 'a changed one');
        expectThat(sameValues(saliencyBefore, input.saliency), 'an unchanged saliency map', 'a changed one');
        expectThat(sameValues(labelsBefore, input.labels), 'unchanged image labels', 'changed ones');
      },
    },
    {
      name: 'calls nothing an object without image labels',
      run() {
        const input = { ...sampleInput(8, 8, 4), labels: new Uint8Array(3) };
        for (const value of create().label(input).data)
          expectThat(value === 0 || value === 255, '0 or 255', value);
      },
    },
    {
      name: 'refuses a saliency map of another size',
      run() {
        expectRefusal(create(), { ...sampleInput(8, 8, 4), saliency: new Float32Array(5) });
      },
    },
    {
      name: 'refuses CAMs of another size',
      run() {
        expectRefusal(create(), { ...sampleInput(8, 8, 4), cam: new Float32Array(5) });
      },
    },
  ];
}

function expectRefusal(labeler: PseudoLabeler, input: PseudoLabelInput): void {
  let refused = false;
  try {
    labeler.label(input);
  } catch {
    refused = true;
  }
  expectThat(refused, 'an error', 'a label map');
}

function sampleInput(width: number, height: number, seed: number): PseudoLabelInput {
  let state = seed >>> 0;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const classes = 3;
  const cam = Float32Array.from({ length: classes * width * height }, random);
  const saliency = Float32Array.from({ length: width * height }, random);
  const labels = Uint8Array.from({ length: classes }, () => (random() < 0.6 ? 1 : 0));
  return { cam, width, height, labels, saliency, id: `sample-${seed}` };
}

function sameValues(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function expectThat(condition: boolean, expected: string, got: unknown): void {
  if (!condition) {
    throw new PseudoLabelError('CONTRACT', `Expected the labeler to give ${expected}, got ${String(got)}.`, {
      expected,
      got,
    });
  }
}
