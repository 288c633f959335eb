import type { Gap } from '../../completeness.ts';
import type { IterationGrowth } from '../../model.ts';
import type { Mark } from '../../evidence-model.ts';

const WARM_UP_BY_DEFAULT = 2;
/** Counts at marks, after the warm-up, that a verdict needs: two could ascend by chance. */
const COUNTS_MIN = 3;
/**
 * The same for intervals, which begin and end in the midst of the program's work. Handles that come and go have seven
 * ascending counts by chance once in 5,040 times, and a program may have many such sites.
 */
const INTERVAL_COUNTS_MIN = 6;

/** How a site grew over the marked iterations. */
export interface IterationVerdict extends IterationGrowth {
  /** More handles after each iteration than before it. */
  readonly growsAlways: boolean;
}

/** How the marks came about, and what else is known of a site. */
interface IterationOptions {
  readonly warmUpIterations?: number | undefined;
  /** They are the ends of intervals of time, and the program knows nothing of them. */
  readonly areIntervals?: boolean;
  /** The count when recording began; 0 by default. */
  readonly countAtStart?: number | undefined;
  /** The count after the last mark, where all that was gained must still be there. */
  readonly countNow?: number | undefined;
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
 * @returns undefined when there are too few marks after the warm-up
 */
export function judgeIterations(
  countsAtMarks: readonly number[],
  marks: readonly Mark[],
  { warmUpIterations, areIntervals, countAtStart = 0, countNow = Infinity }: IterationOptions = {},
): IterationVerdict | undefined {
  const plan = planIterations(marks, warmUpIterations);
  if (plan.counts < countsMin(areIntervals)) return undefined;
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
    growsAlways: grewIn === plan.iterations && countNow - countAt(plan.baseline) >= plan.iterations,
  };
}

/** Adds up the counts of several sites that are one finding, mark by mark. */
export function addCounts(series: readonly (readonly number[])[], marks: readonly Mark[]): readonly number[] {
  return marks.map((_, index) => series.reduce((sum, counts) => sum + (counts[index] ?? 0), 0));
}

/** Why growth from mark to mark could not be judged; `undefined` when it could. */
export function iterationGap(
  marks: readonly Mark[],
  mark: string,
  warmUpIterations: number = WARM_UP_BY_DEFAULT,
): Gap | undefined {
  if (marks.length === 0) return { kind: 'no-marks', mark };
  if (planIterations(marks, warmUpIterations).counts >= COUNTS_MIN) return undefined;
  const iterations = marks.reduce((sum, each) => sum + each.iterations, 0);
  return { kind: 'too-few-marks', iterations, warmUpIterations, needed: warmUpIterations + COUNTS_MIN };
}

/** The same for intervals. */
export function intervalGap(marks: readonly Mark[], warmUpIntervals: number = WARM_UP_BY_DEFAULT): Gap | undefined {
  if (planIterations(marks, warmUpIntervals).counts >= INTERVAL_COUNTS_MIN) return undefined;
  return { kind: 'too-few-intervals', intervals: marks.length, needed: warmUpIntervals + INTERVAL_COUNTS_MIN };
}

function countsMin(areIntervals = false): number {
  return areIntervals ? INTERVAL_COUNTS_MIN : COUNTS_MIN;
}
