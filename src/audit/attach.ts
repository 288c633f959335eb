import { Recording } from '../agent/inject/recording.ts';
import { countsNeeded, iterationGap } from '../analyze/iterations.ts';
import { parseSuppressions } from '../analyze/suppressions.ts';
import { type Gap, weighGaps } from '../completeness.ts';
import type { Evidence } from '../evidence-model.ts';
import { HandleTable } from '../handles/enumerate.ts';
import { MarkListener } from '../marks/mark-listener.ts';
import { parseMarkName } from '../marks/mark-name.ts';
import { createNewEvent } from '../marks/new-event.ts';
import type { Report } from '../model.ts';
import { RunningProcess, AttachError, endedError } from '../process/running-process.ts';
import { Pauses } from '../process/guardian/pauses.ts';
import type { ProcessInfo } from '../process/processes.ts';
import { toolName, toolVersion } from '../version.ts';
import { AttachedSession, type AttachedSessionOptions } from './attached-session.ts';
import { AuditClaim } from './audit-claim.ts';
import { findIn, modulesWithoutNames } from './findings.ts';
import type { AuditOptions } from './options.ts';
import { AbortEvent, END_MS, waitForOneWithin } from './wait.ts';

/** How to audit a process that runs. */
export interface AttachOptions
  extends Omit<AuditOptions, 'program' | 'args' | 'targetStdout' | 'repeat' | 'interruption' | 'recording'> {
  /** The process, as `listProcesses` has it: its id alone may be another's by now. */
  readonly process: ProcessInfo;
  /** How many handle values can be recorded, a power of two. */
  readonly slotCount?: number;
  /** Milliseconds after which the recording ends; absent: it goes on until {@link signal}, or the target's end. */
  readonly forMs?: number;
  /** The open handles of each site are counted after every interval of so many milliseconds, unless marks are given. */
  readonly everyMs?: number;
  /** Name of an event; each time it is set a report is made, and recording goes on. */
  readonly reportOn?: string;
  /** Called with each report but the last one. */
  readonly onReport?: (report: Report) => void;
  /** Called when recording has begun, with the milliseconds for which the target has stood still. */
  readonly onAttached?: (standingMs: number) => void;
}

/**
 * Records a running process for a while, and reports on it. The process goes on: its handles are not at their end, so a
 * leak is judged by growth.
 *
 * @throws AttachError when the process cannot be attached to
 * @throws StopError or GuardianError when its threads cannot be stopped
 * @throws MarkError when marks cannot be taken by that name
 * @throws SuppressionError for a line of suppressions that is none
 * @throws Win32Error or NtStatusError when Windows refuses what the audit needs
 * @throws LedgerDamagedError when the target has overwritten what was recorded
 */
export async function attach(options: AttachOptions): Promise<Report> {
  const { process: info, slotCount, forMs, signal, reportOn } = options;
  const suppressions = (options.suppressions ?? []).flatMap(parseSuppressions);
  using target = RunningProcess.open(info, 'attached');
  using claim = AuditClaim.take(info.processId);
  if (claim === undefined) throw new AttachError(info, 'another unclosed audits it', 'again when that audit is over');
  using pauses = Pauses.of(target);
  using marks = await openMarks(options);
  using report = reportOn === undefined ? undefined : createNewEvent(reportOn);
  HandleTable.learnTypeNames(); // which else the target would have to wait for
  using recording = await Recording.prepare(slotCount === undefined ? {} : { slotCount });
  await pauses.ready();
  using session = await begin(target, recording, { pauses, marks, symbolPath: options.symbolPath }, info);
  options.onAttached?.(pauses.lengthsMs.at(-1) ?? 0);

  const signals = [
    ...(signal === undefined ? [] : [signal]),
    ...(forMs === undefined ? [] : [AbortSignal.timeout(forMs)]),
  ];
  using stop = new AbortEvent(signals.length === 0 ? undefined : AbortSignal.any(signals));
  try {
    for (;;) {
      const judgement = await session.judge(stop, report);
      const { watch } = judgement.evidence;
      const found = findIn(judgement.evidence, options, suppressions);
      const nameless = session.explainMissingNames(modulesWithoutNames(found.findings));
      if (watch?.goesOn !== true) await awaitEnd(target, session);
      const exitCode = target.exitCode();
      const made: Report = {
        schemaVersion: 1,
        tool: { name: toolName, version: toolVersion },
        target: {
          command: target.command,
          pid: target.pid,
          attached: true,
          ...(exitCode === undefined ? {} : { exitCode }),
        },
        ...found,
        completeness: weighGaps([
          ...judgement.gaps,
          ...growthGaps(judgement.evidence, options),
          ...(watch?.goesOn === true ? [{ kind: 'watched-for', durationMs: watch.durationMs } as const] : []),
          ...(judgement.isLast && watch?.goesOn === true
            ? [{ kind: 'left-in-target', sizeBytes: recording.sizeBytes } as const]
            : []),
        ]),
        ...(nameless.length === 0 ? {} : { modulesWithoutNames: nameless }),
        stats: { ...judgement.stats, ...recording.ledger.totals() },
      };
      if (judgement.isLast) return made;
      options.onReport?.(made);
    }
  } catch (error) {
    // There is no reader any more for what is recorded.
    if (target.exitCode() === undefined) await session.detach();
    throw error;
  }
}

/**
 * Waits for the end of a target that was judged at its exit. One that does not end after that stands in a debugger or
 * an error report, or it has only pretended to exit: it is left.
 */
async function awaitEnd(target: RunningProcess, session: AttachedSession): Promise<void> {
  if ((await waitForOneWithin(END_MS, [target])) !== undefined) return;
  try {
    await session.detach();
  } catch (error) {
    if (target.exitCode() === undefined) throw error;
  }
}

async function begin(
  target: RunningProcess,
  recording: Recording,
  options: AttachedSessionOptions,
  info: ProcessInfo,
): Promise<AttachedSession> {
  try {
    return await AttachedSession.begin(target, recording, options);
  } catch (error) {
    // A process that ends meanwhile refuses anything, in many ways.
    const exitCode = target.exitCode();
    if (exitCode !== undefined) throw endedError(info, exitCode);
    throw error;
  }
}

async function openMarks({ mark, settleMs = 0, everyMs }: AttachOptions): Promise<MarkListener | undefined> {
  if (mark !== undefined) return await MarkListener.open(parseMarkName(mark), settleMs);
  return everyMs === undefined ? undefined : MarkListener.every(everyMs, settleMs);
}

/** Why growth could not be judged. */
function growthGaps({ marks, watch }: Evidence, { mark, analysis }: AttachOptions): readonly Gap[] {
  if (marks === undefined) return [];
  const gap = iterationGap(marks, mark ?? '', analysis?.warmUpIterations);
  if (gap === undefined) return [];
  if (watch?.everyMs === undefined) return [gap];
  // A target that has ended is judged by what it left open.
  if (!watch.goesOn) return [];
  return [{ kind: 'too-few-intervals', intervals: marks.length, needed: countsNeeded(analysis?.warmUpIterations) }];
}
