import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { DatasetError } from './dataset-error.js';
import { fileError } from './file-error.js';
import { readImage } from './read-image.js';
import { decodeMask, type PngHeader, readPngHeader } from './read-mask.js';

/** One image and its mask to look at. */
export interface InspectJob {
  readonly kind: 'inspect';
  readonly id: string;
  readonly image?: string;
  readonly mask?: string;
}

/** Why something could not be read: the bare reason, because the place is told beside it. */
export interface InspectionError {
  readonly code: string;
  readonly reason: string;
}

/** What was found in one image and its mask. */
export interface SampleInspection {
  readonly id: string;
  readonly image?: {
    readonly width: number;
    readonly height: number /** SHA-256 of size and pixels. */;
    readonly hash: string;
  };
  readonly imageError?: InspectionError;
  readonly mask?: {
    readonly width: number;
    readonly height: number /** Pixels by value. */;
    readonly counts: Record<number, number>;
  };
  readonly maskHeader?: PngHeader;
  readonly maskError?: InspectionError;
}

/** Reads one image and its mask whole and says what is in them; what cannot be read is part of the answer, not an error. */
export async function inspectSample(job: InspectJob): Promise<SampleInspection> {
  const result: { -readonly [P in keyof SampleInspection]: SampleInspection[P] } = { id: job.id };
  const failure = (error: unknown): InspectionError => {
    const { code, details } =
      error instanceof DatasetError ? error : { code: 'unreadable-image', details: {} };
    const reason = (details as { reason?: unknown }).reason;
    return { code, reason: typeof reason === 'string' ? reason : (error as Error).message };
  };
  if (job.image !== undefined) {
    try {
      const { width, height, data } = await readImage(await readBytes(job.image));
      result.image = {
        width,
        height,
        hash: createHash('sha256').update(`${width}x${height}:`).update(data).digest('hex'),
      };
    } catch (error) {
      result.imageError = failure(error);
    }
  }
  if (job.mask !== undefined) {
    try {
      const bytes = await readBytes(job.mask);
      result.maskHeader = readPngHeader(bytes) ?? undefined;
      const { width, height, data } = decodeMask(bytes, job.mask);
      const histogram = new Uint32Array(256);
      for (let p = 0; p < data.length; p++) histogram[data[p]]++;
      const counts: Record<number, number> = {};
      histogram.forEach((n, v) => {
        if (n > 0) counts[v] = n;
      });
      result.mask = { width, height, counts };
    } catch (error) {
      result.maskError = failure(error);
    }
  }
  return result;
}

function readBytes(file: string): Promise<Uint8Array> {
  return readFile(file).catch((error) => {
    throw fileError(error, file, 'a file', '');
  });
}
