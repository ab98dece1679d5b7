import type { Score, Summary } from '@auxseg/auxsegnet/pipeline';
import { formatTable } from './terminal.js';

const percent = (value: unknown) => (typeof value === 'number' ? (100 * value).toFixed(1) : '-');

/** The tables that end a run. */
export function summaryTables(summary: Summary): string {
  const parts: string[] = [];
  if (summary.pseudoLabels.length > 0) {
    parts.push(
      'Pseudo labels on training images with masks (%)',
      formatTable(
        ['stage', 'precision', 'recall', 'mIoU', 'ignored'],
        summary.pseudoLabels.map((row) => [
          String(row.stage),
          percent(row.precision),
          percent(row.recall),
          percent(row.meanIoU),
          percent(row.ignoredFraction),
        ]),
      ),
      '',
    );
  }
  const cell = (score: unknown) => percent((score as Score | undefined)?.meanIoU);
  if (summary.validation.length > 0 || summary.baselines.length > 0) {
    const rows = summary.validation.map((row) => [
      `AuxSegNet, stage ${row.stage}`,
      cell(row['initial']),
      cell(row['refined']),
      cell(row['refinedCrf'] ?? row['initialCrf']),
    ]);
    const branches = new Map<string, Record<string, Score>>();
    for (const row of summary.baselines) {
      const key = `${row.name}, round ${row.rounds}`;
      branches.set(key, { ...branches.get(key), [row.head]: row });
    }
    for (const [name, heads] of branches) {
      rows.push([
        name,
        cell(heads['initial']),
        cell(heads['refined']),
        cell(heads['refinedCrf'] ?? heads['initialCrf']),
      ]);
    }
    parts.push(
      'Validation mIoU (%)',
      formatTable(['network', 'initial head', 'refined head', 'with CRF'], rows),
      '',
    );
  }
  if (summary.comparisons.length > 0) {
    parts.push(
      'Differences in mIoU (points; 95% paired bootstrap interval over images: training images for labels, else validation)',
      formatTable(
        ['comparison', 'difference', 'interval'],
        summary.comparisons.map((row) => [
          row.name,
          signed(row.difference),
          `${signed(row.low)} .. ${signed(row.high)}`,
        ]),
      ),
    );
  }
  return parts.join('\n').trimEnd();
}

/** A fraction as signed percentage points; what rounds to zero is +0.0. */
function signed(value: number): string {
  const points = Math.round(1000 * value) / 10;
  return `${points >= 0 ? '+' : ''}${points.toFixed(1)}`;
}
