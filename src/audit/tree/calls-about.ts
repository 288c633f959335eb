import type { CallOfOther, OtherProcesses } from '../../evidence/sources.ts';
import type { CallElsewhere } from '../examination.ts';

/**
 * The time of a call is that of the last clock tick, and Windows' ticks are up to 15.6 ms apart: a call may seem to be
 * older by so much, in 100 ns.
 */
const TICK = 160_000n;

/**
 * The last calls of other processes that opened and closed handles of one process, each value once.
 *
 * Ids are used again. A call that is older than the process was about an earlier one with its id.
 *
 * @param startTime FILETIME at which the process was made
 */
export function lastCallsAbout(
  { pid, startTime }: { readonly pid: number; readonly startTime: bigint },
  calls: Iterable<CallElsewhere>,
): Pick<OtherProcesses, 'opened' | 'closed'> {
  const opened = new Map<bigint, CallOfOther>();
  const closed = new Map<bigint, CallOfOther>();
  for (const { kind, processId, value, call } of calls) {
    if (processId !== pid || call.time + TICK < startTime) continue;
    const last = kind === 'opened' ? opened : closed;
    if (call.time >= (last.get(value)?.time ?? 0n)) last.set(value, call);
  }
  return { opened, closed };
}
