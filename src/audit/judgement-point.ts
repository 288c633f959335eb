import type { AsHandle } from '../io/index.ts';
import type { MarkListener } from '../marks/mark-listener.ts';
import type { Target } from '../process/target.ts';
import { type AbortEvent, waitForEnd, waitForOne, workMeanwhile } from './wait.ts';

/**
 * The moment at which a target is judged: it waits at its exit, it has ended past the gate, or the audit was aborted
 * and the target stands suspended.
 */
export type JudgementPoint = 'at-gate' | 'ended' | 'aborted';

/** The events that may end a target's run, and the work for the time until then. */
interface Awaited {
  readonly target: Target;
  /** Signalled when the target has come to one of the stops of its exit and waits there. */
  readonly arrived: AsHandle;
  /** Called at a stop; returns whether the target is to be judged there, and does not go on with its exit. */
  readonly isJudgedAtStop: () => boolean;
  readonly abort: AbortEvent;
  readonly marks: MarkListener | undefined;
  /** Work in small pieces that may be done while the target runs. */
  readonly work: Iterable<unknown>;
}

/**
 * Waits until a target can be judged. It does not run any more when this resolves.
 *
 * @throws NtStatusError when Windows refuses to suspend the target of an aborted audit
 */
export async function awaitJudgementPoint(awaiting: Awaited): Promise<JudgementPoint> {
  const { target, arrived, abort, marks, work } = awaiting;
  const ended = target.asHandle();
  // A mark that was made before the exit is heard before it.
  const awaited = [...(marks?.event === undefined ? [] : [marks.event]), arrived, ended, abort];
  const waiting = waitForOne(awaited);
  // While the target runs, there is time for what is going to be needed; but a mark must not wait.
  if (marks === undefined) await workMeanwhile(waiting, work);
  let happened = await waiting;
  for (; happened !== ended && happened !== abort; happened = await waitForOne(awaited)) {
    if (happened !== arrived) marks?.note();
    else if (awaiting.isJudgedAtStop()) return 'at-gate';
  }
  if (happened === ended) return 'ended';
  if (target.suspend()) return 'aborted';
  await waitForEnd(target); // it was ending as we came
  return 'ended';
}
