/** A weight as either side stores it. */
export interface NamedWeight {
  name: string;
  shape: readonly number[];
  data: Float32Array;
}

/** Where a weight of ours lives in a PyTorch state dict. */
export interface PyTorchPlace {
  /** Module path and parameter, e.g. `b2.conv_branch2a.weight`, `bn7.running_mean`, `cross_att.0.weight`. */
  name: string;
  /** Shape there, e.g. OIHW. */
  shape: number[];
  /** Axis j of the PyTorch tensor is axis `axes[j]` of ours; undefined when the layouts agree. */
  axes?: readonly number[];
}

const parameterNames: Record<string, string> = {
  kernel: 'weight',
  depthwise_kernel: 'weight',
  bias: 'bias',
  gamma: 'weight',
  beta: 'bias',
  moving_mean: 'running_mean',
  moving_variance: 'running_var',
};

/** HWIO -> OIHW: [kh,kw,in,out] -> [out,in,kh,kw]. */
const convolutionAxes = [3, 2, 0, 1] as const;
/** HWC1 -> C1HW: [kh,kw,channels,1] -> [channels,1,kh,kw]. */
const depthwiseAxes = [2, 3, 0, 1] as const;

/**
 * Where PyTorch keeps one of our weights.
 *
 * Weight names are `<layer>/<weight>` with the layer named as the PyTorch module; a layer that stands for a small
 * `nn.Sequential` names its weights `conv<i>_kernel`, `conv<i>_bias` (i from 1, an activation after each), which sit at
 * `<layer>.<2(i-1)>`.
 *
 * @returns undefined for a weight of a kind that PyTorch's state dicts have no name for
 */
export function pyTorchPlace(weightName: string, shape: readonly number[]): PyTorchPlace | undefined {
  const slash = weightName.lastIndexOf('/');
  let module = weightName.slice(0, slash);
  let kind = weightName.slice(slash + 1);
  const inSequence = /^conv(\d+)_(kernel|bias)$/.exec(kind);
  if (inSequence) {
    module = `${module}.${2 * (Number(inSequence[1]) - 1)}`;
    kind = inSequence[2]!;
  }
  const parameter = parameterNames[kind];
  if (slash <= 0 || !parameter) return undefined;
  const axes = kind === 'kernel' ? convolutionAxes : kind === 'depthwise_kernel' ? depthwiseAxes : undefined;
  if (!axes) return { name: `${module}.${parameter}`, shape: [...shape] };
  if (shape.length !== 4) return undefined;
  return { name: `${module}.${parameter}`, shape: axes.map((axis) => shape[axis]!), axes };
}

/**
 * One of our weights under PyTorch's name and layout; the data is copied.
 *
 * @returns undefined where {@link pyTorchPlace} is
 */
export function toPyTorch(weight: NamedWeight): NamedWeight | undefined {
  const place = pyTorchPlace(weight.name, weight.shape);
  if (!place) return undefined;
  const data = place.axes ? transpose(weight.data, weight.shape, place.axes) : Float32Array.from(weight.data);
  return { name: place.name, shape: place.shape, data };
}

/**
 * PyTorch's data for one of our weights, in our layout; the data is copied.
 *
 * @param weightName our name, which tells the layout
 * @param shape our shape; `data` must have as many elements
 */
export function fromPyTorch(
  weightName: string,
  shape: readonly number[],
  data: ArrayLike<number>,
): Float32Array {
  const place = pyTorchPlace(weightName, shape);
  if (!place?.axes) return Float32Array.from(data);
  const inverse = shape.map((_, axis) => place.axes!.indexOf(axis));
  return transpose(data, place.shape, inverse);
}

/** out[i0,i1,i2,i3] with out axis j = input axis `axes[j]`. */
function transpose(data: ArrayLike<number>, shape: readonly number[], axes: readonly number[]): Float32Array {
  const strides = [shape[1]! * shape[2]! * shape[3]!, shape[2]! * shape[3]!, shape[3]!, 1];
  const [n0, n1, n2, n3] = axes.map((axis) => shape[axis]!) as [number, number, number, number];
  const [s0, s1, s2, s3] = axes.map((axis) => strides[axis]!) as [number, number, number, number];
  const out = new Float32Array(n0 * n1 * n2 * n3);
  let at = 0;
  for (let a = 0; a < n0; a++) {
    for (let b = 0; b < n1; b++) {
      for (let c = 0; c < n2; c++) {
        let from = a * s0 + b * s1 + c * s2;
        for (let d = 0; d < n3; d++, from += s3) out[at++] = data[from]!;
      }
    }
  }
  return out;
}
