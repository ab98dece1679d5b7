/** Words of the page for the names in a run directory's files. */
const HEADS: Record<string, string> = {
  initial: 'initial head',
  refined: 'refined head',
  initialCrf: 'initial head + CRF',
  refinedCrf: 'refined head + CRF',
};

const LOSSES: Record<string, string> = {
  total: 'Total loss',
  classification: 'Classification',
  saliencyInitial: 'Saliency, initial head',
  saliencyRefined: 'Saliency, refined head',
  segmentationInitial: 'Segmentation, initial head',
  segmentationRefined: 'Segmentation, refined head',
};

/** `refinedCrf` -> `refined head + CRF`; an unknown name stays. */
export function headName(head: string): string {
  return HEADS[head] ?? head;
}

/** `saliencyInitial` -> `Saliency, initial head`; an unknown name stays. */
export function lossName(loss: string): string {
  return LOSSES[loss] ?? loss;
}

/** `stage-2` -> `stage 2`, `branch-no-affinity-1` -> `no affinity, round 1`. */
export function phaseName(phase: string): string {
  const stage = /^stage-(\d+)$/.exec(phase);
  if (stage) return `stage ${stage[1]}`;
  const branch = /^branch-(.*)-(\d+)$/.exec(phase);
  if (branch) return `${branch[1].replaceAll('-', ' ')}, round ${branch[2]}`;
  return phase;
}

/** A fraction as percent with one decimal, without the sign; a dash for what is not there. */
export function percent(fraction: number | null | undefined): string {
  return fraction === null || fraction === undefined || !Number.isFinite(fraction)
    ? '–'
    : (100 * fraction).toFixed(1);
}

/** A difference of fractions in percentage points, with its sign. */
export function points(difference: number): string {
  const value = Math.abs(100 * difference).toFixed(1);
  return Math.round(1000 * difference) < 0 ? `−${value}` : `+${value}`;
}

/** `95` -> `1 min 35 s`. */
export function duration(seconds: number): string {
  if (!(seconds >= 0)) return '–';
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
