import { activeBackend, type ConcreteBackend } from '../backends/backend-loaders.js';
import { listBackends } from '../backends/list-backends.js';
import { useBackend } from '../backends/use-backend.js';
import { type BackendSpeed, type MeasureOptions, measureBackend } from './measure-backend.js';

/** What is known of one backend here. */
export interface BackendReport {
  name: ConcreteBackend;
  available: boolean;
  /** What it is, or why it is missing and the remedy. */
  reason: string;
  /** Null where it is not available. */
  gflops: BackendSpeed | null;
  /** Bytes that its tensors can take together; null where only the machine's memory limits them. */
  memoryLimitBytes: number | null;
}

/** All backends, in the form that `auxseg doctor --json` prints. */
export interface BackendsReport {
  backends: BackendReport[];
}

/** Starts and measures every backend that is available, one after another, and returns to the one that was active. */
export async function examineBackends(options: MeasureOptions = {}): Promise<BackendsReport> {
  const active = activeBackend();
  const backends: BackendReport[] = [];
  for (const { name, available, reason } of await listBackends()) {
    const report: BackendReport = {
      name,
      available,
      reason,
      gflops: null,
      memoryLimitBytes: name === 'wasm' && available ? 2 ** 32 : null,
    };
    if (available) {
      try {
        await useBackend(name);
        report.gflops = await measureBackend(options);
      } catch (error) {
        report.available = false;
        report.reason = (error as Error).message;
      }
    }
    backends.push(report);
  }
  if (active) await useBackend(active);
  return { backends };
}
