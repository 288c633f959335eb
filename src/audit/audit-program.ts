import { AuditorEvents } from '../agent/inject/auditor-events.ts';
import { parseSuppressions } from '../analyze/suppressions.ts';
import type { Gap } from '../completeness.ts';
import type { Evidence } from '../evidence-model.ts';
import { type MarkName, parseMarkName } from '../marks/mark-name.ts';
import type { Report } from '../model.ts';
import { checkProgram, findProgram } from '../process/program.ts';
import { StandardStreams } from '../process/streams/standard-streams.ts';
import { AuditClaim, AuditorSign } from './audit-claim.ts';
import type { Judgement } from './examination.ts';
import { JavaScriptLogs } from './javascript-logs.ts';
import { findIn, modulesWithoutNames } from './findings.ts';
import { gapsOfMarks, openMarks } from './open-marks.ts';
import { type AuditOptions, nameSourcesOf } from './options.ts';
import { OpenTimeline } from './open-timeline.ts';
import { AuditSession } from './session.ts';
import { startTarget } from './start-target.ts';
import { openStops } from './stops/stops.ts';
import { combineTree, toReport } from './tree/combine-tree.ts';
import { ProcessChoice } from './tree/process-choice.ts';
import type { ProcessReport } from './tree/process-report.ts';
import { ProcessTree } from './tree/process-tree.ts';
import { ValueWatches } from './value/value-watches.ts';
import { AbortEvent, waitForEnd } from './wait.ts';

/** Audits one run of a program: see {@link audit}. */
export async function auditProgram(options: AuditOptions): Promise<Report> {
  const program = findProgram(options.program);
  checkProgram(program);
  using javaScript = JavaScriptLogs.prepare(program, options);
  const suppressions = (options.suppressions ?? []).flatMap(parseSuppressions);
  const mark = options.mark === undefined ? undefined : parseMarkName(options.mark);
  using marks = await openMarks(mark, options);
  using streams = new StandardStreams({ stdout: options.targetStdout ?? 'stdout' });
  using _sign = new AuditorSign();
  using events = new AuditorEvents({
    followsChildren: options.followChildren ?? false,
    stops: options.stops !== undefined,
  });
  await using stops = openStops(events, options);
  const { stdin, stdout, stderr } = streams;
  const recordingOptions = { ...options.recording, notesBytecode: javaScript !== undefined };
  const names = nameSourcesOf(options, javaScript?.directory);
  using started = await startTarget(
    { program, args: [...(javaScript?.flags ?? []), ...(options.args ?? [])], stdin, stdout, stderr },
    recordingOptions,
    mark,
    events,
  );
  const { target, recording } = started;
  using _claim = AuditClaim.take(target.pid);
  const passedOn = [stdin, stdout, stderr].map((stream) => stream.asRawHandle());
  streams.targetStarted();
  const find = (evidence: Evidence): ReturnType<typeof findIn> => findIn(evidence, options, suppressions);
  const choice = new ProcessChoice(options.only, options.skip);
  const isReported = choice.isReported(target.image);
  using timeline = options.countOverTime === true ? new OpenTimeline() : undefined;
  using values = options.watch && new ValueWatches(options.watch, names);
  await using tree =
    events.child === undefined
      ? undefined
      : new ProcessTree(
          events,
          {
            recording: recordingOptions,
            names,
            choice,
            judge: find,
            sectionsOfAll: marks,
            timeline,
            stops,
            values,
            javaScript,
          },
          started,
        );
  using session = await AuditSession.begin(target, recording, {
    passedOn,
    marks,
    names,
    arrived: tree?.rootArrived,
    timeline: isReported ? timeline : undefined,
  });
  tree?.joinRoot(session.examination);
  await using _first = stops; // before the session, whose symbols it uses
  using _second = values; // before those whose ledgers it reads
  if (isReported) stops?.join({ target, recording, examination: session.examination, judge: find });
  if (isReported) values?.join({ target, recording });
  using abort = new AbortEvent(options.signal);
  tree?.start();
  // An audit that was aborted while the target was being started is over before its first instruction.
  if (options.signal?.aborted !== true) target.resume();
  options.interruption?.addEventListener('abort', () => stops?.close(), { once: true });
  options.signal?.addEventListener('abort', () => stops?.close(), { once: true });
  const judgement = await session.judge(abort, (module) => {
    if (module === undefined) options.onProgress?.(undefined);
    else if (tree?.isAlone === true) options.onProgress?.({ work: 'reading symbols', module });
  });

  values?.leave(target.pid);
  const ending = waitForEnd(target, judgement.isAborted ? undefined : abort);
  const found = await findMeanwhile(ending, () => (isReported ? find(judgement.evidence) : { findings: [] }));
  if (options.waitChildren === true && !judgement.isAborted) await tree?.settle(options.signal);
  timeline?.take();
  stops?.close();
  const children = await tree?.finish();
  values?.finish();
  await streams.drain();
  const exitCode = target.exitCode();
  const root: ProcessReport = {
    target,
    pid: target.pid,
    image: target.image,
    ...(exitCode === undefined ? {} : { exitCode }),
    found,
    gaps: isReported ? listGaps(judgement, options, mark) : [],
    nameless: session.explainMissingNames(modulesWithoutNames(found.findings)),
    stats: { ...judgement.stats, ...recording.ledger.totals() },
  };
  const { flags = [] } = javaScript ?? {};
  const described = {
    command: target.command,
    ...(flags.length === 0 ? {} : { added: flags }),
    pid: target.pid,
    ...(exitCode === undefined ? {} : { exitCode }),
  };
  const report = { ...toReport(described, combineTree(root, children)), ...timeline?.describe() };
  return stops?.nameDumps(report) ?? report;
}

/** Runs the rules while the target ends, and waits for its end whatever comes of them. */
async function findMeanwhile<Found>(ending: Promise<unknown>, find: () => Found): Promise<Found> {
  try {
    return find();
  } finally {
    await ending;
  }
}

/** The gaps of the recording, and those that come from how the audit was made. */
function listGaps(
  { gaps, evidence, stats }: Judgement,
  options: AuditOptions,
  mark: MarkName | undefined,
): readonly Gap[] {
  const { settleMs = 0, interruption } = options;
  const isKnown = gaps.some(({ kind }) => kind === 'interrupted');
  const hasSections = stats.sections !== undefined;
  return [
    ...(interruption?.aborted === true && !isKnown ? [{ kind: 'interrupted' } as const] : []),
    ...(evidence.marks === undefined ? [] : gapsOfMarks(evidence.marks, mark?.name ?? '', hasSections, options)),
    ...gaps,
    ...(evidence.marks === undefined && settleMs > 0 ? [{ kind: 'settled-without-marks' } as const] : []),
  ];
}
