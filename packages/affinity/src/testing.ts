export { type AffinityCheckOptions, checkAffinityModule } from './check-affinity-module.js';
