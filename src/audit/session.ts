import type { Recording } from '../agent/inject/recording.ts';
import { HandleTable } from '../handles/enumerate.ts';
import { describeInherited, listInherited } from '../handles/handles-from-parent.ts';
import type { AsHandle, RawHandle } from '../io/index.ts';
import type { MarkListener } from '../marks/mark-listener.ts';
import type { ModuleWithoutNames } from '../model.ts';
import { EnvironmentBlock } from '../process/environment/environment-block.ts';
import { listFirstModules } from '../process/modules.ts';
import type { StartedTarget } from '../process/target.ts';
import { Examination, type Judgement, noteOpenHandles } from './examination.ts';
import { ExitingThreads } from './exiting-threads.ts';
import { awaitMoment, type JudgementPoint } from './judgement-point.ts';
import type { NameSources } from './options.ts';
import type { OpenTimeline } from './open-timeline.ts';
import { type AbortEvent, waitForEnd } from './wait.ts';

/** The facts of a target that a session needs beforehand. */
interface SessionOptions {
  /** Handles that the target was given on purpose: its standard streams. */
  readonly passedOn: readonly RawHandle[];
  readonly marks?: MarkListener | undefined;
  readonly names?: NameSources;
  /** Counts its open handles now and then. */
  readonly timeline?: OpenTimeline | undefined;
  /** Signalled when the target has come to a stop of its exit; absent where no other target signals the same. */
  readonly arrived?: AsHandle | undefined;
}

/**
 * One process under audit from its first instruction to its judgement. Several may live at once in one tool.
 *
 * The target and its recording belong to the caller, who disposes of them after the session.
 */
export class AuditSession implements Disposable {
  readonly #target: StartedTarget;
  readonly #recording: Recording;
  readonly #marks: MarkListener | undefined;
  readonly #arrived: AsHandle;
  readonly #timeline: OpenTimeline | undefined;
  readonly examination: Examination;

  private constructor(
    target: StartedTarget,
    recording: Recording,
    { marks, arrived, timeline }: SessionOptions,
    examination: Examination,
  ) {
    this.#target = target;
    this.#recording = recording;
    this.#marks = marks;
    this.#arrived = arrived ?? recording.arrived;
    this.#timeline = timeline;
    this.examination = examination;
  }

  /**
   * Puts the recorder into a target that has not run its first instruction, and notes the handles it was born with.
   *
   * @throws RecordingError when no system call can be hooked
   * @throws Win32Error or NtStatusError when Windows refuses what it takes
   */
  static async begin(target: StartedTarget, recording: Recording, options: SessionOptions): Promise<AuditSession> {
    const { marks, passedOn, names = {}, timeline } = options;
    const examination = new Examination(target, recording, {
      firstModules: listFirstModules(EnvironmentBlock.of(target), target.image),
      names,
    });
    try {
      recording.install(target, examination.findProgram());
      const table = noteOpenHandles(target, recording);
      examination.inherited = await describeInherited(target, target.pid, listInherited(table, passedOn));
      examination.begin(marks, marks);
      timeline?.join(recording.ledger);
      return new AuditSession(target, recording, options, examination);
    } catch (error) {
      examination[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Waits until the target can be judged, gathers the evidence while it stands, and lets it end or, when aborted, makes
   * it end.
   *
   * @param onModule called with the module whose symbols are being read, while the target stands; with `undefined`
   *   before it goes on
   * @throws LedgerDamagedError when the target has overwritten what was recorded
   * @throws Win32Error or NtStatusError when Windows refuses what it takes
   */
  async judge(abort: AbortEvent, onModule?: (name: string | undefined) => void): Promise<Judgement> {
    let point: JudgementPoint | undefined;
    const threads = new ExitingThreads(this.#target, this.#recording);
    const examination = this.examination;
    try {
      point = await this.#awaitJudgementPoint(threads, abort);
      this.#timeline?.take();
      const durationMs = examination.elapsedMs();
      if (point !== 'ended') threads.stop();
      await this.#marks?.finish();
      const { ledger } = this.#recording;
      ledger.check();
      const table = point === 'ended' ? {} : { table: HandleTable.readProcess(this.#target, this.#target.pid) };
      return await examination.judge({ point, ledger, ...table, stacks: threads.stacks, durationMs, onModule });
    } finally {
      onModule?.(undefined);
      this.#timeline?.leave(this.#recording.ledger);
      threads[Symbol.dispose]();
      // A target that cannot be judged is not left running either.
      if (point === 'at-gate') this.#recording.release();
      else if (point !== 'ended') this.#target.terminate();
    }
  }

  async #awaitJudgementPoint(threads: ExitingThreads, abort: AbortEvent): Promise<JudgementPoint> {
    const moment = await awaitMoment(
      {
        target: this.#target,
        arrived: this.#arrived,
        isJudgedAtStop: () => this.#recording.isAtStop && threads.isJudgedAtStop(),
        marks: this.#marks,
        work: this.examination.readAhead(),
      },
      abort,
    );
    if (typeof moment === 'string') return moment;
    if (this.#target.suspend()) return 'aborted';
    await waitForEnd(this.#target); // it was ending as we came
    return 'ended';
  }

  /** Why functions of the modules with these names have no names. */
  explainMissingNames(modules: readonly string[]): readonly ModuleWithoutNames[] {
    return this.examination.explainMissingNames(modules);
  }

  [Symbol.dispose](): void {
    this.examination[Symbol.dispose]();
  }
}
