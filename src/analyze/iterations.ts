import type { Gap } from '../completeness.ts';
import type { IterationGrowth } from '../model.ts';
import type { Mark } from '../evidence-model.ts';

const WARM_UP_BY_DEFAULT = 2;
/** Counts after the warm-up that a verdict needs: two could ascend by chance. */
const COUNTS_MIN = 3;

/** How a site grew over the marked iterations. */
export interface IterationVerdict extends IterationGrowth {
  /** More handles after each iteration than before it. */
  readonly growsAlways: boolean;
}

/** Which marks are warm-up, and which are judged. */
interface IterationPlan {
  /** Index of the mark at which the warm-up ends; -1 for the start of the target. */
  readonly baseline: number;
  /** Marks after {@link baseline}. */
  readonly counts: number;
  /** Iterations after {@link baseline}. */
  readonly iterations: number;
}

/**
 * Finds the end of the warm-up: the first mark with that many iterations behind it. One mark may count several
 * iterations, so there may be more.
 */
function planIterations(marks: readonly Mark[], warmUpIterations: number = WARM_UP_BY_DEFAULT): IterationPlan {
  let baseline = -1;
  for (let behind = 0; behind < warmUpIterations && baseline < marks.length - 1; )
    behind += marks[++baseline]!.iterations;
  const judged = marks.slice(baseline + 1);
  return { baseline, counts: judged.length, iterations: judged.reduce((sum, { iterations }) => sum + iterations, 0) };
}

/**
 * Judges how a site grew from mark to mark.
 *
 * One mark may count several iterations together. The share of each is unknown, so as many of them count as grown as
 * there are new handles.
 *
 * @param countAtStart the count when recording began
 * @returns undefined when there are too few marks after the warm-up
 */
export function judgeIterations(
  countsAtMarks: readonly number[],
  marks: readonly Mark[],
  warmUpIterations?: number,
  countAtStart = 0,
): IterationVerdict | undefined {
  const plan = planIterations(marks, warmUpIterations);
  if (plan.counts < COUNTS_MIN) return undefined;
  const countAt = (index: number): number => (index < 0 ? countAtStart : (countsAtMarks[index] ?? 0));
  let grewIn = 0;
  for (let index = plan.baseline + 1; index < marks.length; index++) {
    const gained = countAt(index) - countAt(index - 1);
    grewIn += Math.min(Math.max(gained, 0), marks[index]!.iterations);
  }
  return {
    iterations: plan.iterations,
    grewIn,
    handlesPerIteration: (countAt(marks.length - 1) - countAt(plan.baseline)) / plan.iterations,
    growsAlways: grewIn === plan.iterations,
  };
}

/** Adds up the counts of several sites that are one finding, mark by mark. */
export function addCounts(series: readonly (readonly number[])[], marks: readonly Mark[]): readonly number[] {
  return marks.map((_, index) => series.reduce((sum, counts) => sum + (counts[index] ?? 0), 0));
}

/** Why growth could not be judged; `undefined` when it could. */
export function iterationGap(
  marks: readonly Mark[],
  mark: string,
  warmUpIterations: number = WARM_UP_BY_DEFAULT,
): Gap | undefined {
  if (marks.length === 0) return { kind: 'no-marks', mark };
  if (planIterations(marks, warmUpIterations).counts >= COUNTS_MIN) return undefined;
  const iterations = marks.reduce((sum, each) => sum + each.iterations, 0);
  return { kind: 'too-few-marks', iterations, warmUpIterations, needed: countsNeeded(warmUpIterations) };
}

/** How many iterations it takes to judge growth, with those of the warm-up. */
export function countsNeeded(warmUpIterations: number = WARM_UP_BY_DEFAULT): number {
  return warmUpIterations + COUNTS_MIN;
}
