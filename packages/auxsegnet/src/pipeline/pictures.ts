import { writeRgbPng } from '@auxseg/formats';
import { openLabelStore } from '@auxseg/pseudo-label';
import { colourHeatMap, colourLabels, markPoint } from '@auxseg/report';
import { disposeModel } from '@auxseg/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { argmaxLabels, imageToTensor, predictSegmentation, workingSize } from '../inference.js';
import { type AuxSegNet, runNetwork } from '../network.js';
import type { PipelineContext } from './context.js';
import { createInitialNetwork, loadNetworkFile, networkConfigOf } from './network-files.js';
import { updateLabels } from './stage.js';
import { fusionOptions, labelFolder, readCams } from './stage-zero.js';

/** One entry of pictures/index.json. */
export interface PictureStrip {
  id: string;
  labels: string[];
  items: { title: string; file: string; kind: PictureKind; stage?: number }[];
}
export type PictureKind = 'photo' | 'cam' | 'saliency' | 'label' | 'prediction' | 'truth' | 'affinity';

/** Renders, for some training images, what every step made of them. */
export async function makePictures(context: PipelineContext): Promise<void> {
  const { recipe, directory, train } = context;
  const ids = pickIds(context);
  const network = await createInitialNetwork(context, networkConfigOf(recipe));
  const strips: PictureStrip[] = [];
  try {
    if (recipe.stages > 0)
      await loadNetworkFile(context, network, `stage-${recipe.stages}/model.safetensors`);
    for (const id of ids) strips.push(await pictureStrip(context, network, id));
  } finally {
    disposeModel(network.model);
  }
  await directory.writeJson('pictures/index.json', strips);
  context.emit({
    type: 'note',
    text: `${strips.length} of ${train.ids.length} training images in the report`,
  });
}

/** Evenly spaced over the images that have masks, those with several classes first. */
function pickIds(context: PipelineContext): string[] {
  const pool = context.scoredTrain?.ids ?? context.train.ids;
  const count = Math.min(context.recipe.pictures, pool.length);
  const numLabels = (id: string) => context.train.imageLabels(id).reduce((a, b) => a + (b > 0 ? 1 : 0), 0);
  const several = pool.filter((id) => numLabels(id) > 1);
  const single = pool.filter((id) => numLabels(id) === 1);
  const take = (list: readonly string[], n: number) =>
    Array.from(
      { length: Math.min(n, list.length) },
      (_, i) => list[Math.floor(((i + 0.5) * list.length) / Math.min(n, list.length))],
    );
  const first = take(several, Math.ceil(count / 2));
  return [...first, ...take(single, count - first.length)];
}

async function pictureStrip(context: PipelineContext, network: AuxSegNet, id: string): Promise<PictureStrip> {
  const { recipe, directory, train } = context;
  const { image, labels } = await train.sample(id);
  const present = [...labels.keys()].filter((k) => labels[k] > 0);
  const strip: PictureStrip = { id, labels: present.map((k) => train.classes[k]), items: [] };
  const { width, height } = image;
  const pixels = width * height;
  const add = async (
    title: string,
    kind: PictureKind,
    picture: Parameters<typeof writeRgbPng>[0],
    stage?: number,
  ) => {
    const file = `pictures/${id}-${String(strip.items.length).padStart(2, '0')}-${kind}.png`;
    await directory.write(file, writeRgbPng(picture));
    strip.items.push({ title, file, kind, ...(stage === undefined ? {} : { stage }) });
  };
  const heat = (data: Float32Array) => colourHeatMap({ width, height, data }, { over: image });
  const grey = (data: Float32Array) => colourHeatMap({ width, height, data });
  /** Present classes' CAMs as one map: the largest of them. */
  const strongest = (cams: Float32Array) => {
    const result = new Float32Array(pixels);
    for (const k of present) {
      for (let i = 0; i < pixels; i++) result[i] = Math.max(result[i], Math.min(1, cams[k * pixels + i]));
    }
    return result;
  };

  await add('photo', 'photo', image);
  if (context.scoredTrain?.ids.includes(id)) {
    await add(
      'truth (evaluation only)',
      'truth',
      colourLabels(await context.scoredTrain.truth(id), { over: image }),
    );
  }
  const original = openLabelStore(directory.path(labelFolder(0)));
  const originalSaliency = await original.saliency(id);
  await add('classifier CAM', 'cam', heat(strongest(await readCams(context, id, image))), 0);
  if (recipe.stages > 0) {
    const update = await updateLabels({
      recipe,
      network,
      image,
      labels,
      original: originalSaliency.data,
      fusion: fusionOptions(context, recipe.stages),
      crf: context.crf,
      id,
    });
    await add('CAM before propagation', 'cam', heat(strongest(update.camBefore())), recipe.stages);
    await add('CAM after propagation', 'cam', heat(strongest(update.camAfter)), recipe.stages);
    await add('off-the-shelf saliency', 'saliency', grey(originalSaliency.data), 0);
    await add('updated saliency', 'saliency', grey(update.saliency.data), recipe.stages);
  } else await add('off-the-shelf saliency', 'saliency', grey(originalSaliency.data), 0);
  for (let stage = 0; stage <= recipe.stages; stage++) {
    const store = openLabelStore(directory.path(labelFolder(stage)));
    await add(
      `pseudo label, stage ${stage}`,
      'label',
      colourLabels(await store.segmentation(id), { over: image }),
      stage,
    );
  }
  if (recipe.stages > 0) {
    const scores = predictSegmentation(network, image, {
      normalization: recipe.network.normalization,
      longSidePx: recipe.data.longSidePx,
    });
    await add('prediction', 'prediction', colourLabels(argmaxLabels(scores), { over: image }), recipe.stages);
    if (network.outputs.includes('affinity')) {
      const point = strongestPoint(strongest(await readCams(context, id, image)), width);
      const row = affinityRow(context, network, image, point);
      await add('affinity of the marked pixel', 'affinity', markPoint(heat(row), point), recipe.stages);
    }
  }
  return strip;
}

function strongestPoint(map: Float32Array, width: number): { x: number; y: number } {
  let best = 0;
  for (let i = 1; i < map.length; i++) if (map[i] > map[best]) best = i;
  return { x: best % width, y: Math.floor(best / width) };
}

/** Row of A_CT for the cell under a pixel, scaled to 0..1 and upsampled to the image. */
function affinityRow(
  context: PipelineContext,
  network: AuxSegNet,
  image: { width: number; height: number; data: Uint8Array },
  point: { x: number; y: number },
): Float32Array {
  const { recipe } = context;
  return tf.tidy(() => {
    const size = workingSize(image, recipe.data.longSidePx);
    const out = runNetwork(network, imageToTensor(image, size, recipe.network.normalization), [
      'affinity',
      'cam',
    ]);
    const [, h, w] = out.cam.shape as [number, number, number, number];
    const x = Math.min(w - 1, Math.floor((point.x / image.width) * w));
    const y = Math.min(h - 1, Math.floor((point.y / image.height) * h));
    const row = tf.reshape(tf.slice(out.affinity as tf.Tensor3D, [0, y * w + x, 0], [1, 1, h * w]), [
      1,
      h,
      w,
      1,
    ]);
    const scaled = tf.div(row, tf.add(tf.max(row), 1e-12)) as tf.Tensor4D;
    // Nearest neighbour: the map is shown as coarse as it is.
    return tf.image.resizeNearestNeighbor(scaled, [image.height, image.width]).dataSync() as Float32Array;
  });
}
