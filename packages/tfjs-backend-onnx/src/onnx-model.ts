/** The subset of ONNX attribute values that one-operator models need. */
export type OnnxAttribute =
  | { int: number }
  | { float: number }
  | { ints: readonly number[] }
  | { floats: readonly number[] }
  | { string: string };

/** One node of an ONNX graph; `domain` is empty for the standard operator set. */
export interface OnnxNode {
  op: string;
  domain?: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes?: Readonly<Record<string, OnnxAttribute>>;
}

/** Element types by their number in `TensorProto.DataType` (onnx.proto3). */
export const onnxElementType = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  bfloat16: 16,
} as const;
export type OnnxElementType = keyof typeof onnxElementType;

/** A graph input or output of fixed rank and free extents. */
export interface OnnxValue {
  name: string;
  type: OnnxElementType;
  rank: number;
}

/** A constant inside the graph; `data` is written as raw little-endian bytes. */
export interface OnnxInitializer {
  name: string;
  type: OnnxElementType;
  dims: readonly number[];
  data: Float32Array | Int32Array | Uint8Array | BigInt64Array;
}

/** A complete model: nodes in execution order. */
export interface OnnxGraph {
  nodes: readonly OnnxNode[];
  inputs: readonly OnnxValue[];
  outputs: readonly OnnxValue[];
  initializers?: readonly OnnxInitializer[];
}

/** The operator-set versions that the generated models import. */
const OPSETS: readonly (readonly [domain: string, version: number])[] = [
  ['', 17],
  ['com.microsoft', 1],
  ['com.microsoft.nchwc', 1],
];
/** IR version 8 belongs to operator set 17 (ONNX 1.12). */
const IR_VERSION = 8;

const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, floats: 6, ints: 7 } as const;

const textEncoder = new TextEncoder();

/** Growable protobuf output: varints, length-delimited fields and 32-bit floats are all that ONNX needs. */
class ProtoWriter {
  #bytes: number[] = [];

  #varint(value: number): void {
    // Negative int64 values take ten bytes in two's complement.
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 127n) {
      this.#bytes.push(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    this.#bytes.push(Number(rest));
  }

  int(field: number, value: number): this {
    this.#varint(field << 3);
    this.#varint(value);
    return this;
  }

  float(field: number, value: number): this {
    this.#varint((field << 3) | 5);
    this.#bytes.push(...new Uint8Array(new Float32Array([value]).buffer));
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#varint((field << 3) | 2);
    this.#varint(value.length);
    for (const byte of value) this.#bytes.push(byte);
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, textEncoder.encode(value));
  }

  message(field: number, fill: (inner: ProtoWriter) => void): this {
    const inner = new ProtoWriter();
    fill(inner);
    return this.bytes(field, inner.finish());
  }

  finish(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#bytes);
  }
}

function writeAttribute(out: ProtoWriter, name: string, value: OnnxAttribute): void {
  out.string(1, name);
  if ('int' in value) out.int(3, value.int).int(20, ATTRIBUTE_TYPE.int);
  else if ('float' in value) out.float(2, value.float).int(20, ATTRIBUTE_TYPE.float);
  else if ('string' in value) out.string(4, value.string).int(20, ATTRIBUTE_TYPE.string);
  else if ('ints' in value) {
    for (const item of value.ints) out.int(8, item);
    out.int(20, ATTRIBUTE_TYPE.ints);
  } else {
    for (const item of value.floats) out.float(7, item);
    out.int(20, ATTRIBUTE_TYPE.floats);
  }
}

function writeValueInfo(out: ProtoWriter, value: OnnxValue): void {
  out.string(1, value.name);
  out.message(2, (type) =>
    type.message(1, (tensor) => {
      tensor.int(1, onnxElementType[value.type]);
      tensor.message(2, (shape) => {
        for (let axis = 0; axis < value.rank; axis++) {
          shape.message(1, (dim) => dim.string(2, `${value.name}_${axis}`));
        }
      });
    }),
  );
}

/**
 * Encodes a graph as the bytes of an ONNX model.
 *
 * Extents are symbolic, so that one session serves every shape of its ranks. Field numbers: onnx.proto3 of ONNX 1.12
 * (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto, ValueInfoProto).
 */
export function encodeOnnxModel(graph: OnnxGraph): Uint8Array<ArrayBuffer> {
  const model = new ProtoWriter();
  model.int(1, IR_VERSION).string(2, 'auxseg');
  model.message(7, (out) => {
    for (const node of graph.nodes) {
      out.message(1, (n) => {
        for (const input of node.inputs) n.string(1, input);
        for (const output of node.outputs) n.string(2, output);
        n.string(4, node.op);
        for (const [name, value] of Object.entries(node.attributes ?? {})) {
          n.message(5, (attribute) => writeAttribute(attribute, name, value));
        }
        if (node.domain) n.string(7, node.domain);
      });
    }
    out.string(2, 'kernel');
    for (const initializer of graph.initializers ?? []) {
      out.message(5, (tensor) => {
        for (const dim of initializer.dims) tensor.int(1, dim);
        tensor.int(2, onnxElementType[initializer.type]).string(8, initializer.name);
        const { buffer, byteOffset, byteLength } = initializer.data;
        tensor.bytes(9, new Uint8Array(buffer, byteOffset, byteLength));
      });
    }
    for (const input of graph.inputs) out.message(11, (value) => writeValueInfo(value, input));
    for (const output of graph.outputs) out.message(12, (value) => writeValueInfo(value, output));
  });
  for (const [domain, version] of OPSETS)
    model.message(8, (opset) => opset.string(1, domain).int(2, version));
  return model.finish();
}
