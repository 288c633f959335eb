import { win32 } from 'node:path';

import { GATE_UNATTENDED } from './agent/emit/hooks/exit-gate.ts';
import { Recording, type RecordingOptions } from './agent/inject/recording.ts';
import { defaultSuppressions } from './analyze/default-suppressions.ts';
import { analyze, type AnalyzeOptions } from './analyze/index.ts';
import { doubtIterations } from './analyze/iterations.ts';
import {
  parseSuppressions,
  suggestSuppression,
  suppress,
  type Suppression,
  type SuppressionText,
} from './analyze/suppressions.ts';
import { type GatheredEvidence, gatherLive, gatherPostMortem, recordedType } from './evidence.ts';
import { CreateEventW, SetEvent, WaitForMultipleObjectsAsync } from './ffi/kernel32.ts';
import { displayName } from './handles/display-name.ts';
import { HandleTable } from './handles/enumerate.ts';
import { describeInherited, listInherited } from './handles/inherited.ts';
import { readNameContext } from './handles/name-context.ts';
import { type AsHandle, type BorrowedHandle, HandleOrNull, type OwnedHandle, type RawHandle } from './io/index.ts';
import { MARK_VARIABLE } from './marks/mark.ts';
import { MarkCounts } from './marks/mark-counts.ts';
import { MarkListener } from './marks/mark-listener.ts';
import { type MarkName, parseMarkName } from './marks/mark-name.ts';
import type { Completeness, Evidence, OpenHandle, Report, SuppressionUse } from './model.ts';
import { nowMs } from './process/clock.ts';
import { isSystemPath, listFirstModules, listModules, type Module } from './process/modules.ts';
import { checkProgram, findProgram } from './process/program.ts';
import { SuspendedProcess } from './process/spawn.ts';
import { StandardStreams } from './process/standard-streams.ts';
import { Symbolizer } from './symbols/symbolizer.ts';
import { toolName, toolVersion } from './version.ts';

export type { AnalyzeOptions } from './analyze/index.ts';
export type { SuppressionText } from './analyze/suppressions.ts';
export { mark } from './marks/mark.ts';
export type { RecordingOptions } from './agent/inject/recording.ts';
export type {
  Completeness,
  Finding,
  Frame,
  HandleObject,
  Level,
  Report,
  Rule,
  SocketDescription,
  Stack,
  Statistics,
} from './model.ts';

/** How to audit a program from its first instruction to its last. */
export interface AuditOptions {
  /** The program, which may be given without directory or `.exe`. */
  readonly program: string;
  readonly args?: readonly string[];
  /** Which of our own streams the target's stdout goes to; `stdout` by default. */
  readonly targetStdout?: 'stdout' | 'stderr';
  readonly recording?: RecordingOptions;
  readonly analysis?: AnalyzeOptions;
  /**
   * By which event (`name`) or pipe (`pipe:name`) somebody says that one iteration of the target's work is over:
   * docs/iterations.md.
   */
  readonly mark?: string;
  /** How long to wait at a mark for what an iteration left behind to be closed; 0 unless told. */
  readonly settleMs?: number;
  /** Texts of suppressions (docs/suppressions.md), beside the default ones. */
  readonly suppressions?: readonly SuppressionText[];
  /** Whether the default suppressions are in force; true unless told. */
  readonly defaultSuppressions?: boolean;
  /** Where to look for PDB files, as in `_NT_SYMBOL_PATH`. */
  readonly symbolPath?: string;
  /** Ends the audit when aborted: the target is ended too, and the report is of what was seen until then. */
  readonly signal?: AbortSignal;
}

/**
 * Runs a program and reports the handles and sockets that it left unclosed, closed twice, or used after closing.
 *
 * The target's standard streams are ours. Everything that was opened for it is closed when the promise settles, and a
 * target that could not be audited is not left running.
 *
 * @throws ProgramError when the program cannot be audited
 * @throws MarkError when marks cannot be taken by that name
 * @throws SuppressionError for a line of suppressions that is none
 * @throws Win32Error or NtStatusError when Windows refuses what the audit needs
 * @throws LedgerDamagedError when the target has overwritten what was recorded
 */
export async function audit(options: AuditOptions): Promise<Report> {
  const program = findProgram(options.program);
  checkProgram(program);
  const given = (options.suppressions ?? []).flatMap(parseSuppressions);
  const markName = options.mark === undefined ? undefined : parseMarkName(options.mark);
  using marks = markName === undefined ? undefined : await MarkListener.open(markName, options.settleMs ?? 0);
  using _variable = tellMarkName(markName);
  using streams = new StandardStreams({ stdout: options.targetStdout ?? 'stdout' });
  const starting = SuspendedProcess.spawn({
    program,
    args: options.args ?? [],
    stdin: streams.stdin,
    stdout: streams.stdout,
    stderr: streams.stderr,
  });
  using prepared = await prepareMeanwhile(starting, options.recording);
  const { target, recording } = prepared;
  const passedOn = [streams.stdin, streams.stdout, streams.stderr].map((stream) => stream.asRawHandle());
  streams.targetStarted();
  recording.install(target);
  const inherited = await noteOpenHandles(target, recording, passedOn);
  const firstModules = listFirstModules(target, program);
  const startTime = fileTimeNow();
  const started = nowMs();
  const markCounts = marks && new MarkCounts(recording.ledger, started);
  if (markCounts !== undefined) marks?.start(markCounts);

  using symbolizer = new Symbolizer([], options.symbolPath === undefined ? {} : { searchPath: options.symbolPath });
  using interruption = new Interruption(options.signal);
  // An audit that was aborted while the target was being started is over before its first instruction.
  if (options.signal?.aborted !== true) target.resume();
  const judged = await judge({
    target,
    recording,
    startTime,
    firstModules,
    symbolizer,
    interruption,
    ...(marks && markCounts && { marks, markCounts }),
  });
  const durationMs = judged.time - started;
  const { openHandles, distinctStacks } = judged.gathered;
  const evidence = { ...judged.gathered.evidence, inherited };
  const suppressions = [...given, ...(options.defaultSuppressions === false ? [] : defaultSuppressions())];

  const ending = waitForEnd(target, judged.aborted ? undefined : interruption);
  let found: ReturnType<typeof findIn>;
  try {
    found = findIn(evidence, options, suppressions);
  } finally {
    await ending;
  }
  await streams.drain();
  const exitCode = target.exitCode();
  const { opens, closes } = recording.ledger.totals();
  return {
    schemaVersion: 1,
    tool: { name: toolName, version: toolVersion },
    target: { command: target.command, pid: target.pid, ...(exitCode === undefined ? {} : { exitCode }) },
    ...found,
    completeness: judgeCompleteness(recording, judged, noteIterations(evidence, options, markName, markCounts?.gap)),
    stats: {
      durationMs,
      opens,
      closes,
      openHandles,
      hookedCalls: recording.hooked.length,
      distinctStacks,
      ...countIterations(evidence),
    },
  };
}

/**
 * Prepares the recording while Windows starts the target, which takes about as long.
 *
 * @returns both, to be disposed of together; when one of them fails, nothing of the other is left
 */
async function prepareMeanwhile(
  starting: Promise<SuspendedProcess>,
  options: RecordingOptions | undefined,
): Promise<Disposable & { readonly target: SuspendedProcess; readonly recording: Recording }> {
  const [target, recording] = await Promise.allSettled([starting, prepareRecording(options)]);
  const dispose = (): void => {
    using _target = target.status === 'fulfilled' ? target.value : undefined;
    using _recording = recording.status === 'fulfilled' ? recording.value : undefined;
  };
  if (target.status === 'fulfilled' && recording.status === 'fulfilled')
    return { target: target.value, recording: recording.value, [Symbol.dispose]: dispose };
  dispose();
  throw target.status === 'rejected' ? target.reason : (recording as PromiseRejectedResult).reason;
}

async function prepareRecording(options: RecordingOptions | undefined): Promise<Recording> {
  HandleTable.learnTypeNames(); // which else the target would have to wait for
  return await Recording.prepare(options);
}

/** The findings that are left, each with a line to suppress it by, and what was suppressed. */
function findIn(
  evidence: Evidence,
  options: AuditOptions,
  suppressions: readonly Suppression[],
): Pick<Report, 'findings' | 'suppressions'> {
  const { findings, uses } = suppress(analyze(evidence, options.analysis), suppressions);
  const isOfInterest = ({ reason, findings: count }: SuppressionUse): boolean => reason === undefined || count > 0;
  return {
    findings: findings.map((finding) => ({ ...finding, suppression: suggestSuppression(finding) })),
    suppressions: uses.filter(isOfInterest),
  };
}

function countIterations({ marks }: Evidence): { readonly iterations?: number } {
  return marks === undefined ? {} : { iterations: marks.reduce((sum, { iterations }) => sum + iterations, 0) };
}

function noteIterations(
  { marks }: Evidence,
  { analysis, settleMs = 0 }: AuditOptions,
  name: MarkName | undefined,
  gap: string | undefined,
): IterationNotes {
  const doubt = marks === undefined ? undefined : doubtIterations(marks, name?.name ?? '', analysis?.warmUpIterations);
  return {
    gaps: [doubt, gap].filter((each) => each !== undefined),
    notes:
      marks === undefined && settleMs > 0
        ? ['There was nothing to settle: it is at marks that handles are waited for, and none were to be taken.']
        : [],
  };
}

interface IterationNotes {
  readonly gaps: readonly string[];
  readonly notes: readonly string[];
}

/** A child inherits our environment as it is when it is started. */
function tellMarkName(mark: MarkName | undefined): Disposable | undefined {
  if (mark?.kind !== 'pipe') return undefined;
  const before = process.env[MARK_VARIABLE];
  process.env[MARK_VARIABLE] = mark.name;
  return {
    [Symbol.dispose]: () => {
      if (before === undefined) delete process.env[MARK_VARIABLE];
      else process.env[MARK_VARIABLE] = before;
    },
  };
}

/** Paths of the DLLs that open handles in every process. */
function listOpeners(firstModules: readonly Module[]): readonly string[] {
  const ntdll = firstModules.find(({ isSystem }) => isSystem)?.path;
  return ntdll === undefined ? [] : [ntdll, win32.join(ntdll, '..', 'kernelbase.dll')];
}

interface Audited {
  readonly target: SuspendedProcess;
  readonly recording: Recording;
  readonly startTime: bigint;
  /** The modules that were mapped before recording began. */
  readonly firstModules: readonly Module[];
  readonly symbolizer: Symbolizer;
  readonly interruption: Interruption;
  readonly marks?: MarkListener;
  readonly markCounts?: MarkCounts;
}

interface Judgement {
  readonly gathered: GatheredEvidence;
  /** The target stood at its exit, and its handle table could be read. */
  readonly atGate: boolean;
  readonly aborted: boolean;
  /** `nowMs` at the judgement point. */
  readonly time: number;
}

const INFINITE_MS = 0xffff_ffff;

/**
 * Waits until the target is about to exit, or is gone, gathers the evidence at that point, and lets the target end, or
 * makes it end.
 */
async function judge(audited: Audited): Promise<Judgement> {
  const { target, recording, interruption, marks } = audited;
  const arrived = recording.arrived;
  const ended = target.asHandle();

  // A mark that was made before the exit is heard before it.
  const awaited = [...(marks?.event === undefined ? [] : [marks.event]), arrived, ended, interruption];
  const waiting = waitForOne(awaited);
  // While the target runs, there is time for what is going to be needed; but a mark must not wait.
  if (marks === undefined)
    await workMeanwhile(waiting, audited.symbolizer.readAhead(listOpeners(audited.firstModules)));
  let reason = await waiting;
  for (; reason === marks?.event; reason = await waitForOne(awaited)) marks.note();
  const aborted = reason === interruption;
  const time = nowMs();
  await marks?.finish();
  if (reason === ended) return { gathered: await gatherFromLedger(audited), atGate: false, aborted, time };
  try {
    return { gathered: await gatherWhileItStands(audited), atGate: reason === arrived, aborted, time };
  } finally {
    if (reason === arrived) recording.release();
    else target.terminate();
  }
}

/**
 * Does work in small pieces until something else has happened; what is left then is not done.
 *
 * @param waiting for what else happens; that it failed, its own user is told
 */
async function workMeanwhile(waiting: Promise<unknown>, work: Iterable<unknown>): Promise<void> {
  let isOver = false;
  const end = (): void => {
    isOver = true;
  };
  void waiting.then(end, end);
  for (const _piece of work) {
    await new Promise(setImmediate);
    if (isOver) return;
  }
}

/** Once judged, a target has nothing left to do but to end: an interruption ends it at once. */
async function waitForEnd(target: SuspendedProcess, interruption: Interruption | undefined): Promise<void> {
  const ended = target.asHandle();
  while ((await waitForOne(interruption === undefined ? [ended] : [ended, interruption])) !== ended) target.terminate();
}

/** @returns the handle that is signalled, the first of them if several are */
async function waitForOne<Waited extends AsHandle>(handles: readonly Waited[]): Promise<Waited> {
  const raw = BigInt64Array.from(handles, (handle) => handle.asHandle().asRawHandle());
  const index = await WaitForMultipleObjectsAsync(raw.length, raw, false, INFINITE_MS);
  const signalled = handles[index];
  if (signalled === undefined)
    throw new Error(`Cannot wait for the target: WaitForMultipleObjects returned 0x${index.toString(16)}.`);
  return signalled;
}

/** An abort signal as something that can be waited for beside a process. */
class Interruption implements AsHandle, Disposable {
  readonly #event: OwnedHandle;
  readonly #signal: AbortSignal | undefined;
  readonly #set = () => {
    SetEvent(this.#event.asRawHandle());
  };

  constructor(signal: AbortSignal | undefined) {
    this.#event = HandleOrNull.fromRawHandle(CreateEventW(null, false, signal?.aborted ?? false, null)).expect(
      'create an event',
      '',
    );
    this.#signal = signal;
    signal?.addEventListener('abort', this.#set);
  }

  asHandle(): BorrowedHandle {
    return this.#event.asHandle();
  }

  [Symbol.dispose](): void {
    this.#signal?.removeEventListener('abort', this.#set);
    this.#event[Symbol.dispose]();
  }
}

/** For a target that has ended: its handle table is gone, and its modules are known from the ledger alone. */
async function gatherFromLedger(audited: Audited): Promise<GatheredEvidence> {
  const { ledger } = audited.recording;
  ledger.check();
  addModules(audited, []);
  return await gatherPostMortem({ ...audited, ledger });
}

async function gatherWhileItStands(audited: Audited): Promise<GatheredEvidence> {
  const { target, recording } = audited;
  recording.ledger.check();
  addModules(audited, listModules(target));
  return await gatherLive(target, target.pid, { ...audited, ledger: recording.ledger });
}

/** Adds the modules that are loaded now and those that were, for a stack may be older than an unloaded DLL. */
function addModules({ symbolizer, recording, firstModules }: Audited, loaded: readonly Module[]): void {
  symbolizer.addModules(loaded);
  symbolizer.addModules(firstModules);
  const context = readNameContext();
  const noted = [...recording.ledger.images()].map(({ base, sizeBytes, path: kernelPath }): Module => {
    const path = displayName('File', kernelPath, context);
    return { base, sizeBytes, name: win32.basename(path), path, isSystem: isSystemPath(path) };
  });
  // Of two images that lay at one place, the stacks are more likely of the later one.
  symbolizer.addModules(noted.toReversed());
}

/**
 * The handles that the target was born with: no call of its own opened them.
 *
 * @returns those that it inherited beside what we passed on
 */
function noteOpenHandles(
  target: SuspendedProcess,
  recording: Recording,
  passedOn: readonly RawHandle[],
): Promise<readonly OpenHandle[]> {
  const table = HandleTable.readProcess(target, target.pid);
  for (let index = 0; index < table.count; index++) {
    if (recording.ledger.isQuarantined(table.valueAt(index))) continue; // the sentinel
    recording.ledger.markOpenBefore(table.valueAt(index), recordedType(table.typeAt(index)));
  }
  return describeInherited(target, target.pid, listInherited(table, passedOn));
}

/**
 * What the completeness of a report says when the target was ended by {@link AuditOptions.signal}, or by a Ctrl-C of
 * its own.
 */
export const interruptedNote: string =
  'The target was interrupted while it ran: what it would have closed later counts as open.';

function judgeCompleteness(recording: Recording, judgement: Judgement, iterations: IterationNotes): Completeness {
  const { ledger } = recording;
  const { unseenOpens, namesTimedOut } = judgement.gathered;
  const gaps: string[] = [...iterations.gaps];
  const notes: string[] = [...iterations.notes];
  if (judgement.aborted) {
    gaps.push(interruptedNote);
  } else if (!judgement.atGate) {
    const why =
      ledger.counter('gateState') === GATE_UNATTENDED
        ? 'could not wait for the auditor'
        : 'was ended from outside or by the kernel';
    gaps.push(
      `The target ${why}: its handle table could not be read, so open handles are what the recorder knows, without names.`,
    );
  }
  if (recording.unrecognised.length > 0) {
    gaps.push(
      `Calls of ntdll in an unknown form, perhaps hooked by other software, were not recorded: ${recording.unrecognised.join(', ')}.`,
    );
  }
  if (recording.unmovable.length > 0) {
    gaps.push(`Functions of an unknown form were not recorded: ${recording.unmovable.join(', ')}.`);
  }
  const count = (counter: Parameters<typeof ledger.counter>[0], sentence: (n: number) => string) => {
    const n = ledger.counter(counter);
    if (n > 0) gaps.push(sentence(n));
  };
  count(
    'functionsMissed',
    (n) => `${n} functions of Windows' DLLs could not be hooked: what they refuse by themselves was not seen.`,
  );
  count('beyondCapacity', (n) => `${n} calls were about handle values beyond the recorder's capacity.`);
  count('droppedStacks', (n) => `${n} calls have no stack: the recorder's room for stacks was full.`);
  count('droppedMisuses', (n) => `${n} refused calls were not kept: the recorder's room for them was full.`);
  count('unresolvedDuplicates', (n) => `${n} calls named a process that the recorder could not identify.`);
  count(
    'droppedWrappers',
    (n) => `${n} descriptors, streams or searches were not followed: the recorder's room for them was full.`,
  );
  count(
    'quarantineLost',
    (n) => `${n} values left the quarantine too early: somebody was given them past the recorder.`,
  );
  count('nestedWalks', (n) => `${n} calls have a stack of one frame, because they were made by the stack walk itself.`);
  if (ledger.counter('inheritedCut') > 0) {
    notes.push(
      'Child processes inherited handles that could not all be looked at: there were too many, or other threads changed what is inheritable.',
    );
  }
  if (unseenOpens > 0) {
    notes.push(
      `${unseenOpens} open handles were put into the target by the system or by another process, and are not its own.`,
    );
  }
  if (namesTimedOut > 0)
    notes.push(`${namesTimedOut} handles have no name in this report, because asking for it did not end in time.`);
  return { complete: gaps.length === 0, notes: [...gaps, ...notes] };
}

/** Now, as a FILETIME: 100 ns since 1601. */
function fileTimeNow(): bigint {
  return BigInt(Date.now()) * 10_000n + 116_444_736_000_000_000n;
}
