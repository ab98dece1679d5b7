import type { RgbImage } from '@auxseg/formats';
import { transformImage } from './apply-transform.js';
import { normalizationTable } from './normalization.js';
import { planSample } from './plan-transform.js';
import { type BatchItem, decodeImage } from './produce-batch.js';
import { createRandom } from './random.js';
import type { Normalization, TransformOptions } from './types.js';

/** One image to decode for inference. */
export interface WholeImageJob {
  readonly kind: 'whole-image';
  readonly item: Pick<BatchItem, 'id' | 'image' | 'labels'>;
  /** Also make the network's input. */
  readonly input?: { readonly normalization: Normalization; readonly resize?: TransformOptions['resize'] };
}

/** One image as inference needs it. */
export interface WholeImage {
  readonly id: string;
  readonly labels: Uint8Array; // [K]
  readonly image: RgbImage; // as decoded, [H,W,3] bytes
  /** Resized and normalised, when asked for. */
  readonly input?: {
    readonly width: number;
    readonly height: number;
    readonly data: Float32Array /* [h,w,3] */;
  };
}

/** Decodes one image and, when asked, makes the network's input from it: nothing random. */
export async function decodeWholeImage({ item, input }: WholeImageJob): Promise<WholeImage> {
  const decoded = await decodeImage(item.image);
  // A synthetic scene may be cached, so the caller (who transfers the buffer away) gets a copy.
  const image = item.image.type === 'file' ? decoded : { ...decoded, data: decoded.data.slice() };
  if (!input) return { id: item.id, labels: item.labels, image };
  const { geometry } = planSample(image, { resize: input.resize }, createRandom(0), null);
  const data = new Float32Array(geometry.outputWidth * geometry.outputHeight * 3);
  transformImage({
    data: image.data,
    geometry,
    jitter: null,
    table: normalizationTable(input.normalization),
    pad: 0,
    out: data,
    offset: 0,
  });
  return {
    id: item.id,
    labels: item.labels,
    image,
    input: { width: geometry.outputWidth, height: geometry.outputHeight, data },
  };
}
