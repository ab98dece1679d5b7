import * as tf from '@tensorflow/tfjs-core';

/** Time spent in one kernel. */
export interface KernelTime {
  /** Kernel's name; operations of ours that are no kernel start with `auxseg:`. */
  name: string;
  calls: number;
  /** Milliseconds in it, without what it called. */
  selfMs: number;
  /** Milliseconds in it altogether. */
  totalMs: number;
  /** Bytes of its outputs, over all calls. */
  outputBytes: number;
}

/** What {@link profileKernels} found. */
export interface KernelProfile {
  /** Milliseconds from start to end. */
  wallMs: number;
  /** Milliseconds outside any kernel: JavaScript, reads, garbage collection. */
  otherMs: number;
  /** Slowest first. */
  kernels: KernelTime[];
}

interface ProfiledEngine {
  state: { activeScope: { name: string } | null };
  runKernelFunc(params: { kernelName?: string }): tf.Tensor | tf.Tensor[];
}

/**
 * Runs `work` and says which kernels its time went to, nested kernels counted once.
 *
 * For backends that work synchronously (cpu, wasm, onnx, node); webgpu only queues, so its times say little.
 */
export async function profileKernels(work: () => unknown | Promise<unknown>): Promise<KernelProfile> {
  const engine = tf.engine() as unknown as ProfiledEngine;
  const original = engine.runKernelFunc;
  const byName = new Map<string, KernelTime>();
  const inner: number[] = [];
  let outermostMs = 0;
  engine.runKernelFunc = function (this: ProfiledEngine, params) {
    const name = params.kernelName ?? this.state.activeScope?.name ?? 'custom';
    inner.push(0);
    const start = performance.now();
    let outputs: tf.Tensor[] = [];
    try {
      const result = original.call(this, params);
      outputs = Array.isArray(result) ? result : [result];
      return result;
    } finally {
      const elapsed = performance.now() - start;
      const below = inner.pop() ?? 0;
      if (inner.length > 0) inner[inner.length - 1] += elapsed;
      else outermostMs += elapsed;
      const entry = byName.get(name) ?? { name, calls: 0, selfMs: 0, totalMs: 0, outputBytes: 0 };
      entry.calls++;
      entry.selfMs += elapsed - below;
      entry.totalMs += elapsed;
      for (const output of outputs) entry.outputBytes += output.size * tf.util.bytesPerElement(output.dtype);
      byName.set(name, entry);
    }
  };
  const start = performance.now();
  try {
    await work();
  } finally {
    engine.runKernelFunc = original;
  }
  const wallMs = performance.now() - start;
  const kernels = [...byName.values()].sort((a, b) => b.selfMs - a.selfMs);
  return { wallMs, otherMs: wallMs - outermostMs, kernels };
}

/** The profile as a table of plain text, one kernel a line. */
export function formatKernelProfile(profile: KernelProfile, rows = 20): string {
  const line = (name: string, calls: string, self: string, share: string) =>
    `${name.padEnd(32)} ${calls.padStart(7)} ${self.padStart(10)} ${share.padStart(7)}`;
  const share = (ms: number) => `${((100 * ms) / profile.wallMs).toFixed(1)} %`;
  const shown = profile.kernels.slice(0, rows);
  const rest = profile.kernels.slice(rows);
  const restMs = rest.reduce((sum, kernel) => sum + kernel.selfMs, 0);
  return [
    line('kernel', 'calls', 'self ms', 'share'),
    ...shown.map((k) => line(k.name, String(k.calls), k.selfMs.toFixed(1), share(k.selfMs))),
    ...(rest.length > 0 ? [line(`${rest.length} more`, '', restMs.toFixed(1), share(restMs))] : []),
    line('outside kernels', '', profile.otherMs.toFixed(1), share(profile.otherMs)),
    line('wall', '', profile.wallMs.toFixed(1), ''),
  ].join('\n');
}
