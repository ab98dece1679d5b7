import type { TensorMap } from '@auxseg/formats';

const LOG_PREFIX = 'log/';

/** The losses of every step so far, one column per loss; NaN where a step did not have that loss. */
export interface LossLog {
  append(losses: Readonly<Record<string, number>>): void;
  /** Copies of the columns, one value per step. */
  columns(): Record<string, Float64Array>;
  /** The columns as tensors `log/<loss>` [steps], for a checkpoint. */
  save(into: TensorMap): void;
}

/** Creates a log, with the columns of a checkpoint when `from` has them. */
export function createLossLog(from: TensorMap, steps: number): LossLog {
  const columns = new Map<string, number[]>();
  let length = steps;
  for (const [key, tensor] of from) {
    if (key.startsWith(LOG_PREFIX)) {
      columns.set(key.slice(LOG_PREFIX.length), Array.from(tensor.data as Float64Array));
    }
  }
  const snapshot = (): [string, Float64Array][] =>
    [...columns].map(([name, values]) => [name, Float64Array.from(values)]);
  return {
    append(losses) {
      for (const name of Object.keys(losses)) {
        if (!columns.has(name)) columns.set(name, new Array<number>(length).fill(Number.NaN));
      }
      for (const [name, values] of columns) values.push(losses[name] ?? Number.NaN);
      length++;
    },
    columns: () => Object.fromEntries(snapshot()),
    save(into) {
      for (const [name, data] of snapshot()) {
        into.set(LOG_PREFIX + name, { dtype: 'float64', shape: [data.length], data });
      }
    },
  };
}
