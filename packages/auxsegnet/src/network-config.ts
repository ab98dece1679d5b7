import * as z from 'zod';

/**
 * What is needed to rebuild a network: stored as metadata in every weight file that the pipeline writes, and the
 * `network` section of a recipe.
 */
export const networkConfigSchema = z.strictObject({
  backbone: z.strictObject({
    name: z.enum(['resnet38', 'mobilenetv2', 'tiny']),
    /** Channel multiplier. */
    width: z.number().positive().default(1),
    /** Input pixels per feature-map cell: mobilenetv2 8 (default), 16 or 32; resnet38 is always 8, tiny 4. */
    outputStride: z.union([z.literal(4), z.literal(8), z.literal(16), z.literal(32)]).optional(),
    /** First layer group that is trained (mobilenetv2: 'block_11', resnet38: 'b5'); everything before it is frozen. */
    trainableFrom: z.string().optional(),
    /** resnet38: spatial dropout in its last two blocks. */
    dropout: z.boolean().default(true),
    /** safetensors file to start from; relative paths are looked up beside the data and the working folder. */
    weights: z.string().optional(),
  }),
  affinity: z.strictObject({
    name: z.enum(['cross-task', 'identity', 'seg-only', 'sal-only', 'mean']).default('cross-task'),
    /** Start the attention's output convolutions at zero, so that training starts from the plain features. */
    zeroInit: z.boolean().default(false),
    /** Multiply theta phi^T by 1/sqrt(channels) before the softmax; the authors do not. */
    scaled: z.boolean().default(false),
  }),
  head: z.strictObject({
    /** Named backbone map that the segmentation and saliency heads read; '' is the map of the classification head. */
    features: z.string().default(''),
    channels: z.int().positive().default(128),
    /** Dilations of the three 3x3 convolutions; (6, 12, 18) at output stride 8 in the authors' code. */
    dilations: z.tuple([z.int().positive(), z.int().positive(), z.int().positive()]).default([6, 12, 18]),
    /** Spatial dropout before global average pooling. */
    dropout: z.number().min(0).max(0.95).default(0.5),
  }),
  /** How RGB bytes become network input. */
  normalization: z.enum(['imagenet', 'mobilenet']).default('imagenet'),
});

export type NetworkConfig = z.infer<typeof networkConfigSchema>;
