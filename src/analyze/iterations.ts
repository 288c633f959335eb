import type { IterationGrowth, Mark } from '../model.ts';

const WARM_UP_BY_DEFAULT = 2;
/** Counts after the warm-up that growth is told from; two could ascend by chance. */
const COUNTS_MIN = 3;

/** What was counted over marked iterations, judged. */
export interface IterationVerdict extends IterationGrowth {
  /** More handles after each iteration than before it. */
  readonly growsAlways: boolean;
}

/** How much of the marks is warm-up, and how much is left to judge by. */
interface IterationPlan {
  /** Index of the mark at which the warm-up ends; -1 for the start of the target. */
  readonly baseline: number;
  /** Marks after {@link baseline}. */
  readonly counts: number;
  /** Iterations after {@link baseline}. */
  readonly iterations: number;
}

/**
 * Where the warm-up ends: at the first mark that has as many iterations behind it, or more when several were counted at
 * once.
 */
function planIterations(marks: readonly Mark[], warmUpIterations: number = WARM_UP_BY_DEFAULT): IterationPlan {
  let baseline = -1;
  for (let behind = 0; behind < warmUpIterations && baseline < marks.length - 1; )
    behind += marks[++baseline]!.iterations;
  const judged = marks.slice(baseline + 1);
  return { baseline, counts: judged.length, iterations: judged.reduce((sum, { iterations }) => sum + iterations, 0) };
}

/**
 * Judges how a site moved from mark to mark: `undefined` when there are too few marks after the warm-up to tell.
 *
 * Of iterations that were counted together it is known only how many handles they left behind together: they count as
 * grown as far as there is one for each.
 */
export function judgeIterations(
  countsAtMarks: readonly number[],
  marks: readonly Mark[],
  warmUpIterations?: number,
): IterationVerdict | undefined {
  const plan = planIterations(marks, warmUpIterations);
  if (plan.counts < COUNTS_MIN) return undefined;
  const countAt = (index: number): number => (index < 0 ? 0 : (countsAtMarks[index] ?? 0));
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

/** The counts of several sites that are one finding, added up mark by mark. */
export function addCounts(series: readonly (readonly number[])[], marks: readonly Mark[]): readonly number[] {
  return marks.map((_, index) => series.reduce((sum, counts) => sum + (counts[index] ?? 0), 0));
}

/** Why growth could not be judged, for a person; undefined when it could. */
export function doubtIterations(
  marks: readonly Mark[],
  name: string,
  warmUpIterations: number = WARM_UP_BY_DEFAULT,
): string | undefined {
  if (marks.length === 0) return `No mark came by ${name}: growth from iteration to iteration could not be judged.`;
  if (planIterations(marks, warmUpIterations).counts >= COUNTS_MIN) return undefined;
  const all = marks.reduce((sum, mark) => sum + mark.iterations, 0);
  const came = `${all} ${all === 1 ? 'iteration was' : 'iterations were'} marked`;
  const why =
    all - warmUpIterations >= COUNTS_MIN
      ? 'faster than their handles could be counted; who waits for the answer to a mark is not too fast'
      : `where ${warmUpIterations + COUNTS_MIN} are needed, ${warmUpIterations} of them for the warm-up`;
  return `${came}, ${why}: growth from iteration to iteration could not be judged.`;
}
