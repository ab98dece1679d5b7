// One growing stretch of linear memory, handed out from below. The host resets it to a mark between images.

let top: usize = 0;

/** First address that `reserve` may hand out; everything below is static data. */
export function arenaStart(): usize {
  return (__heap_base + 63) & ~(<usize>63);
}

/** Next free address. */
export function arenaTop(): usize {
  return top;
}

/** Gives back everything from `mark` on. */
export function arenaReset(mark: usize): void {
  top = mark;
}

/** Reserves `bytes` at a multiple of 64 (one cache line); traps when the memory cannot grow. */
export function reserve(bytes: u64): usize {
  const start = (top + 63) & ~(<usize>63);
  // 64 bytes more than asked: vector loads may read past the end of an array.
  const end: u64 = (<u64>start) + bytes + 64;
  const pages = <i64>((end + 0xffff) >>> 16);
  if (pages > 65536) unreachable();
  const missing = <i32>(pages - <i64>memory.size());
  if (missing > 0 && memory.grow(missing) < 0) unreachable();
  top = start + <usize>bytes;
  return start;
}
