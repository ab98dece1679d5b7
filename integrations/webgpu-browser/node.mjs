// The checks in Node; run.mjs starts it with so many training steps, a Vulkan driver and a time limit.
import { listBackends } from '@auxseg/runtime';
import { runChecks } from './checks.mjs';

const { available, reason } = (await listBackends()).find(({ name }) => name === 'webgpu');
if (!available) {
  console.log(`Skipped: ${reason}`);
  process.exit(0);
}
const failed = await runChecks((line) => console.log(line), Number(process.argv[2]));
process.exit(failed === 0 ? 0 : 1);
