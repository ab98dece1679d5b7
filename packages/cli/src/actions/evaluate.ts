import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { confusionByImage, sumConfusion } from '@auxseg/auxsegnet/pipeline';
import { parseList } from '@auxseg/datasets';
import { type LabelMap, readIndexedPng } from '@auxseg/formats';
import { pairedBootstrap } from '@auxseg/metrics';
import { CliUsageError } from '../cli-error.js';
import { createTerminal, formatTable } from '../terminal.js';

/** Options of `auxseg evaluate`. */
export interface EvaluateOptions {
  pred: string;
  truth: string;
  list: string;
  classes: string;
  map?: string;
  compare?: string;
  samples: number;
  seed: number;
  json?: boolean;
}

/** Scores a folder of predictions, and compares it with another. */
export async function evaluate(options: EvaluateOptions): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const numClasses = Number(options.classes);
  if (!Number.isInteger(numClasses) || numClasses < 2 || numClasses > 255) {
    throw new CliUsageError(`Expected --classes to be 2 to 255 (with background), got '${options.classes}'.`);
  }
  const text = await readFile(options.list, 'utf8').catch((cause) => {
    throw new CliUsageError(
      `Expected a list of ids at ${options.list}, got ${(cause as NodeJS.ErrnoException).code}.`,
    );
  });
  const ids = parseList(text, options.list).map(({ id }) => id);
  const mapping = truthMapping(options.map);
  const truth = async (id: string) => {
    const path = join(options.truth, `${id}.png`);
    const bytes = await readFile(path).catch((cause) => {
      throw new Error(
        `Expected a mask for image ${id} at ${path}, got ${(cause as NodeJS.ErrnoException).code}.`,
      );
    });
    const mask = readMask(bytes, path);
    const data = mask.data.map((value) => mapping[value]);
    const wrong = data.findIndex((value) => value !== 255 && value >= numClasses);
    if (wrong >= 0) {
      throw new Error(
        `Expected classes 0 to ${numClasses - 1} (or 255) in ${path}, got ${mask.data[wrong]} at x=${wrong % mask.width}, y=${Math.floor(wrong / mask.width)}; is --classes right, or is --map needed for a subset of classes?`,
      );
    }
    return { width: mask.width, height: mask.height, data };
  };
  const matrices = await confusionByImage({ predictions: options.pred, ids, truth, numClasses });
  const total = sumConfusion(matrices, numClasses);
  const result: Record<string, unknown> = {
    meanIoU: total.meanIoU(),
    perClassIoU: total.perClassIoU(),
    pixelAccuracy: total.pixelAccuracy(),
    images: ids.length,
  };
  if (options.compare !== undefined) {
    const other = await confusionByImage({ predictions: options.compare, ids, truth, numClasses });
    const comparison = pairedBootstrap({
      a: matrices,
      b: other,
      numClasses,
      samples: options.samples,
      seed: options.seed,
    });
    result['compare'] = { meanIoU: sumConfusion(other, numClasses).meanIoU(), ...comparison };
  }
  terminal.printJson(result);
  const percent = (value: number | null) => (value === null ? '-' : (100 * value).toFixed(2));
  terminal.print(
    formatTable(
      ['class', 'IoU %'],
      total.perClassIoU().map((iou: number | null, index: number) => [String(index), percent(iou)]),
    ),
  );
  terminal.print(
    `mean IoU ${percent(total.meanIoU())}, pixel accuracy ${percent(total.pixelAccuracy())}, ${ids.length} images`,
  );
  if (result['compare']) {
    const { meanIoU, difference, low, high } = result['compare'] as Record<string, number>;
    terminal.print(
      `${options.compare}: mean IoU ${percent(meanIoU)}; difference ${percent(difference)} points, 95% interval ${percent(low)} to ${percent(high)} (paired bootstrap over images)`,
    );
  }
}

function readMask(bytes: Uint8Array, path: string): LabelMap {
  try {
    return readIndexedPng(bytes);
  } catch (cause) {
    throw new Error(`Expected an indexed PNG of the true classes at ${path}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function truthMapping(map: string | undefined): Uint8Array {
  const mapping = Uint8Array.from({ length: 256 }, (_, value) => value);
  if (map === undefined) return mapping;
  const texts = map.split(',').map((text) => text.trim());
  const kept = texts.map(Number);
  if (kept.some((id, index) => !/^\d+$/.test(texts[index]) || id > 254 || kept.indexOf(id) !== index)) {
    throw new CliUsageError(`Expected --map to be class ids such as 0,8,10, each once, got '${map}'.`);
  }
  mapping.fill(0);
  mapping[255] = 255;
  kept.forEach((id, index) => {
    mapping[id] = index;
  });
  return mapping;
}
