import { attachAgent, detachAgent } from '../../agent/inject/attach-agent.ts';
import type { Recording } from '../../agent/inject/recording.ts';
import type { Gap } from '../../completeness.ts';
import type { Evidence, Watch } from '../../evidence-model.ts';
import { HandleTable } from '../../handles/enumerate.ts';
import type { AsHandle } from '../../io/index.ts';
import type { MarkListener } from '../../marks/mark-listener.ts';
import type { Report } from '../../model.ts';
import type { Pauses } from '../../process/guardian/pauses.ts';
import { nowMs } from '../../process/clock.ts';
import { failedFast } from '../../process/exit-code.ts';
import type { RunningProcess } from '../../process/running-process.ts';
import type { Target } from '../../process/target.ts';
import type { SharedAnswers } from '../../symbols/shared-answers.ts';
import type { AuditClaim } from '../audit-claim.ts';
import { Examination, type Judgement, type Look, noteOpenHandles } from '../examination.ts';
import { ExitingThreads } from '../exiting-threads.ts';
import { modulesWithoutNames } from '../findings.ts';
import type { OpenCounts } from '../open-counts.ts';
import type { OpenTimeline } from '../open-timeline.ts';
import { END_MS } from '../wait.ts';
import type { NameSources } from '../options.ts';
import type { ProcessReport } from './process-report.ts';

/** The verdict on one process: its findings, and gaps beside those of the recording. */
export interface Verdict extends Pick<Report, 'findings' | 'suppressions'> {
  readonly gaps?: readonly Gap[];
}

/** The ways of one member. */
export interface MemberOptions {
  /** The process that started it, if that is known. */
  readonly parent?: Target;
  /** Belongs to the member. */
  readonly claim: AuditClaim | undefined;
  readonly names: NameSources;
  readonly shared: SharedAnswers;
  /** Counts the open handles of each site now and then; belongs to the member. */
  readonly marks?: MarkListener | undefined;
  /** Called after each count, and with `undefined` when the process has ended. */
  readonly onCounts?: ((counts: OpenCounts | undefined) => void) | undefined;
  /** Counts its open handles now and then. */
  readonly timeline?: OpenTimeline | undefined;
  /** By which the sections of its work are known; absent where none are to come. */
  readonly sectionsOfAll?: MarkListener | undefined;
  /** Applies the rules and the suppressions; absent for a process that is recorded for its children's sake only. */
  readonly judge: ((evidence: Evidence) => Verdict) | undefined;
}

/**
 * One process under audit that may go on when the audit is over: another target's child, or one that ran before. Once
 * it is judged and has ended, all that it took is given back: a tree may have thousands.
 */
export class Member implements Disposable {
  readonly pid: number;
  readonly image: string;
  readonly target: Target;
  readonly recording: Recording;
  readonly examination: Examination;
  readonly #options: MemberOptions;
  readonly #threads: ExitingThreads;
  #judging: Promise<ProcessReport> | undefined;
  /** A report in passing that is being made. */
  #passing: Promise<unknown> | undefined;
  #exitCode: number | undefined;
  /** {@link nowMs} of the end of its judgement. */
  #judgedMs: number | undefined;
  #isDisposed = false;

  private constructor(target: Target, recording: Recording, examination: Examination, options: MemberOptions) {
    this.pid = target.pid;
    this.image = target.image;
    this.target = target;
    this.recording = recording;
    this.#options = options;
    this.examination = examination;
    this.#threads = new ExitingThreads(target, recording);
    examination.begin(options.marks, options.sectionsOfAll, options.onCounts && (() => this.#passCounts()));
    options.timeline?.join(recording.ledger);
  }

  /**
   * Puts the recorder into a process that stands before its first instruction.
   *
   * @param target belongs to the member from now on, with the recording
   * @throws RecordingError when no system call can be hooked
   * @throws Win32Error or NtStatusError when Windows refuses what it takes
   */
  static record(target: RunningProcess, recording: Recording, options: MemberOptions): Member {
    const { names, shared } = options;
    const examination = new Examination(target, recording, { firstModules: target.firstModules, names, shared });
    try {
      recording.install(target, examination.findProgram());
      noteOpenHandles(target, recording);
      return new Member(target, recording, examination, options);
    } catch (error) {
      examination[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Puts the recorder into a running process, and notes the handles that it has open.
   *
   * @param target belongs to the member from now on, with the recording
   * @throws RecordingError when no system call can be hooked
   * @throws StopError or GuardianError when the process cannot be stopped
   * @throws Win32Error or NtStatusError when Windows refuses what it takes
   */
  static async attach(
    target: RunningProcess,
    recording: Recording,
    pauses: Pauses,
    options: MemberOptions,
  ): Promise<Member> {
    const { names, shared } = options;
    const loaded = target.modules();
    const firstModules = loaded.length > 0 ? loaded : target.firstModules;
    const examination = new Examination(target, recording, { firstModules, names, shared });
    try {
      await attachAgent(recording, target, pauses, {
        program: examination.findProgram(),
        note: () => noteOpenHandles(target, recording),
      });
      return new Member(target, recording, examination, options);
    } catch (error) {
      examination[Symbol.dispose]();
      throw error;
    }
  }

  /** The process that started it, if that is known. */
  get parentPid(): number | undefined {
    return this.#options.parent?.pid;
  }

  /** It was judged, or is about to be. */
  get isJudging(): boolean {
    return this.#judging !== undefined;
  }

  /** It has begun to exit, or pretends to, and is not judged yet: it has to come to its gate, or to its end. */
  get isExiting(): boolean {
    return !this.isJudging && (this.recording.isAtStop || this.recording.ledger.exit() !== undefined);
  }

  get hasEnded(): boolean {
    return this.#exitCode !== undefined;
  }

  /**
   * It has ended, or should have: one that was judged at its exit and does not end stands in a debugger or an error
   * report, or it has only pretended to exit.
   */
  get isOver(): boolean {
    return this.hasEnded || (this.#judgedMs !== undefined && nowMs() - this.#judgedMs > END_MS);
  }

  /** An event by which the process marks iterations; whoever sees it signalled calls {@link noteMark}. */
  get markEvent(): AsHandle | undefined {
    return this.hasEnded ? undefined : this.#options.marks?.event;
  }

  noteMark(): void {
    this.#options.marks?.note();
  }

  /** Does what the process waits for, if it waits at a stop of its exit. */
  look(): void {
    if (this.hasEnded) return;
    if (this.#judging === undefined && this.recording.isAtStop)
      try {
        if (this.#threads.isJudgedAtStop()) this.#judge(async () => await this.#judgeAtGate());
      } catch (error) {
        this.recording.release();
        this.#judge(() => Promise.reject(error));
      }
  }

  /** Judges the process if it has ended. @returns whether it has */
  lookForEnd(): boolean {
    const hadEnded = this.hasEnded;
    this.#exitCode ??= this.target.exitCode();
    if (this.hasEnded && !hadEnded) {
      this.#options.onCounts?.(undefined);
      this.#options.timeline?.leave(this.recording.ledger);
    }
    if (this.hasEnded) this.#judge(async () => await this.#judgeEnded());
    return this.hasEnded;
  }

  /**
   * Its report; `undefined` for a process that runs.
   *
   * @throws LedgerDamagedError when it has overwritten what was recorded
   * @throws Win32Error or NtStatusError when Windows refused what the judgement takes
   */
  async report(): Promise<ProcessReport | undefined> {
    const report = await this.#judging;
    return report && { ...report, ...(this.#exitCode === undefined ? {} : { exitCode: this.#exitCode }) };
  }

  /**
   * A report on a process that goes on: it stands still while all is copied that a judgement needs.
   *
   * @param isLast no more is recorded after this look that matters
   * @returns `undefined` when it has ended meanwhile, or is about to
   * @throws LedgerDamagedError when it has overwritten what was recorded
   * @throws StopError or GuardianError when it cannot be stopped
   * @throws Win32Error or NtStatusError when Windows refused what the judgement takes
   */
  async reportInPassing(pauses: Pauses, isLast: boolean): Promise<ProcessReport | undefined> {
    const passing = this.#lookInPassing(pauses, isLast);
    this.#passing = passing;
    return await passing;
  }

  async #lookInPassing(pauses: Pauses, isLast: boolean): Promise<ProcessReport | undefined> {
    if (isLast) await this.#options.marks?.finish(true);
    if (this.isJudging) return undefined;
    const { ledger } = this.recording;
    const look = pauses.during((stopped): Look | undefined => {
      if (stopped.count === 0) return undefined;
      return {
        point: 'in-passing',
        ledger: ledger.copy(),
        table: HandleTable.readProcess(this.target, this.pid),
        stacks: stopped.readStacks(),
        durationMs: this.examination.elapsedMs(),
      };
    });
    if (look === undefined) return undefined;
    const isStillOpen = (value: bigint): boolean => {
      const [then, now] = [look.ledger.life(value), ledger.life(value)];
      return then?.isOpen === now?.isOpen && then?.generation === now?.generation;
    };
    return this.#describe(await this.examination.judge(look, this.#watch(look, true), isStillOpen));
  }

  /** Resolves when no judgement of it is under way, and nothing of it is read. */
  async settle(): Promise<void> {
    await Promise.allSettled([this.#judging, this.#passing]);
  }

  /**
   * Takes the hooks out of the process.
   *
   * @throws StopError or GuardianError when it cannot be stopped
   * @throws Win32Error when Windows refuses to write to it
   */
  async detach(pauses: Pauses): Promise<void> {
    await detachAgent(this.recording, this.target, pauses);
  }

  /**
   * Gives back all that it took, once it has ended: when it is judged.
   *
   * @param beforeItIsGone its record can be read until the promise settles
   */
  async giveBack(beforeItIsGone: () => Promise<void>): Promise<void> {
    await this.settle();
    await beforeItIsGone();
    this.recording.noteTargetGone();
    this[Symbol.dispose]();
  }

  #passCounts(): void {
    if (this.hasEnded) return;
    let counts: OpenCounts;
    try {
      counts = this.examination.lastCounts();
    } catch (error) {
      if (this.target.exitCode() === undefined) throw error;
      return; // its modules cannot be listed any more
    }
    this.#options.onCounts?.(counts);
  }

  #judge(look: () => Promise<Judgement>): void {
    if (this.#judging !== undefined) return;
    this.#judging = look().then((judgement) => this.#describe(judgement));
    const note = (): void => {
      this.#judgedMs = nowMs();
    };
    this.#judging.then(note, note); // report() throws the failure
  }

  #describe({ evidence, gaps, stats }: Judgement): ProcessReport {
    const { parent, judge } = this.#options;
    const { gaps: further = [], ...found } = judge?.(evidence) ?? { findings: [] };
    return {
      target: this.target,
      pid: this.pid,
      ...(parent === undefined ? {} : { parent }),
      image: this.image,
      found,
      gaps: judge === undefined ? [] : [...gaps, ...further],
      nameless: this.examination.explainMissingNames(modulesWithoutNames(found.findings)),
      stats: { ...stats, ...this.recording.ledger.totals() },
    };
  }

  async #judgeAtGate(): Promise<Judgement> {
    try {
      const durationMs = this.examination.elapsedMs();
      this.#threads.stop();
      if (this.target.origin === 'attached') this.#options.timeline?.take();
      await this.#options.marks?.finish();
      const { ledger } = this.recording;
      ledger.check();
      const table = HandleTable.readProcess(this.target, this.pid);
      const look: Look = { point: 'at-gate', ledger, table, stacks: this.#threads.stacks, durationMs };
      const isWatched = this.target.origin === 'attached' || this.#options.marks !== undefined;
      return await this.examination.judge(look, isWatched ? this.#watch(look, false) : undefined);
    } finally {
      this.#threads[Symbol.dispose]();
      this.recording.release();
    }
  }

  async #judgeEnded(): Promise<Judgement> {
    const { ledger } = this.recording;
    const durationMs = this.examination.elapsedMs();
    await this.#options.marks?.finish();
    const look: Look = { point: 'ended', ledger, stacks: this.#threads.stacks, durationMs };
    // A child that was killed, as test runners do with their workers, could not close what it had open.
    const isKilledChild = this.target.origin === 'child' && !failedFast(this.#exitCode);
    return await this.examination.judge(look, this.#watch(look, isKilledChild));
  }

  #watch({ durationMs }: Look, goesOn: boolean): Watch {
    const everyMs = this.#options.marks?.everyMs;
    return { goesOn, durationMs, ...(everyMs === undefined ? {} : { everyMs }) };
  }

  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#options.timeline?.leave(this.recording.ledger);
    this.#threads[Symbol.dispose]();
    using _marks = this.#options.marks;
    using _target = this.target;
    using _recording = this.recording;
    using _examination = this.examination;
    using _claim = this.#options.claim;
  }
}
