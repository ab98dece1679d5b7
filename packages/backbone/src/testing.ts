export { type BackboneCheckOptions, checkBackbone } from './check-backbone.js';
export { hashedValues } from './hashed-values.js';
