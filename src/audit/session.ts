import { win32 } from 'node:path';

import type { Recording } from '../agent/inject/recording.ts';
import { GATE_UNATTENDED } from '../agent/ledger/layout.ts';
import { objectTypes } from '../agent/tables/object-types.ts';
import { countedGap, type Gap } from '../completeness.ts';
import type { GatheredEvidence } from '../evidence/gather.ts';
import { LiveStacks } from '../evidence/live-stacks.ts';
import type { EvidenceSources } from '../evidence/sources.ts';
import { displayName } from '../handles/display-name.ts';
import { HandleTable } from '../handles/enumerate.ts';
import { describeInherited, listInherited } from '../handles/handles-from-parent.ts';
import { readNameContext } from '../handles/name-context.ts';
import type { RawHandle } from '../io/index.ts';
import { MarkCounts } from '../marks/mark-counts.ts';
import type { MarkListener } from '../marks/mark-listener.ts';
import type { ModuleWithoutNames, Statistics } from '../model.ts';
import type { Evidence, OpenHandle } from '../evidence-model.ts';
import { nowMs } from '../process/clock.ts';
import { fileTimeNow } from '../process/file-time.ts';
import { isSystemPath, listFirstModules, type Module } from '../process/modules.ts';
import type { Target } from '../process/target.ts';
import { Symbolizer } from '../symbols/symbolizer.ts';
import { ExitingThreads } from './exiting-threads.ts';
import { awaitJudgementPoint, type JudgementPoint } from './judgement-point.ts';
import { gatherLive, gatherPostMortem } from './live-evidence.ts';
import type { AbortEvent } from './wait.ts';

/**
 * Exit codes of a process that `int 29h` ended: STATUS_STACK_BUFFER_OVERRUN for most reasons, STATUS_HEAP_CORRUPTION.
 * https://learn.microsoft.com/cpp/intrinsics/fastfail
 */
const fastFailures: ReadonlySet<number> = new Set([0xc0000409, 0xc0000374]);

/** The facts of a target that a session needs beforehand. */
interface SessionOptions {
  /** Handles that the target was given on purpose: its standard streams. */
  readonly passedOn: readonly RawHandle[];
  readonly marks?: MarkListener | undefined;
  /** Where to look for PDB files, as in `_NT_SYMBOL_PATH`. */
  readonly symbolPath?: string | undefined;
}

/** The evidence of a target, and its gaps. */
export interface Judgement {
  readonly evidence: Evidence;
  readonly gaps: readonly Gap[];
  readonly stats: Omit<Statistics, 'opens' | 'closes'>;
  readonly isAborted: boolean;
}

/**
 * One process under audit, from its arrival to its judgement. Several may live at once in one tool.
 *
 * The target and its recording belong to the caller, who disposes of them after the session.
 */
export class AuditSession implements Disposable {
  readonly #target: Target;
  readonly #recording: Recording;
  readonly #marks: MarkListener | undefined;
  readonly #markCounts: MarkCounts | undefined;
  readonly #inherited: readonly OpenHandle[];
  /** The modules that were mapped before recording began. */
  readonly #firstModules: readonly Module[];
  readonly #symbolizer: Symbolizer;
  /** FILETIME and {@link nowMs} at which recording began. */
  readonly #startTime = fileTimeNow();
  readonly #started = nowMs();

  private constructor(
    target: Target,
    recording: Recording,
    marks: MarkListener | undefined,
    known: {
      readonly inherited: readonly OpenHandle[];
      readonly firstModules: readonly Module[];
      readonly symbolizer: Symbolizer;
    },
  ) {
    this.#target = target;
    this.#recording = recording;
    this.#inherited = known.inherited;
    this.#firstModules = known.firstModules;
    this.#symbolizer = known.symbolizer;
    this.#marks = marks;
    if (marks === undefined) return;
    this.#markCounts = new MarkCounts(recording.ledger, this.#started);
    marks.start(this.#markCounts);
  }

  /**
   * Puts the recorder into a target that has not run its first instruction, and notes the handles it was born with.
   *
   * @throws RecordingError when no system call can be hooked
   * @throws Win32Error or NtStatusError when Windows refuses what it takes
   */
  static async begin(target: Target, recording: Recording, options: SessionOptions): Promise<AuditSession> {
    const { marks, passedOn, symbolPath } = options;
    const firstModules = listFirstModules(target, target.image);
    const symbolizer = new Symbolizer([], {
      userPaths: target.origin === 'child' ? [] : [target.image],
      ...(symbolPath === undefined ? {} : { searchPath: symbolPath }),
    });
    try {
      const program = firstModules.find(({ isSystem }) => !isSystem);
      recording.install(target, program && symbolizer.findGoCode(program));
      const inherited = await noteOpenHandles(target, recording, passedOn);
      return new AuditSession(target, recording, marks, { inherited, firstModules, symbolizer });
    } catch (error) {
      symbolizer[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Waits until the target can be judged, gathers the evidence while it stands, and lets it end or, when aborted, makes
   * it end.
   *
   * @throws LedgerDamagedError when the target has overwritten what was recorded
   * @throws Win32Error or NtStatusError when Windows refuses what it takes
   */
  async judge(abort: AbortEvent): Promise<Judgement> {
    let point: JudgementPoint | undefined;
    const threads = new ExitingThreads(this.#target, this.#recording);
    try {
      point = await awaitJudgementPoint({
        target: this.#target,
        arrived: this.#recording.arrived,
        isJudgedAtStop: () => threads.isJudgedAtStop(),
        abort,
        marks: this.#marks,
        work: this.#symbolizer.readAhead(listOpeners(this.#firstModules)),
      });
      const durationMs = nowMs() - this.#started;
      if (point !== 'ended') threads.stop();
      await this.#marks?.finish();
      return this.#describe(await this.#gather(point, threads), point, durationMs);
    } finally {
      threads[Symbol.dispose]();
      // A target that cannot be judged is not left running either.
      if (point === 'at-gate') this.#recording.release();
      else if (point !== 'ended') this.#target.terminate();
    }
  }

  /** Why functions of the modules with these names have no names. */
  explainMissingNames(modules: readonly string[]): readonly ModuleWithoutNames[] {
    return modules.map((name) => this.#symbolizer.explainMissingNames(name));
  }

  async #gather(point: JudgementPoint, threads: ExitingThreads): Promise<GatheredEvidence> {
    const { ledger } = this.#recording;
    ledger.check();
    const hasEnded = point === 'ended';
    const loaded = hasEnded ? [] : this.#target.modules();
    this.#addModules(loaded);
    const sources: EvidenceSources = {
      ledger,
      symbols: this.#symbolizer,
      startTime: this.#startTime,
      hasWindows: loaded.some(({ name }) => name.toLowerCase() === 'win32u.dll'),
      live: new LiveStacks(threads.stacks),
      isAborted: point === 'aborted',
      ...(this.#markCounts && { markCounts: this.#markCounts }),
    };
    return await (hasEnded ? gatherPostMortem(sources) : gatherLive(this.#target, sources));
  }

  /** Adds the modules that are loaded now and those that were, for a stack may be older than an unloaded DLL. */
  #addModules(loaded: readonly Module[]): void {
    this.#symbolizer.addModules(loaded);
    this.#symbolizer.addModules(this.#firstModules);
    const context = readNameContext();
    const noted = Array.from(this.#recording.ledger.images(), ({ base, sizeBytes, path: kernelPath }): Module => {
      const path = displayName('File', kernelPath, context);
      return { base, sizeBytes, name: win32.basename(path), path, isSystem: isSystemPath(path) };
    });
    // Where two images lay at one place, the stacks are more likely those of the later one.
    this.#symbolizer.addModules(noted.toReversed());
  }

  #describe(gathered: GatheredEvidence, point: JudgementPoint, durationMs: number): Judgement {
    const { openHandles, distinctStacks, unseenOpens, namesTimedOut } = gathered;
    const evidence = { ...gathered.evidence, inherited: this.#inherited };
    const iterations = evidence.marks?.reduce((sum, mark) => sum + mark.iterations, 0);
    return {
      evidence,
      gaps: [
        ...(point === 'aborted' ? [{ kind: 'interrupted' } as const] : []),
        ...(point === 'ended' ? [{ kind: 'handle-table-lost', why: this.#whyTableIsLost() } as const] : []),
        ...(this.#markCounts?.gap === undefined ? [] : [this.#markCounts.gap]),
        ...this.#recording.gaps(),
        ...countedGap('opened-by-others', unseenOpens),
        ...countedGap('names-timed-out', namesTimedOut),
      ],
      stats: {
        durationMs,
        openHandles,
        distinctStacks,
        hookedCalls: this.#recording.hooked.length,
        ...(iterations === undefined ? {} : { iterations }),
      },
      isAborted: point === 'aborted',
    };
  }

  #whyTableIsLost(): 'gate-unattended' | 'failed-fast' | 'ended-from-outside' {
    if (this.#recording.ledger.counter('gateState') === GATE_UNATTENDED) return 'gate-unattended';
    return fastFailures.has((this.#target.exitCode() ?? 0) >>> 0) ? 'failed-fast' : 'ended-from-outside';
  }

  [Symbol.dispose](): void {
    this.#symbolizer[Symbol.dispose]();
  }
}

/**
 * Notes the handles that the target was born with: no call of its own opened them.
 *
 * @returns those that it inherited beside what was passed on
 */
async function noteOpenHandles(
  target: Target,
  { ledger }: Recording,
  passedOn: readonly RawHandle[],
): Promise<readonly OpenHandle[]> {
  const table = HandleTable.readProcess(target, target.pid);
  const isRecordersOwn = ledger.recordersOwn();
  for (let index = 0; index < table.count; index++) {
    const [value, kernelType] = [table.valueAt(index), table.typeAt(index)];
    if (isRecordersOwn(value)) continue;
    ledger.markOpenBefore(value, objectTypes.find((type) => type === kernelType) ?? 'Unknown');
  }
  return await describeInherited(target, target.pid, listInherited(table, passedOn));
}

/** Paths of the DLLs that open handles in every process. */
function listOpeners(firstModules: readonly Module[]): readonly string[] {
  const ntdll = firstModules.find(({ isSystem }) => isSystem)?.path;
  return ntdll === undefined ? [] : [ntdll, win32.join(ntdll, '..', 'kernelbase.dll')];
}
