import { type PresetName, profileTrainingStep } from '@auxseg/auxsegnet';
import {
  type BackendName,
  examineBackends,
  formatKernelProfile,
  listBackends,
  useBackend,
} from '@auxseg/runtime';
import { createTerminal, formatTable } from '../terminal.js';

/** Lists the backends, and times those that are there. */
export async function doctor(options: { measure: boolean; json?: boolean }): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const { backends } = options.measure
    ? await examineBackends()
    : {
        backends: (await listBackends()).map((backend) => ({
          ...backend,
          gflops: null,
          memoryLimitBytes: null,
        })),
      };
  terminal.printJson({ backends });
  const number = (value: number | undefined) => (value === undefined ? '-' : value.toFixed(1));
  terminal.print(
    formatTable(
      ['GFLOP/s', 'conv forward', 'conv dX', 'conv dW', 'matMul'],
      backends.map(({ name, available, gflops }) => [
        available ? name : `${name} (not available)`,
        number(gflops?.convForward),
        number(gflops?.convGradInput),
        number(gflops?.convGradFilter),
        number(gflops?.matMul),
      ]),
    ),
  );
  terminal.print();
  for (const { name, reason } of backends) terminal.print(`${name}: ${reason}`);
}

/** Where the time of one training step of a preset goes, kernel by kernel. */
export async function profile(options: {
  preset: PresetName;
  backend?: BackendName;
  threads?: number;
  size?: number;
  batch?: number;
  width?: number;
  json?: boolean;
}): Promise<void> {
  const terminal = createTerminal({ json: options.json === true });
  const { reason } = await useBackend(options.backend, { threads: options.threads });
  const { preset, size: sizePx, batch: batchSize, width } = options;
  const result = await profileTrainingStep({ preset, sizePx, batchSize, width });
  terminal.printJson({ profile: result });
  terminal.print(
    `One training step, preset ${preset}, ${result.sizePx}x${result.sizePx}, batch ${result.batchSize}, ${result.parameters} trained numbers`,
  );
  terminal.print(`backend ${result.backend}: ${reason}`);
  terminal.print();
  terminal.print(formatKernelProfile(result));
}
