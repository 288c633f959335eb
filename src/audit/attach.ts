import { AuditorEvents } from '../agent/inject/auditor-events.ts';
import { intervalGap } from '../analyze/growth/iterations.ts';
import { parseSuppressions } from '../analyze/suppressions.ts';
import type { Gap } from '../completeness.ts';
import type { Evidence } from '../evidence-model.ts';
import { HandleTable } from '../handles/enumerate.ts';
import type { MarkListener } from '../marks/mark-listener.ts';
import { MarkError, parseMarkName } from '../marks/mark-name.ts';
import { createNewEvent } from '../marks/new-event.ts';
import type { Report } from '../model.ts';
import { whyCritical } from '../process/critical.ts';
import type { ProcessInfo } from '../process/processes.ts';
import { AttachError } from '../process/running-process.ts';
import { AuditorSign } from './audit-claim.ts';
import { findIn } from './findings.ts';
import type { CountedProcess, OpenCounts } from './open-counts.ts';
import { gapsOfMarks, openMarks } from './open-marks.ts';
import { OpenTimeline } from './open-timeline.ts';
import { type AuditOptions, nameSourcesOf } from './options.ts';
import { combineTree, toReport } from './tree/combine-tree.ts';
import { ProcessChoice } from './tree/process-choice.ts';
import type { TreeReport } from './tree/process-report.ts';
import { ProcessTree } from './tree/process-tree.ts';
import { ValueWatches } from './value/value-watches.ts';
import { openStops } from './stops/stops.ts';
import { AbortEvent, waitForOne } from './wait.ts';

/** How to audit processes that run. */
export interface AttachOptions
  extends Omit<
    AuditOptions,
    | 'program'
    | 'args'
    | 'javaScript'
    | 'targetStdout'
    | 'repeat'
    | 'interruption'
    | 'recording'
    | 'waitChildren'
    | 'onProgress'
  > {
  /** The processes, at least one, as `listProcesses` has them: an id alone may be another's by now. */
  readonly processes: readonly ProcessInfo[];
  /** Whether processes are recorded, too, that Windows cannot run without; false by default. */
  readonly force?: boolean;
  /** How many handle values can be recorded, a power of two. */
  readonly slotCount?: number;
  /** How many earlier lives of each value are kept, a power of two up to 32. */
  readonly history?: number;
  /** Milliseconds after which the recording ends; absent: it goes on until {@link signal}, or the processes' end. */
  readonly forMs?: number;
  /** The open handles of each site are counted after every interval of so many milliseconds, unless marks are given. */
  readonly everyMs?: number;
  /** Name of an event; each time it is set a report is made, and recording goes on. */
  readonly reportOn?: string;
  /** Called with each report but the last one. */
  readonly onReport?: (report: Report) => void;
  /** Called after each interval or mark of a process, and with `undefined` when it has ended. */
  readonly onCounts?: (process: CountedProcess, counts: OpenCounts | undefined) => void;
  /** Called when a process is being recorded, with the milliseconds for which it has stood still. */
  readonly onAttached?: (process: ProcessInfo, standingMs: number) => void;
}

/**
 * Records running processes for a while, and reports on them. They go on: their handles are not at their end, so a leak
 * is judged by growth. Where several were asked for, one that cannot be attached to is a gap.
 *
 * @throws AttachError when no process can be attached to
 * @throws StopError or GuardianError when threads cannot be stopped
 * @throws MarkError when marks cannot be taken by that name
 * @throws SuppressionError for a line of suppressions that is none
 * @throws Win32Error or NtStatusError when Windows refuses what the audit needs
 * @throws LedgerDamagedError when the only target has overwritten what was recorded
 */
export async function attach(options: AttachOptions): Promise<Report> {
  const { slotCount, history, forMs, signal, reportOn, followChildren = false, only, skip } = options;
  const suppressions = (options.suppressions ?? []).flatMap(parseSuppressions);
  using marks = await openMarksOf(options);
  using report = reportOn === undefined ? undefined : createNewEvent(reportOn);
  HandleTable.learnTypeNames(); // which else the targets would have to wait for
  using _sign = new AuditorSign();
  using events = new AuditorEvents({ followsChildren: followChildren, stops: options.stops !== undefined });
  using timeline = options.countOverTime === true ? new OpenTimeline() : undefined;
  await using stops = openStops(events, options);
  const names = nameSourcesOf(options, options.javaScriptLogs);
  using values = options.watch && new ValueWatches(options.watch, names);
  await using tree = new ProcessTree(events, {
    recording: {
      ...(slotCount === undefined ? {} : { slotCount }),
      ...(history === undefined ? {} : { history }),
      notesBytecode: options.javaScriptLogs !== undefined,
    },
    names,
    choice: new ProcessChoice(only, skip),
    everyMs: options.mark === undefined ? options.everyMs : undefined,
    settleMs: options.settleMs,
    onCounts: options.onCounts,
    sectionsOfAll: marks,
    timeline,
    judge: (evidence) => ({ ...findIn(evidence, options, suppressions), gaps: growthGaps(evidence, options, marks) }),
    stops,
    values,
  });
  await using _first = stops; // before the tree, whose processes it uses
  using _second = values; // likewise
  tree.start();
  try {
    await attachToEach(tree, options, marks);
    const signals = [
      ...(signal === undefined ? [] : [signal]),
      ...(forMs === undefined ? [] : [AbortSignal.timeout(forMs)]),
    ];
    using stop = new AbortEvent(signals.length === 0 ? undefined : AbortSignal.any(signals));
    const awaited = [stop, tree.settled, ...(report === undefined ? [] : [report])];
    const assembleNow = async (isLast: boolean): Promise<Report> => {
      timeline?.take();
      const parts = await (isLast ? tree.finish() : tree.reportInPassing());
      if (isLast) values?.finish();
      const report = { ...assemble(tree, parts, isLast), ...timeline?.describe() };
      return stops?.nameDumps(report) ?? report;
    };
    while ((await waitForOne(awaited)) === report) options.onReport?.(await assembleNow(false));
    stops?.close();
    return await assembleNow(true);
  } catch (error) {
    stops?.close();
    await tree.abandon();
    throw error;
  }
}

/** @throws what refused the first process, where all refuse */
async function attachToEach(
  tree: ProcessTree,
  { processes, onAttached, force = false }: AttachOptions,
  marks: MarkListener | undefined,
): Promise<void> {
  const failures: unknown[] = [];
  for (const info of processes) {
    try {
      if (!force) refuseCritical(info);
      const standingMs = await tree.attach(info, marks);
      onAttached?.(info, standingMs);
    } catch (error) {
      failures.push(error);
      if (processes.length > 1) tree.noteUnrecorded(info.processId, info.name, error);
    }
  }
  if (failures.length === processes.length) throw failures[0];
}

/** @throws AttachError for a process that must not stand still */
function refuseCritical(info: ProcessInfo): void {
  const why = whyCritical(info);
  if (why === undefined) return;
  throw new AttachError(info, `${why}, and to hold it up may stop the system`, '--force if you must');
}

/** @throws the reason why there is nothing to report on */
function assemble(tree: ProcessTree, { reports, gaps, failures }: TreeReport, isLast: boolean): Report {
  const [first, ...others] = reports;
  if (first === undefined) throw failures[0];
  const combined = combineTree(first, { reports: others, gaps });
  const goesOn = reports.some(({ exitCode }) => exitCode === undefined);
  const target = {
    command: tree.first?.pid === first.pid ? tree.first.command : [first.image],
    pid: first.pid,
    attached: true,
    ...(first.exitCode === undefined ? {} : { exitCode: first.exitCode }),
  } as const;
  return toReport(target, {
    ...combined,
    gaps: [
      ...combined.gaps,
      ...(goesOn ? [{ kind: 'watched-for', durationMs: first.stats.durationMs } as const] : []),
      ...(goesOn && isLast ? [{ kind: 'left-in-target', sizeBytes: tree.sizeBytes } as const] : []),
    ],
  });
}

/** @throws MarkError when marks cannot be taken by that name, or there is more than one process */
async function openMarksOf(options: AttachOptions): Promise<MarkListener | undefined> {
  const { mark, processes } = options;
  if (mark !== undefined && processes.length > 1)
    throw new MarkError(mark, `${processes.length} processes cannot share its marks`, 'one process, or --every');
  return await openMarks(mark === undefined ? undefined : parseMarkName(mark), options);
}

/** Why growth could not be judged. */
function growthGaps(
  { marks, watch }: Evidence,
  options: AttachOptions,
  listener: MarkListener | undefined,
): readonly Gap[] {
  if (marks === undefined) return [];
  const { mark, analysis } = options;
  if (watch?.everyMs === undefined)
    return gapsOfMarks(marks, mark ?? '', (listener?.sections?.begun ?? 0) > 0, options);
  // A target that has ended is judged by what it left open.
  const gap = watch.goesOn ? intervalGap(marks, analysis?.warmUpIterations) : undefined;
  return gap === undefined ? [] : [gap];
}
