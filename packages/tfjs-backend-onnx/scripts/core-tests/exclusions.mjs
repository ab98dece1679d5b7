/** Tests of tfjs-core that are not run against the onnx backend: part of the full name, and why. */
export const exclusions = [];
