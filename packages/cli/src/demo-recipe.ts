/** The demo: preset `tiny` on the synthetic set, with the segmentation-only control on the same stage-0 labels. */
export const demoRecipe = {
  name: 'demo',
  preset: 'tiny',
  branches: [
    {
      name: 'seg-only',
      description: 'segmentation loss only, no affinity, stage-0 labels, as many steps as all stages',
      affinity: 'identity',
      losses: { classification: 0, saliency: 0, segmentation: 1 },
      rounds: 3,
      compareWithStage: 3,
    },
  ],
};
