import {
  type AuxSegNet,
  createNetworkFromConfig,
  loadOfficialStateDict,
  type NetworkConfig,
  type OfficialLoadReport,
} from '@auxseg/auxsegnet';
import type { TensorMap } from '@auxseg/formats';
import { CliUsageError } from './cli-error.js';

/** A network that fits a state dict with the authors' names: classes, width and affinity are read off the tensors. */
export function networkFromOfficialTensors(
  tensors: TensorMap,
  base: NetworkConfig,
  { source, strict = true }: { source: string; strict?: boolean },
): { network: AuxSegNet; config: NetworkConfig; report: OfficialLoadReport } {
  const { numClasses, config } = describeOfficialTensors(tensors, base, source);
  const network = createNetworkFromConfig(config, numClasses);
  const report = loadOfficialStateDict(network.model, tensors, { strict, source });
  return { network, config, report };
}

/** What loading without `--strict` left out, in one line; null when everything found its place. */
export function describeLoadReport({ missing, unexpected }: OfficialLoadReport): string | null {
  if (missing.length === 0 && unexpected.length === 0) return null;
  return [
    ...(missing.length > 0
      ? [`${missing.length} missing, which keep their random values: ${missing.join(', ')}`]
      : []),
    ...(unexpected.length > 0 ? [`${unexpected.length} unexpected: ${unexpected.join(', ')}`] : []),
  ].join('; ');
}

/** What the names and shapes of a state dict say about its network. */
export function describeOfficialTensors(
  tensors: TensorMap,
  base: NetworkConfig,
  source: string,
): { numClasses: number; config: NetworkConfig } {
  const find = (name: string) => tensors.get(name) ?? tensors.get(`module.${name}`);
  const shape = (name: string): number[] => {
    const found = find(name);
    if (found === undefined) {
      throw new CliUsageError(
        `Expected a state dict of AuxSegNet with ResNet-38 in ${source} (parameters such as b2.conv_branch2a.weight, fc8.weight, seg_conv1.weight), found no ${name} among ${tensors.size} tensors; \`auxseg weights inspect\` lists them.`,
        { missing: name },
      );
    }
    return found.shape;
  };
  const outputsOf = (name: string): number => {
    const sizes = shape(name);
    if (sizes.length === 4 && sizes[0] > 0) return sizes[0];
    throw new CliUsageError(
      `Expected ${name} in ${source} to be a convolution [out, in, height, width], got [${sizes.join(', ')}].`,
      { name, shape: sizes },
    );
  };
  const [numClasses, stem, channels] = ['fc8.weight', 'conv1a.weight', 'seg_conv1.weight'].map(outputsOf);
  const has = (name: string) => find(name) !== undefined;
  let affinity = base.affinity.name;
  if (!has('cross_att.0.weight')) {
    // A damaged cross-task checkpoint is rather told what it lacks: only a network without any fusion weight is another one.
    const [seg, sal] = ['seg_att.theta.weight', 'sal_att.theta.weight'].map(has);
    if (!has('cross_att.2.weight')) {
      affinity = seg && sal ? 'mean' : seg ? 'seg-only' : sal ? 'sal-only' : 'identity';
    }
  }
  return {
    numClasses,
    config: {
      ...base,
      backbone: { ...base.backbone, name: 'resnet38', width: stem / 64, outputStride: 8 },
      affinity: { ...base.affinity, name: affinity },
      head: { ...base.head, channels },
    },
  };
}
