import type { Gap } from '../../completeness.ts';
import type { Pauses } from '../../process/guardian/pauses.ts';
import { nowMs } from '../../process/clock.ts';
import { AttachError } from '../../process/running-process.ts';
import { END_MS, waitForOneWithin } from '../wait.ts';
import type { Member } from './member.ts';
import type { ProcessReport } from './process-report.ts';

/** How often a process that is about to end is looked at. */
const LOOK_MS = 50;

/**
 * Reports on a process, which may end at any moment of that: on what it has left open when it ended or came to its
 * exit, and otherwise on what it has done so far.
 *
 * @param isLast no more is recorded after this look that matters: the hooks are taken out if it goes on
 * @throws AttachError when it neither ends nor stands still
 * @throws what {@link Member.reportInPassing}, {@link Member.report} and {@link detach} throw
 */
export async function reportOn(
  member: Member,
  isLast: boolean,
  preparePauses: () => Promise<Pauses>,
): Promise<ProcessReport> {
  try {
    seeEnd(member);
    const onlyPretends = member.isExiting && !(await isJudgedSoon(member));
    const report = member.isJudging ? undefined : await lookInPassing(member, isLast, preparePauses);
    seeEnd(member);
    if (report === undefined || (member.isExiting && !onlyPretends)) await isJudgedSoon(member);
    while (member.isJudging && !member.lookForEnd() && !member.isOver) await waitForOneWithin(LOOK_MS, [member.target]);
    const last = (await member.report()) ?? report;
    if (last !== undefined) return last;
    const info = { processId: member.pid, name: member.image };
    throw new AttachError(info, 'it has no thread that can be stopped, and does not end', 'again');
  } finally {
    if (!member.hasEnded && (isLast || member.isJudging)) await detach(member, await preparePauses());
  }
}

async function lookInPassing(
  member: Member,
  isLast: boolean,
  preparePauses: () => Promise<Pauses>,
): Promise<ProcessReport | undefined> {
  try {
    return await member.reportInPassing(await preparePauses(), isLast);
  } catch (error) {
    // A process that ends meanwhile refuses anything, in many ways.
    if (await isJudgedSoon(member)) return undefined;
    throw error;
  }
}

/**
 * Takes the hooks out of a process, unless it has ended.
 *
 * @throws what {@link Member.detach} throws
 */
export async function detach(member: Member, pauses: Pauses): Promise<void> {
  try {
    await member.detach(pauses);
  } catch (error) {
    if (member.target.exitCode() === undefined) throw error; // otherwise it has ended meanwhile
  }
}

/** @returns whether it is judged by its end */
function seeEnd(member: Member): boolean {
  member.look();
  member.lookForEnd();
  return member.isJudging;
}

/** Waits for a process that is about to end, but not for ever: it may stand in a debugger, or only pretend to exit. */
async function isJudgedSoon(member: Member): Promise<boolean> {
  const begun = nowMs();
  while (!seeEnd(member) && nowMs() - begun < END_MS) await waitForOneWithin(LOOK_MS, [member.target]);
  return member.isJudging;
}

/** The gap for a process that has no report. */
export function unrecordedGap(image: string, error: unknown): Gap {
  const why = error instanceof AttachError ? error.why : error instanceof Error ? error.message : String(error);
  return { kind: 'process-unrecorded', image, why: why.replace(/\.$/, '') };
}
