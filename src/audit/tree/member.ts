import type { Recording } from '../../agent/inject/recording.ts';
import type { Evidence } from '../../evidence-model.ts';
import { HandleTable } from '../../handles/enumerate.ts';
import { listFirstModules } from '../../process/modules.ts';
import type { Target } from '../../process/target.ts';
import { AuditClaim } from '../audit-claim.ts';
import { Examination, type Judgement, type Look, noteOpenHandles } from '../examination.ts';
import { ExitingThreads } from '../exiting-threads.ts';
import { type findIn, modulesWithoutNames } from '../findings.ts';
import type { ProcessReport } from './process-report.ts';

interface MemberOptions {
  readonly parentPid: number;
  readonly symbolPath: string | undefined;
  /** Applies the rules and the suppressions. */
  readonly find: (evidence: Evidence) => ReturnType<typeof findIn>;
}

/**
 * One process of a tree, from its first instruction to its judgement. Once it is judged and has ended, all that it took
 * is given back: a tree may have thousands.
 */
export class Member implements Disposable {
  readonly pid: number;
  readonly image: string;
  readonly target: Target;
  readonly recording: Recording;
  readonly #options: MemberOptions;
  readonly #examination: Examination;
  readonly #threads: ExitingThreads;
  readonly #claim: AuditClaim | undefined;
  #judging: Promise<ProcessReport> | undefined;
  #exitCode: number | undefined;
  #isDisposed = false;

  private constructor(target: Target, recording: Recording, examination: Examination, options: MemberOptions) {
    this.pid = target.pid;
    this.image = target.image;
    this.target = target;
    this.recording = recording;
    this.#options = options;
    this.#examination = examination;
    this.#threads = new ExitingThreads(target, recording);
    this.#claim = AuditClaim.take(target.pid);
  }

  /**
   * Puts the recorder into a process that stands before its first instruction.
   *
   * @param target belongs to the member from now on, with the recording
   * @throws RecordingError when no system call can be hooked
   * @throws Win32Error or NtStatusError when Windows refuses what it takes
   */
  static record(target: Target, recording: Recording, options: MemberOptions): Member {
    const firstModules = listFirstModules(target, target.image);
    const examination = new Examination(target, recording, { firstModules, symbolPath: options.symbolPath });
    try {
      recording.install(target, examination.findGoCode());
      noteOpenHandles(target, recording);
      examination.begin(undefined);
      return new Member(target, recording, examination, options);
    } catch (error) {
      examination[Symbol.dispose]();
      throw error;
    }
  }

  /** It was judged, or is about to be. */
  get isJudging(): boolean {
    return this.#judging !== undefined;
  }

  get hasEnded(): boolean {
    return this.#exitCode !== undefined;
  }

  /** Does what the process waits for, if it waits at a stop of its exit, and judges it when it ends. */
  look(): void {
    if (this.hasEnded) return;
    if (this.#judging === undefined && this.recording.isAtStop && this.#threads.isJudgedAtStop())
      this.#judge(async () => await this.#judgeAtGate());
    this.lookForEnd();
  }

  /** @returns whether it has ended */
  lookForEnd(): boolean {
    this.#exitCode ??= this.target.exitCode();
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

  /** Gives back all that it took, if it is judged and has ended. */
  async giveBack(): Promise<void> {
    if (!this.hasEnded) return;
    await this.#judging?.catch(() => undefined);
    this[Symbol.dispose]();
  }

  #judge(look: () => Promise<Judgement>): void {
    if (this.#judging !== undefined) return;
    this.#judging = this.#makeReport(look);
    this.#judging.catch(() => undefined); // report() throws it
  }

  async #makeReport(look: () => Promise<Judgement>): Promise<ProcessReport> {
    const { evidence, gaps, stats } = await look();
    const found = this.#options.find(evidence);
    return {
      pid: this.pid,
      parentPid: this.#options.parentPid,
      image: this.image,
      found,
      gaps,
      nameless: this.#examination.explainMissingNames(modulesWithoutNames(found.findings)),
      stats: { ...stats, ...this.recording.ledger.totals() },
    };
  }

  async #judgeAtGate(): Promise<Judgement> {
    try {
      const durationMs = this.#examination.elapsedMs();
      this.#threads.stop();
      const { ledger } = this.recording;
      ledger.check();
      const table = HandleTable.readProcess(this.target, this.pid);
      const look: Look = { point: 'at-gate', ledger, table, stacks: this.#threads.stacks, durationMs };
      return await this.#examination.judge(look);
    } finally {
      this.#threads[Symbol.dispose]();
      this.recording.release();
    }
  }

  async #judgeEnded(): Promise<Judgement> {
    const { ledger } = this.recording;
    const durationMs = this.#examination.elapsedMs();
    const look: Look = { point: 'ended', ledger, stacks: this.#threads.stacks, durationMs };
    // It was killed, as test runners do with their workers: what was open is no leak of its own.
    return await this.#examination.judge(look, { goesOn: true, durationMs });
  }

  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#threads[Symbol.dispose]();
    using _target = this.target;
    using _recording = this.recording;
    using _examination = this.#examination;
    using _claim = this.#claim;
  }
}
