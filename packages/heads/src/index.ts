export {
  type ClassificationHeadOptions,
  type ClassificationOutput,
  createClassificationHead,
} from './classification-head.js';
export { HeadsError } from './heads-error.js';
export { createPixelHead, type PixelHead, type PixelHeadOptions } from './pixel-head.js';
