import { TrainerError } from './trainer-error.js';
import type { Schedule } from './types.js';

export interface PolyScheduleOptions {
  /** Learning rate at step 0 without warm-up. */
  baseLr: number;
  /** Number of steps after which the rate is 0. */
  totalSteps: number;
  /** Exponent, 0.9 in the paper and the authors' code. */
  power?: number;
  /** Steps over which the rate climbs linearly to the polynomial curve; 0 = none, as the authors have it. */
  warmupSteps?: number;
}

/**
 * Polynomial decay `baseLr (1 - step / totalSteps)^power`, times `(step + 1) / warmupSteps` during the warm-up.
 *
 * Steps count from 0; from `totalSteps` on the rate is 0. Source: method.md 5.
 * @throws TrainerError BAD_OPTION
 */
export function polySchedule(options: PolyScheduleOptions): Schedule {
  const { baseLr, totalSteps, power = 0.9, warmupSteps = 0 } = options;
  if (!(baseLr >= 0) || !(totalSteps > 0) || !(power >= 0) || !(warmupSteps >= 0)) {
    throw new TrainerError(
      'BAD_OPTION',
      `Expected baseLr, power and warmupSteps >= 0 and totalSteps > 0, came baseLr=${baseLr}, power=${power}, warmupSteps=${warmupSteps}, totalSteps=${totalSteps}; correct the training options.`,
      { baseLr, totalSteps, power, warmupSteps },
    );
  }
  return (step) => {
    if (step >= totalSteps) return 0;
    const warmup = step < warmupSteps ? (step + 1) / warmupSteps : 1;
    return baseLr * warmup * (1 - step / totalSteps) ** power;
  };
}
