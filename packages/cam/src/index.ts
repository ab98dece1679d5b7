export { CamError, type CamErrorCode } from './cam-error.js';
export { type ExtractCamsOptions, extractCams } from './extract-cams.js';
export { type CamView, fuseMultiScaleCams } from './fuse-multi-scale-cams.js';
export { normalizeCam } from './normalize-cam.js';
export { propagateCam } from './propagate-cam.js';
export type { ClassMaps } from './types.js';
