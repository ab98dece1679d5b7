import { examineBackends, listBackends } from '@auxseg/runtime';
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
