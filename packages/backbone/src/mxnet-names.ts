/**
 * The PyTorch name of a tensor in the authors' ImageNet file for ResNet-38
 * (`ilsvrc-cls_rna-a1_cls1000_ep-0001.params`): `res2a_branch2a_weight` -> `b2.conv_branch2a.weight`,
 * `bn5b_branch2b1_moving_var` -> `b5_1.bn_branch2b1.running_var`, `bn7_gamma` -> `bn7.weight`.
 *
 * Units are lettered a, b, c or a, b1, b2, ...; an `arg:` or `aux:` prefix is ignored. Layouts are PyTorch's already.
 *
 * @returns undefined for tensors that the backbone does not have (`linear1000_*`)
 */
export function pyTorchNameOfMxnet(mxnetName: string): string | undefined {
  const name = mxnetName.replace(/^(arg|aux):/, '');
  if (name === 'conv1a_weight') return 'conv1a.weight';
  const last = /^bn7_(\w+)$/.exec(name);
  if (last) return parameters[last[1]!] && `bn7.${parameters[last[1]!]}`;
  const unit =
    /^(res|bn)([2-7])([a-z])(\d*)_(branch\d\w*?)_(weight|gamma|beta|(?:moving_)?(?:mean|var))$/.exec(name);
  if (!unit) return undefined;
  const [, type, stage, letter, digits, branch, parameter] = unit as unknown as string[];
  const index = digits ? Number(digits) : letter!.charCodeAt(0) - 'a'.charCodeAt(0);
  const block = index === 0 ? `b${stage}` : `b${stage}_${index}`;
  if (type === 'res') return parameter === 'weight' ? `${block}.conv_${branch}.weight` : undefined;
  return parameters[parameter!] && `${block}.bn_${branch}.${parameters[parameter!]}`;
}

const parameters: Record<string, string> = {
  gamma: 'weight',
  beta: 'bias',
  mean: 'running_mean',
  var: 'running_var',
  moving_mean: 'running_mean',
  moving_var: 'running_var',
};
