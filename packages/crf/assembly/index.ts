// Exports of the dense-CRF kernel. The host (wasm-engine.ts) owns the order of calls.

export { arenaReset, arenaStart, arenaTop, reserve } from "./arena";
export { buildKernel } from "./lattice";
export {
  activeList, argmaxPlanes, blurAll, clearBuffers, divergence, largestMessage, largestRest, pass, peakList, planePeaks, prepare,
  setActive, setImplied, setPlanes, setProblem, writeAllPlanes,
} from "./labels";
export {
  blurTwo, clearTwo, energyTwo, passTwo, prepareTwo, setTwoLabels, slicePlane, splatOnes, splatPlane, sumSliced,
} from "./two-labels";

import { alphaOf, corners, ids, kernelAt, neighbours, rows, setBuffers, setCompatibility, setLattice, sliceWeights, splatWeights } from "./kernel";

export { setBuffers, setCompatibility, kernelAt, corners, rows, ids, splatWeights, sliceWeights, neighbours, setLattice, alphaOf };
