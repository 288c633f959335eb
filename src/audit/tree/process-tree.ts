import type { AuditorEvents } from '../../agent/inject/auditor-events.ts';
import { detachAgent } from '../../agent/inject/attach-agent.ts';
import { Recording, type RecordingOptions } from '../../agent/inject/recording.ts';
import { CHILD_ANSWERED, CHILD_TAKEN } from '../../agent/ledger/layout.ts';
import type { Gap } from '../../completeness.ts';
import { CreateEventW, SetEvent } from '../../ffi/kernel32.ts';
import { type AsHandle, type BorrowedHandle, HandleOrNull, type OwnedHandle } from '../../io/index.ts';
import type { Evidence } from '../../evidence-model.ts';
import { Pauses } from '../../process/guardian/pauses.ts';
import { AttachError, RunningProcess } from '../../process/running-process.ts';
import type { Target } from '../../process/target.ts';
import type { findIn } from '../findings.ts';
import { Member } from './member.ts';
import type { ProcessReport } from './process-report.ts';
import { END_MS, waitForOneWithin } from '../wait.ts';

/** How often the tree is looked at when no target has called. */
const LOOK_MS = 50;

/** How to choose among the child processes. */
interface TreeOptions {
  readonly recording: RecordingOptions | undefined;
  readonly symbolPath: string | undefined;
  /** Applies the rules and the suppressions. */
  readonly find: (evidence: Evidence) => ReturnType<typeof findIn>;
}

/**
 * The processes under audit beside the first one: its children, their children, and so on. Each is recorded from its
 * first instruction, because the process that starts it waits until the recorder is in it.
 */
export class ProcessTree implements Disposable {
  readonly #members: Member[] = [];
  readonly #gaps: Gap[] = [];
  readonly #events: AuditorEvents;
  readonly #options: TreeOptions;
  readonly #root: { readonly target: Target; readonly recording: Recording };
  /** Signalled when the first process is at a stop of its exit. */
  readonly #rootArrived: OwnedHandle;
  readonly #closing: OwnedHandle;
  /** A recording that is ready for the next child. */
  #next: Promise<Recording>;
  #loop: Promise<void> | undefined;
  #isClosed = false;

  /** @param root the first process, which its caller judges */
  constructor(
    root: { readonly target: Target; readonly recording: Recording },
    events: AuditorEvents,
    options: TreeOptions,
  ) {
    this.#root = root;
    this.#events = events;
    this.#options = options;
    this.#rootArrived = createEvent();
    this.#closing = createEvent();
    this.#next = this.#prepare();
  }

  /** Signalled each time the first process waits at a stop of its exit. */
  get rootArrived(): BorrowedHandle {
    return this.#rootArrived.asHandle();
  }

  /** Begins to follow. The first process must not run before. */
  start(): void {
    this.#loop = this.#follow();
  }

  /** Resolves when all processes of the tree but the first have ended. */
  async settle(): Promise<void> {
    while (this.#members.some((member) => !member.hasEnded)) await waitForOneWithin(LOOK_MS, [this.#closing]);
  }

  /**
   * Stops following: the hooks are taken out of processes that still run, and they are named in the gaps. Resolves when
   * those that have ended are judged.
   */
  async finish(): Promise<{ readonly reports: readonly ProcessReport[]; readonly gaps: readonly Gap[] }> {
    this.#isClosed = true;
    SetEvent(this.#closing.asRawHandle());
    await this.#loop;
    const left = this.#members.filter((member) => !member.isJudging && !member.lookForEnd());
    for (const member of left) await this.#leave(member);
    const reports: ProcessReport[] = [];
    for (const member of this.#members) {
      try {
        for (let waitedMs = 0; member.isJudging && !member.lookForEnd(); waitedMs += LOOK_MS) {
          if (waitedMs >= END_MS) break;
          await waitForOneWithin(LOOK_MS, [member.target]);
        }
        if (!member.hasEnded) await this.#leave(member);
        const report = await member.report();
        if (report !== undefined) reports.push(report);
      } catch (error) {
        this.#noteUnrecorded(member.pid, member.image, error);
      }
    }
    return { reports, gaps: this.#gaps };
  }

  async #leave({ target, recording }: Member): Promise<void> {
    this.#gaps.push({ kind: 'child-left', processId: target.pid, image: target.image });
    try {
      using pauses = Pauses.of(target);
      await pauses.ready();
      await detachAgent(recording, target, pauses);
    } catch (error) {
      if (target.exitCode() === undefined) throw error; // otherwise it has ended meanwhile
    }
  }

  async #prepare(): Promise<Recording> {
    return await Recording.prepare(this.#options.recording, this.#events);
  }

  async #follow(): Promise<void> {
    const { arrived, child } = this.#events;
    const awaited: readonly AsHandle[] = [this.#closing, arrived, ...(child === undefined ? [] : [child])];
    while (!this.#isClosed) {
      await waitForOneWithin(LOOK_MS, awaited);
      await this.#answerRequests();
      if (this.#root.recording.isAtStop) SetEvent(this.#rootArrived.asRawHandle());
      for (const member of this.#members) {
        member.look();
        void member.giveBack();
      }
    }
  }

  async #answerRequests(): Promise<void> {
    for (const { target, recording } of [this.#root, ...this.#members.filter((member) => !member.hasEnded)]) {
      for (const { index, processId } of recording.ledger.childRequests()) {
        recording.ledger.answerChild(index, CHILD_TAKEN);
        try {
          await this.#adopt(target, processId);
        } finally {
          recording.ledger.answerChild(index, CHILD_ANSWERED);
        }
      }
    }
  }

  /** Puts the recorder into a child process. One that it cannot be put into runs unrecorded. */
  async #adopt(parent: Target, processId: number): Promise<void> {
    let child: RunningProcess | undefined;
    try {
      child = RunningProcess.open({ processId, name: '?' }, 'child');
      // The id comes from the parent's memory: no other process must be touched.
      if (child.parentId !== parent.pid)
        throw new AttachError({ processId, name: '?' }, 'another process started it', '');
      this.#members.push(await this.#record(child, parent.pid));
    } catch (error) {
      this.#noteUnrecorded(processId, child?.image ?? '?', error);
      child?.[Symbol.dispose]();
    }
  }

  async #record(child: RunningProcess, parentPid: number): Promise<Member> {
    const recording = await this.#next;
    this.#next = this.#prepare();
    try {
      const { symbolPath, find } = this.#options;
      return Member.record(child, recording, { parentPid, symbolPath, find });
    } catch (error) {
      recording[Symbol.dispose]();
      throw error;
    }
  }

  #noteUnrecorded(processId: number, image: string, error: unknown): void {
    const why = error instanceof AttachError ? error.why : error instanceof Error ? error.message : String(error);
    this.#gaps.push({ kind: 'child-unrecorded', processId, image, why: why.replace(/\.$/, '') });
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    using _rootArrived = this.#rootArrived;
    using _closing = this.#closing;
    for (const member of this.#members) member[Symbol.dispose]();
    void this.#next.then((recording) => recording[Symbol.dispose]());
  }
}

function createEvent(): OwnedHandle {
  return HandleOrNull.fromRawHandle(CreateEventW(null, false, false, null)).expect('create an event', '');
}
