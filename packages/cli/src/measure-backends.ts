import { measureBackend } from '@auxseg/runtime';

export interface BackendRow {
  name: string;
  available: boolean;
  reason: string;
  gflops: { convForward: number; convGradInput: number; convGradFilter: number; matMul: number } | null;
}

/** Speed of every backend that is there. */
export async function measureBackends(
  backends: readonly { name: string; available: boolean; reason: string }[],
  measure: boolean,
  onStart: (name: string) => void,
): Promise<BackendRow[]> {
  const rows: BackendRow[] = [];
  for (const backend of backends) {
    let gflops: BackendRow['gflops'] = null;
    if (backend.available && measure) {
      onStart(backend.name);
      gflops = (await measureBackend(backend.name as 'cpu')).gflops;
    }
    rows.push({ name: backend.name, available: backend.available, reason: backend.reason, gflops });
  }
  return rows;
}
