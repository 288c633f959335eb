import { attachAgent, detachAgent } from '../agent/inject/attach-agent.ts';
import type { Recording } from '../agent/inject/recording.ts';
import type { Watch } from '../evidence-model.ts';
import { HandleTable } from '../handles/enumerate.ts';
import type { AsHandle } from '../io/index.ts';
import type { MarkListener } from '../marks/mark-listener.ts';
import type { ModuleWithoutNames } from '../model.ts';
import type { Pauses } from '../process/guardian/pauses.ts';
import { listFirstModules } from '../process/modules.ts';
import type { Target } from '../process/target.ts';
import { Examination, type Judgement, type Look, noteOpenHandles } from './examination.ts';
import { ExitingThreads } from './exiting-threads.ts';
import { awaitMoment } from './judgement-point.ts';

/** The facts of a target that a session needs beforehand. */
export interface AttachedSessionOptions {
  readonly pauses: Pauses;
  readonly marks?: MarkListener | undefined;
  /** Where to look for PDB files, as in `_NT_SYMBOL_PATH`. */
  readonly symbolPath?: string | undefined;
}

/**
 * One process under audit that was running before, and that goes on afterwards unless it ends by itself.
 *
 * The target, its recording and its pauses belong to the caller, who disposes of them after the session.
 */
export class AttachedSession implements Disposable {
  readonly #target: Target;
  readonly #recording: Recording;
  readonly #pauses: Pauses;
  readonly #marks: MarkListener | undefined;
  readonly #examination: Examination;
  #isReadAhead = false;

  private constructor(
    target: Target,
    recording: Recording,
    { pauses, marks }: AttachedSessionOptions,
    examination: Examination,
  ) {
    this.#target = target;
    this.#recording = recording;
    this.#pauses = pauses;
    this.#marks = marks;
    this.#examination = examination;
  }

  /**
   * Puts the recorder into a running process, and notes the handles that it has open.
   *
   * @throws RecordingError when no system call can be hooked
   * @throws StopError or GuardianError when the process cannot be stopped
   * @throws Win32Error or NtStatusError when Windows refuses what it takes
   */
  static async begin(target: Target, recording: Recording, options: AttachedSessionOptions): Promise<AttachedSession> {
    const loaded = target.modules();
    const examination = new Examination(target, recording, {
      firstModules: loaded.length > 0 ? loaded : listFirstModules(target, target.image),
      symbolPath: options.symbolPath,
    });
    try {
      await attachAgent(recording, target, options.pauses, {
        goCode: examination.findGoCode(),
        note: () => noteOpenHandles(target, recording),
      });
      examination.begin(options.marks);
      return new AttachedSession(target, recording, options, examination);
    } catch (error) {
      examination[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Waits until the target ends, or something happens, and judges it. A target that goes on is looked at in passing.
   *
   * @param stop ends the recording when it is signalled: the hooks are taken out of the target
   * @param report asks for a judgement when it is signalled; recording goes on
   * @throws LedgerDamagedError when the target has overwritten what was recorded
   * @throws StopError or GuardianError when the target cannot be stopped
   * @throws Win32Error or NtStatusError when Windows refuses what it takes
   */
  async judge(stop: AsHandle, report?: AsHandle): Promise<Judgement & { readonly isLast: boolean }> {
    using threads = new ExitingThreads(this.#target, this.#recording);
    const moment = await awaitMoment(
      {
        target: this.#target,
        arrived: this.#recording.arrived,
        isJudgedAtStop: () => this.#recording.isAtStop && threads.isJudgedAtStop(),
        marks: this.#marks,
        work: this.#isReadAhead ? [] : this.#examination.readAhead(),
      },
      stop,
      ...(report === undefined ? [] : [report]),
    );
    this.#isReadAhead = true;
    if (moment === 'at-gate') return { ...(await this.#judgeAtGate(threads)), isLast: true };
    if (moment === 'ended') return { ...(await this.#judgeEnded(threads)), isLast: true };
    const isLast = moment === stop;
    if (isLast) await this.#marks?.finish();
    const look = this.#lookInPassing();
    if (look === undefined) return { ...(await this.#judgeEnded(threads)), isLast: true };
    const { ledger } = this.#recording;
    const isStillOpen = (value: bigint): boolean => {
      const [then, now] = [look.ledger.life(value), ledger.life(value)];
      return then?.isOpen === now?.isOpen && then?.generation === now?.generation;
    };
    const judgement = await this.#examination.judge(look, this.#watch(look, true), isStillOpen);
    if (isLast) await this.detach();
    return { ...judgement, isLast };
  }

  /**
   * Takes the hooks out of the target.
   *
   * @throws StopError or GuardianError when the target cannot be stopped
   * @throws Win32Error when Windows refuses to write to the target
   */
  async detach(): Promise<void> {
    await detachAgent(this.#recording, this.#target, this.#pauses);
  }

  /** Why functions of the modules with these names have no names. */
  explainMissingNames(modules: readonly string[]): readonly ModuleWithoutNames[] {
    return this.#examination.explainMissingNames(modules);
  }

  async #judgeAtGate(threads: ExitingThreads): Promise<Judgement> {
    try {
      const durationMs = this.#examination.elapsedMs();
      threads.stop();
      await this.#marks?.finish();
      const { ledger } = this.#recording;
      ledger.check();
      const table = HandleTable.readProcess(this.#target, this.#target.pid);
      const look: Look = { point: 'at-gate', ledger, table, stacks: threads.stacks, durationMs };
      return await this.#examination.judge(look, this.#watch(look, false));
    } finally {
      this.#recording.release();
    }
  }

  async #judgeEnded(threads: ExitingThreads): Promise<Judgement> {
    const durationMs = this.#examination.elapsedMs();
    await this.#marks?.finish();
    const look: Look = { point: 'ended', ledger: this.#recording.ledger, stacks: threads.stacks, durationMs };
    return await this.#examination.judge(look, this.#watch(look, false));
  }

  /** Copies all that a judgement needs while the target stands still; `undefined` when it has ended. */
  #lookInPassing(): Look | undefined {
    const { ledger } = this.#recording;
    return this.#pauses.during((stopped): Look | undefined => {
      if (stopped.count === 0) return undefined;
      return {
        point: 'in-passing',
        ledger: ledger.copy(),
        table: HandleTable.readProcess(this.#target, this.#target.pid),
        stacks: stopped.readStacks(),
        durationMs: this.#examination.elapsedMs(),
      };
    });
  }

  #watch({ durationMs }: Look, goesOn: boolean): Watch {
    const everyMs = this.#marks?.everyMs;
    return { goesOn, durationMs, ...(everyMs === undefined ? {} : { everyMs }) };
  }

  [Symbol.dispose](): void {
    this.#examination[Symbol.dispose]();
  }
}
