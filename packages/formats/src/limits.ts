/**
 * Bounds against hostile or damaged files. Each is far above what real files of this field need and far below
 * what would exhaust a machine; a reader that meets a larger number throws `FormatError` with code `limit`.
 */

/** Dimensions of a tensor: NumPy allows 64, PyTorch 64; networks use at most 5. */
export const MAX_TENSOR_RANK = 64;

/** Elements of one tensor: 2^33 bytes of float32 is beyond what one ArrayBuffer can hold. */
export const MAX_TENSOR_ELEMENTS = 2 ** 31;

/** Tensors of one file: the largest public checkpoints hold some tens of thousands. */
export const MAX_TENSORS = 500_000;

/** Bytes of a safetensors header; the reference implementation refuses more, too. */
export const MAX_SAFETENSORS_HEADER_BYTES = 100_000_000;

/** Bytes of an npy header: NumPy writes below 200 for plain dtypes and reads at most 10,000 by default. */
export const MAX_NPY_HEADER_BYTES = 65_536;

/** Pixels of one PNG, 2^28: a 16,384 x 16,384 mask. */
export const MAX_PNG_PIXELS = 2 ** 28;

/** Unpacked bytes of one PNG, 512 MiB: 178 million RGB pixels. */
export const MAX_PNG_BYTES = 2 ** 29;

/** DEFLATE cannot expand a byte to more than this: 258 bytes for every two bits. */
export const MAX_DEFLATE_RATIO = 1032;

/** Bytes that the compressed members of one file may unpack to together, 1 GiB: larger arrays are stored. */
export const MAX_INFLATED_BYTES = 2 ** 30;

/** Members of one zip archive: one per tensor, see MAX_TENSORS. */
export const MAX_ZIP_ENTRIES = MAX_TENSORS;

/** Opcodes of one pickle, and elements that its calls copy: `cls_labels.npy` takes half a million. */
export const MAX_PICKLE_OPCODES = 50_000_000;

/** Values on the unpickler's stack at one time. */
export const MAX_PICKLE_STACK = 10_000_000;

/** Values that a pickle keeps for later reference: `cls_labels.npy` has 0.1 million. */
export const MAX_PICKLE_MEMO = 8_000_000;

/** Lists, tuples, dicts and objects of one pickle, all but lists and tuples counting as four: about 0.25 GiB at most. */
export const MAX_PICKLE_OBJECTS = 4_000_000;

/** Bytes of a pickled whole number: PyTorch's longest, its magic number, has 10. */
export const MAX_PICKLE_INTEGER_BYTES = 256;

/** Nesting of a pickled value when it is walked: a state dict is three deep. */
export const MAX_PICKLE_DEPTH = 200;

/** Values visited when a pickled value is walked for tensors. */
export const MAX_PICKLE_VISITS = 10_000_000;

/** Bytes of the arrays of one pickle, for each byte of its file ... */
export const MAX_PICKLE_EXPANSION = 16;

/** ... beyond this many, 64 MiB, which any file may unpack to. */
export const MAX_PICKLE_FREE_BYTES = 2 ** 26;

/** Elements of a tensor that repeats a smaller storage (stride 0), 2^26: 256 MiB of float32. */
export const MAX_EXPANDED_ELEMENTS = 2 ** 26;

/** Characters of one key or tensor name. */
export const MAX_NAME_BYTES = 65_536;

/** Pixels of a mask made from a COCO run-length code or polygon, 2^28. */
export const MAX_MASK_PIXELS = 2 ** 28;

/** Steps along the outline of one COCO polygon, 2^24, five to a pixel: 3.3 million pixels of outline. */
export const MAX_POLYGON_STEPS = 2 ** 24;
