import { setTimeout as sleep } from 'node:timers/promises';

import type { AuditorEvents } from '../../agent/inject/auditor-events.ts';
import { LedgerSections } from '../../agent/inject/ledger-sections.ts';
import { Recording } from '../../agent/inject/recording.ts';
import { groupGaps, type ProcessGaps } from '../../completeness.ts';
import { CreateEventW, ResetEvent, SetEvent } from '../../ffi/kernel32.ts';
import { CleanupStack } from '../../io/cleanup-stack.ts';
import { type AsHandle, type BorrowedHandle, HandleOrNull, type OwnedHandle } from '../../io/index.ts';
import { MarkListener } from '../../marks/mark-listener.ts';
import { Guardian } from '../../process/guardian/guardian.ts';
import { Pauses } from '../../process/guardian/pauses.ts';
import { findImagePath, type ProcessInfo } from '../../process/processes.ts';
import { AttachError, endedError, RunningProcess } from '../../process/running-process.ts';
import { nowMs } from '../../process/clock.ts';
import type { Target } from '../../process/target.ts';
import { SharedAnswers } from '../../symbols/shared-answers.ts';
import { AuditClaim, AuditorSign } from '../audit-claim.ts';
import { waitForOneWithin } from '../wait.ts';
import type { Examination } from '../examination.ts';
import { Exchange } from './exchange.ts';
import { Member, type MemberOptions } from './member.ts';
import type { ProcessReport, TreeReport } from './process-report.ts';
import { detach, reportOn, unrecordedGap } from './report-on.ts';
import type { TreeOptions } from './tree-options.ts';

/** How often the tree is looked at when no target has called. */
const LOOK_MS = 50;
/** How often, at most, each process is asked whether it has ended: targets may call a hundred times a second. */
const END_LOOK_MS = 20;
const INFINITE_MS = 0xffff_ffff;

/**
 * The processes under audit at one time, beside one that the tool may have started: those that it attached to, their
 * children, their children's children, and so on. A child is recorded from its first instruction, because the process
 * that starts it waits until the recorder is in it.
 */
export class ProcessTree implements AsyncDisposable {
  readonly #members: Member[] = [];
  /** Those of them that have not ended: a tree may have had thousands. */
  readonly #living = new Set<Member>();
  readonly #gaps: ProcessGaps[] = [];
  readonly #failures: unknown[] = [];
  readonly #exchange = new Exchange();
  readonly #shared = new SharedAnswers();
  readonly #sections = new LedgerSections();
  readonly #events: AuditorEvents;
  readonly #options: TreeOptions;
  readonly #root: { readonly target: Target; readonly recording: Recording } | undefined;
  /** Signalled when the first process is at a stop of its exit. */
  readonly #rootArrived: OwnedHandle;
  readonly #settled: OwnedHandle;
  /** Has the loop look around, although it waits for a call that may never come. */
  readonly #wake: OwnedHandle;
  /** A recording that is ready for the next child, once there has been one. */
  #next: Promise<Recording> | undefined;
  #guardian: Promise<Guardian> | undefined;
  #loop: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #isClosed = false;
  #isFinished = false;

  /** @param root a process that the tool has started, and that its caller judges */
  constructor(
    events: AuditorEvents,
    options: TreeOptions,
    root?: { readonly target: Target; readonly recording: Recording },
  ) {
    this.#root = root;
    this.#events = events;
    this.#options = options;
    using taken = new CleanupStack();
    this.#rootArrived = taken.use(createEvent());
    this.#settled = taken.use(createEvent());
    this.#wake = taken.use(createEvent());
    taken.disarm();
  }

  /** Signalled each time the first process waits at a stop of its exit. */
  get rootArrived(): BorrowedHandle {
    return this.#rootArrived.asHandle();
  }

  /** Signalled when all processes of the tree have ended, but for the one that its caller judges. */
  get settled(): BorrowedHandle {
    return this.#settled.asHandle();
  }

  /**
   * Whether no process runs but the one that its caller judges. One that was started and is not recorded counts as
   * running.
   */
  get isAlone(): boolean {
    return this.#gaps.length === 0 && this.#members.every(({ hasEnded }) => hasEnded);
  }

  /** The process that was attached to first. */
  get first(): Target | undefined {
    return this.#members[0]?.target;
  }

  /** Bytes of address space that the recorder keeps in each process. */
  get sizeBytes(): number {
    return this.#members.reduce((most, { recording }) => Math.max(most, recording.sizeBytes), 0);
  }

  /** The process that the tool has started has dealings with the others from now on. */
  joinRoot(examination: Examination): void {
    if (this.#root === undefined) return;
    const { target, recording } = this.#root;
    this.#exchange.join({ target, ledger: recording.ledger, examination }, undefined);
  }

  /** Begins to follow. A process that the tool has started must not run before. */
  start(): void {
    this.#loop = this.#goOnFollowing();
  }

  /** Resolves when all processes of the tree but the first have ended or were judged at their exits, or on an abort. */
  async settle(signal?: AbortSignal): Promise<void> {
    while (signal?.aborted !== true && [...this.#living].some((member) => !member.isOver))
      await waitForOneWithin(LOOK_MS, [this.#wake]);
  }

  /**
   * Puts the recorder into a running process.
   *
   * @param marks by which it marks iterations; absent: it does not
   * @returns for how many milliseconds it has stood still
   * @throws AttachError when the process cannot be attached to
   * @throws StopError or GuardianError when its threads cannot be stopped
   * @throws RecordingError, Win32Error or NtStatusError when it refuses the recorder
   */
  async attach(info: ProcessInfo, marks?: MarkListener): Promise<number> {
    const target = RunningProcess.open(info);
    let claim: AuditClaim | undefined;
    let recording: Recording | undefined;
    try {
      claim = AuditClaim.take(target.pid);
      if (claim === undefined)
        throw new AttachError(info, 'another unclosed audits it', 'again when that audit is over');
      const pauses = await this.#pausesOf(target);
      recording = await this.#prepare();
      this.#join(await Member.attach(target, recording, pauses, this.#memberOptions(target, claim, marks)));
      // Those that were attached to before may all have ended by now.
      if (this.#failure === undefined) ResetEvent(this.#settled.asRawHandle());
      SetEvent(this.#wake.asRawHandle()); // there is an end to look for
      return pauses.lengthsMs.at(-1) ?? 0;
    } catch (error) {
      const exitCode = target.exitCode();
      recording?.[Symbol.dispose]();
      claim?.[Symbol.dispose]();
      target[Symbol.dispose]();
      // A process that ends meanwhile refuses anything, in many ways.
      throw exitCode === undefined ? error : endedError(info, exitCode);
    }
  }

  /** Notes that a process has no report, and why. */
  noteUnrecorded(pid: number, image: string, error: unknown): void {
    this.#failures.push(error);
    this.#gaps.push({ pid, gaps: [unrecordedGap(image, error)] });
  }

  /** Reports on all processes so far, those that go on included. Recording goes on. */
  async reportInPassing(): Promise<TreeReport> {
    return await this.#report(false);
  }

  /**
   * Stops following: the hooks are taken out of processes that still run, and the reports on them are of what they did
   * until then. Resolves when those that have ended are judged.
   *
   * @throws what has kept the processes from being followed
   */
  async finish(): Promise<TreeReport> {
    await this.#stop();
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#isFinished = true;
    return await this.#report(true);
  }

  /** Takes the hooks out of all processes that still run, where there is no reader any more for what is recorded. */
  async abandon(): Promise<void> {
    await this.#stop();
    this.#isFinished = true;
    for (const member of this.#members)
      if (!member.isJudging && !member.lookForEnd())
        try {
          await detach(member, await this.#pausesOf(member.target));
        } catch {
          // It keeps the hooks, as when its auditor is killed. The others must not.
        }
  }

  async #stop(): Promise<void> {
    this.#isClosed = true;
    SetEvent(this.#wake.asRawHandle());
    await this.#loop;
  }

  async #report(isLast: boolean): Promise<TreeReport> {
    const reports: ProcessReport[] = [];
    const gaps: ProcessGaps[] = [];
    const failures: unknown[] = [];
    for (const member of [...this.#members]) {
      const { pid, image } = member;
      try {
        reports.push(await reportOn(member, isLast, async () => await this.#pausesOf(member.target)));
        if (!member.isJudging && member.target.origin === 'child' && this.#root !== undefined)
          gaps.push({ pid, index: reports.length, gaps: [{ kind: 'process-left', image }] }); // behind the root
      } catch (error) {
        failures.push(error);
        gaps.push({ pid, gaps: [unrecordedGap(image, error)] });
      }
    }
    if (isLast) await this.#answerRequests(true); // of parents that still had the hooks
    const { missing } = this.#options.choice;
    return {
      reports,
      gaps: [
        ...groupGaps([...gaps, ...this.#gaps]),
        ...(missing.length === 0 ? [] : [{ kind: 'programs-missing', names: missing } as const]),
      ],
      failures: [...failures, ...this.#failures],
    };
  }

  async #pausesOf(target: Target): Promise<Pauses> {
    this.#guardian ??= Guardian.start();
    return new Pauses(target, await this.#guardian);
  }

  async #prepare(): Promise<Recording> {
    return await Recording.prepare(this.#options.recording, this.#events, this.#sections);
  }

  async #goOnFollowing(): Promise<void> {
    while (!this.#isClosed) await this.#follow().catch(async (error: unknown) => await this.#fail(error));
  }

  /** The audit is over, but until then no process must wait in vain: so the tree is looked at now and then. */
  async #fail(error: unknown): Promise<undefined> {
    this.#failure ??= { error }; // finish() throws it
    SetEvent(this.#settled.asRawHandle());
    await sleep(LOOK_MS);
  }

  async #follow(): Promise<void> {
    const { arrived, child } = this.#events;
    const calls: readonly AsHandle[] = [this.#wake, arrived, ...(child === undefined ? [] : [child])];
    let endsSeenMs = 0;
    while (!this.#isClosed) {
      const marking = [...this.#living].find(({ markEvent }) => markEvent !== undefined);
      const mark = marking?.markEvent;
      // A mark that was made before the exit is heard before it.
      const awaited = mark === undefined ? calls : [mark, ...calls];
      const timeoutMs = this.#living.size > 0 ? LOOK_MS : INFINITE_MS;
      const happened = await waitForOneWithin(timeoutMs, awaited).catch(async (error) => await this.#fail(error));
      if (happened !== undefined && happened === mark) marking?.noteMark();
      await this.#answerRequests(false);
      if (this.#root?.recording.isAtStop === true) SetEvent(this.#rootArrived.asRawHandle());
      const looksForEnds = nowMs() - endsSeenMs > END_LOOK_MS;
      if (looksForEnds) endsSeenMs = nowMs();
      for (const member of this.#living) {
        member.look();
        if (!looksForEnds || !member.lookForEnd()) continue;
        this.#living.delete(member);
        void member.giveBack(async () => await this.#leave(member.pid));
      }
      if ([...this.#living].every(({ isOver }) => isOver)) SetEvent(this.#settled.asRawHandle());
    }
  }

  /** @param isLate nothing is recorded any more */
  async #answerRequests(isLate: boolean): Promise<void> {
    const parents = [
      ...(this.#root === undefined ? [] : [this.#root]),
      ...[...this.#living].filter((member) => !member.hasEnded),
    ];
    for (const { target, recording } of parents) {
      const { childRequests } = recording.ledger;
      for (const { index, processId } of childRequests.list()) {
        if (!childRequests.take(index)) continue;
        try {
          await this.#adopt(target, processId, isLate);
        } finally {
          childRequests.answer(index);
        }
      }
    }
  }

  /** Puts the recorder into a child process. One that it cannot be put into runs unrecorded. */
  async #adopt(parent: Target, processId: number, isLate: boolean): Promise<void> {
    let child: RunningProcess | undefined;
    try {
      child = RunningProcess.openChild(processId);
      // The id comes from the parent's memory: no other process must be touched.
      if (child.parentId !== parent.pid)
        throw new AttachError({ processId, name: '?' }, 'another process started it', '');
      if (AuditorSign.isUpAt(parent.pid))
        throw new AttachError({ processId, name: '?' }, 'another unclosed started it', '');
      if (this.#options.choice.isSkipped(child.image)) {
        this.#noteSkipped(processId, child.image);
        child[Symbol.dispose]();
      } else if (isLate)
        throw new AttachError({ processId, name: '?' }, 'it was started when the recording was over', '');
      else this.#join(await this.#record(child, parent));
    } catch (error) {
      const image = child?.image ?? findImagePath(processId) ?? '?';
      // One that cannot be recorded may be skipped, too.
      if (this.#options.choice.isSkipped(image)) this.#noteSkipped(processId, image);
      else this.noteUnrecorded(processId, image, error);
      child?.[Symbol.dispose]();
    }
  }

  #noteSkipped(pid: number, image: string): void {
    this.#gaps.push({ pid, gaps: [{ kind: 'process-skipped', image }] });
  }

  #join(member: Member): void {
    const { target, parentPid, recording, examination } = member;
    this.#members.push(member);
    this.#living.add(member);
    this.#exchange.join({ target, ledger: recording.ledger, examination }, parentPid);
    const { stops, values, judge, choice } = this.#options;
    if (!choice.isReported(member.image)) return;
    stops?.join({ target, recording, examination, judge });
    values?.join(member);
  }

  async #leave(pid: number): Promise<void> {
    this.#options.values?.leave(pid);
    await this.#options.stops?.leave(pid);
    await this.#exchange.leave(pid);
  }

  async #record(child: RunningProcess, parent: Target): Promise<Member> {
    const recording = await this.#takeNext();
    let claim: AuditClaim | undefined;
    try {
      claim = AuditClaim.take(child.pid);
      this.#options.javaScript?.addTo(child);
      return Member.record(child, recording, { parent, ...this.#memberOptions(child, claim) });
    } catch (error) {
      claim?.[Symbol.dispose]();
      recording[Symbol.dispose]();
      throw error;
    }
  }

  async #takeNext(): Promise<Recording> {
    try {
      return await (this.#next ?? this.#prepare());
    } finally {
      this.#next = this.#prepare();
      this.#next.catch(() => undefined); // whoever takes it has the failure
    }
  }

  #memberOptions({ pid, image }: Target, claim: AuditClaim | undefined, given?: MarkListener): MemberOptions {
    const { names, choice, judge, everyMs, settleMs = 0, onCounts, sectionsOfAll, timeline } = this.#options;
    const marks = given ?? (everyMs === undefined ? undefined : MarkListener.every(everyMs, settleMs));
    return {
      names,
      shared: this.#shared,
      claim,
      marks,
      sectionsOfAll,
      ...(choice.isReported(image)
        ? { judge, timeline, onCounts: onCounts && ((counts) => onCounts({ pid, image }, counts)) }
        : { judge: undefined }),
    };
  }

  /**
   * Gives everything back, once no judgement is under way that needs it. Processes that still run have no hooks then,
   * also where no last report could be made.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isFinished) await this.abandon();
    for (const member of this.#members) await member.settle();
    using _sections = this.#sections;
    using _rootArrived = this.#rootArrived;
    using _settled = this.#settled;
    using _wake = this.#wake;
    using members = new CleanupStack();
    for (const member of this.#members) members.use(member);
    const made = await Promise.allSettled([this.#next, this.#guardian]);
    for (const each of made) if (each.status === 'fulfilled') each.value?.[Symbol.dispose]();
  }
}

function createEvent(): OwnedHandle {
  return HandleOrNull.fromRawHandle(CreateEventW(null, false, false, null)).expect('create an event', '');
}
