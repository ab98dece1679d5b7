import {
  type AuxSegNet,
  createNetworkFromConfig,
  loadOfficialStateDict,
  type NetworkConfig,
  type OfficialLoadReport,
} from '@auxseg/auxsegnet';
import type { TensorMap } from '@auxseg/formats';
import { CliUsageError } from './cli-error.js';

/** A network that fits a state dict with the authors' names: classes and width are read off the tensors. */
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

/** What the shapes of a state dict say about its network. */
export function describeOfficialTensors(
  tensors: TensorMap,
  base: NetworkConfig,
  source: string,
): { numClasses: number; config: NetworkConfig } {
  const shape = (name: string): number[] => {
    const found = tensors.get(name) ?? tensors.get(`module.${name}`);
    if (found === undefined) {
      throw new CliUsageError(
        `Expected a state dict of AuxSegNet with ResNet-38 in ${source} (parameters such as b2.conv_branch2a.weight, fc8.weight, seg_conv1.weight), found no ${name} among ${tensors.size} tensors; \`auxseg weights inspect\` lists them.`,
        { missing: name },
      );
    }
    return found.shape;
  };
  const [numClasses] = shape('fc8.weight');
  const [stem] = shape('conv1a.weight');
  const [channels] = shape('seg_conv1.weight');
  return {
    numClasses,
    config: {
      ...base,
      backbone: { ...base.backbone, name: 'resnet38', width: stem / 64, outputStride: 8 },
      head: { ...base.head, channels },
    },
  };
}
