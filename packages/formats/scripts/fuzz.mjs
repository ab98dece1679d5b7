// Fuzzes every parser of this package (build first): npm run fuzz -w @auxseg/formats -- [seconds] [seed]
import fc from 'fast-check';
import { fuzzTargets, readCorpus } from '../dist/testing/fuzz.js';

const seconds = Number(process.argv[2] ?? 300);
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31);
if (!(seconds > 0) || !Number.isInteger(seed)) {
  console.error(
    'Expected a number of seconds and a whole seed. Example: npm run fuzz -w @auxseg/formats -- 3600',
  );
  process.exit(2);
}
readCorpus();
console.log(`${fuzzTargets.length} targets, ${seconds} s, seed ${seed}`);
let failed = false;
for (const { name, property } of fuzzTargets) {
  const result = fc.check(property, {
    seed,
    numRuns: Number.MAX_SAFE_INTEGER,
    interruptAfterTimeLimit: (seconds * 1000) / fuzzTargets.length,
    markInterruptAsFailure: false,
  });
  console.log(`${result.failed ? 'FAILED' : 'ok'}  ${name}: ${result.numRuns} inputs`);
  if (result.failed) {
    failed = true;
    console.error(fc.defaultReportMessage(result));
  }
}
console.log(`${Math.round((process.cpuUsage().user + process.cpuUsage().system) / 1e6)} s of CPU time`);
process.exit(failed ? 1 : 0);
