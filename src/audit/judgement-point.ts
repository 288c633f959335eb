import type { AsHandle } from '../io/index.ts';
import type { MarkListener } from '../marks/mark-listener.ts';
import type { Target } from '../process/target.ts';
import { waitForOne, workMeanwhile } from './wait.ts';

/**
 * The moment at which a target is judged: it waits at its exit, it has ended past the gate, the audit was aborted and
 * the target stands suspended, or it goes on and is looked at in passing.
 */
export type JudgementPoint = 'at-gate' | 'ended' | 'aborted' | 'in-passing';

/** The events that may end a target's run, and the work for the time until then. */
interface Awaited {
  readonly target: Target;
  /** Signalled when the target has come to one of the stops of its exit and waits there. */
  readonly arrived: AsHandle;
  /** Called at a stop; returns whether the target is to be judged there, and does not go on with its exit. */
  readonly isJudgedAtStop: () => boolean;
  readonly marks: MarkListener | undefined;
  /** Work in small pieces that may be done while the target runs. */
  readonly work: Iterable<unknown>;
}

/**
 * Waits until a target ends or waits at its exit, or one of some other things happens.
 *
 * @param others events; the target runs on when one of them happens
 */
export async function awaitMoment<Other extends AsHandle>(
  { target, arrived, isJudgedAtStop, marks, work }: Awaited,
  ...others: readonly Other[]
): Promise<'at-gate' | 'ended' | Other> {
  const ended = target.asHandle();
  // A mark that was made before the exit is heard before it.
  const awaited = [...(marks?.event === undefined ? [] : [marks.event]), arrived, ended, ...others];
  const waiting = waitForOne(awaited);
  // While the target runs, there is time for what is going to be needed; but a mark must not wait.
  if (marks === undefined) await workMeanwhile(waiting, work);
  for (let happened = await waiting; ; happened = await waitForOne(awaited)) {
    const other = others.find((each) => each === happened);
    if (other !== undefined) return other;
    if (happened === ended) return 'ended';
    if (happened !== arrived) marks?.note();
    else if (isJudgedAtStop()) return 'at-gate';
  }
}
