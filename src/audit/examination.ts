import { win32 } from 'node:path';

import type { Recording } from '../agent/inject/recording.ts';
import { GATE_UNATTENDED } from '../agent/ledger/layout.ts';
import { objectTypes } from '../agent/tables/object-types.ts';
import type { CodeRange } from '../agent/link/link-agent.ts';
import { countedGap, type Gap, namingGap } from '../completeness.ts';
import { type CallLedger, ownAddresses } from '../call-ledger.ts';
import type { GatheredEvidence } from '../evidence/gather.ts';
import { LiveStacks } from '../evidence/live-stacks.ts';
import type { CallOfOther, EvidenceSources, OtherProcesses, SectionsSeen } from '../evidence/sources.ts';
import { listStackIds } from '../evidence/stack-ids.ts';
import { countUnknownRequests } from '../evidence/unknown-requests.ts';
import type { Evidence, OpenHandle, Watch } from '../evidence-model.ts';
import { HandleTable } from '../handles/enumerate.ts';
import { MarkCounts } from '../marks/mark-counts.ts';
import type { MarkListener } from '../marks/mark-listener.ts';
import type { SectionLeaks } from '../marks/section-leaks.ts';
import type { SectionLog } from '../marks/section-log.ts';
import type { ModuleWithoutNames, Stack, Statistics } from '../model.ts';
import { nowMs } from '../process/clock.ts';
import { fileTimeNow } from '../process/file-time.ts';
import type { Module } from '../process/modules.ts';
import { failedFast } from '../process/exit-code.ts';
import type { Target } from '../process/target.ts';
import type { ThreadStack } from '../process/thread-stacks.ts';
import type { SharedAnswers } from '../symbols/shared-answers.ts';
import { Symbolizer } from '../symbols/symbolizer.ts';
import type { JavaScriptStacks } from '../symbols/v8/javascript-stacks.ts';
import { InterposedStacks } from './interposed-stacks.ts';
import { UserError } from '../user-error.ts';
import type { JudgementPoint } from './judgement-point.ts';
import type { NameSources } from './options.ts';
import { NotedModules } from './noted-modules.ts';
import { openLogs } from './open-logs.ts';
import type { OpenCounts } from './open-counts.ts';
import { gatherPostMortem, gatherTable } from './live-evidence.ts';

/** The evidence of a target, and its gaps. */
export interface Judgement {
  readonly evidence: Evidence;
  readonly gaps: readonly Gap[];
  readonly stats: Omit<Statistics, 'opens' | 'closes'>;
  readonly isAborted: boolean;
}

/** A call that opened or closed a handle of another process. */
export interface CallElsewhere {
  readonly kind: 'opened' | 'closed';
  /** The other process, and the value there. */
  readonly processId: number;
  readonly value: bigint;
  readonly call: CallOfOther;
}

/** The moment of a look at a target. */
export interface Look {
  readonly point: JudgementPoint;
  /** The record up to then: the ledger, or a copy where the target has gone on since. */
  readonly ledger: CallLedger;
  /** The kernel's handle table; absent when the target has ended. */
  readonly table?: HandleTable;
  readonly stacks: readonly ThreadStack[];
  /** Milliseconds since recording began. */
  readonly durationMs: number;
  /** Called with the module whose symbols are being read, where the target stands meanwhile. */
  readonly onModule?: ((name: string) => void) | undefined;
}

/** The facts that an examination has from before the recording began. */
interface Known {
  /** Answers about the files that other processes of the same audit have mapped, too. */
  readonly shared?: SharedAnswers | undefined;
  /** The modules that were mapped by then. */
  readonly firstModules: readonly Module[];
  readonly names: NameSources;
}

/**
 * All that one audit has to know of its target to make evidence of what was recorded: its modules and their symbols,
 * the clock, the marks.
 */
export class Examination implements Disposable {
  readonly #target: Target;
  readonly #recording: Recording;
  readonly #firstModules: readonly Module[];
  readonly #symbolizer: Symbolizer;
  readonly #modules: NotedModules;
  readonly #names: NameSources;
  readonly #userPaths: readonly string[];
  #markCounts: MarkCounts | undefined;
  /** Stacks of {@link lastCounts}, by their ids. */
  readonly #countedStacks = new Map<number, Stack>();
  #sections: SectionLog | undefined;
  #left: SectionLeaks | undefined;
  /** FILETIME and {@link nowMs} at which recording began. */
  #startTime = fileTimeNow();
  #started = nowMs();
  /** Handles that the target was born with, beside what was passed on: no call of its own opened them. */
  inherited: readonly OpenHandle[] = [];
  /** Finds out what other processes under audit have to do with the target's handles; absent where there are none. */
  askOthers: ((look: Look) => Promise<OtherProcesses>) | undefined;

  constructor(target: Target, recording: Recording, { firstModules, names, shared }: Known) {
    this.#target = target;
    this.#recording = recording;
    this.#firstModules = firstModules;
    this.#names = names;
    this.#userPaths = target.origin === 'child' ? [] : [target.image];
    this.#symbolizer = new Symbolizer([], {
      userPaths: this.#userPaths,
      ...names,
      shared,
    });
    this.#modules = new NotedModules(this.#symbolizer, firstModules);
  }

  /** Where the program lies, and the code of Go in it, if it is one of Go; `undefined` where that is not known. */
  findProgram(): { readonly base: bigint; readonly goCode: CodeRange | undefined } | undefined {
    const program = this.#firstModules.find(({ isSystem }) => !isSystem);
    return program && { base: program.base, goCode: this.#symbolizer.findGoCode(program) };
  }

  /**
   * Sets the clock to 0: recording begins now.
   *
   * @param sectionsOf the listener by which the sections of the target's work are known, if there is one
   * @param onCounted called after each count at a mark
   */
  begin(marks: MarkListener | undefined, sectionsOf: MarkListener | undefined, onCounted?: () => void): void {
    this.#startTime = fileTimeNow();
    this.#started = nowMs();
    this.#sections = sectionsOf?.sections;
    this.#left = sectionsOf?.left;
    this.#sections?.join(this.#recording.ledger, this.#target.pid);
    if (marks === undefined) return;
    this.#markCounts = new MarkCounts(this.#recording.ledger, this.#started);
    marks.start(this.#markCounts, onCounted);
  }

  /** Milliseconds since recording began. */
  elapsedMs(): number {
    return nowMs() - this.#started;
  }

  /** Reads tables of symbols that are going to be needed, in small pieces of work. */
  readAhead(): Iterable<unknown> {
    return this.#symbolizer.readAhead(listOpeners(this.#firstModules));
  }

  /**
   * Makes evidence of a look at the target.
   *
   * @param isStillOpen whether a handle is the one that it was at the look, where the target has gone on since
   * @throws LedgerDamagedError when the target has overwritten what was recorded
   * @throws Win32Error or NtStatusError when Windows refuses what it takes
   */
  async judge(look: Look, watch?: Watch, isStillOpen?: (value: bigint) => boolean): Promise<Judgement> {
    const { point, ledger, table, stacks, onModule } = look;
    ledger.check();
    this.#symbolizer.onModule = onModule;
    const loaded = this.#modules.add(ledger, () =>
      table === undefined ? [] : this.#target.modules(point !== 'in-passing'),
    );
    await this.#symbolizer.fetchSymbols(addressesIn(ledger));
    using javaScript = await this.#openJavaScript(() => table);
    const symbols = this.#readStacks(javaScript);
    const sources: EvidenceSources = {
      ledger,
      symbols,
      startTime: this.#startTime,
      hasWindows: loaded.some(({ name }) => name.toLowerCase() === 'win32u.dll'),
      live: new LiveStacks(stacks),
      isAborted: point === 'aborted',
      goesOn: point === 'in-passing',
      hasFailedFast: point === 'ended' && this.#whyTableIsLost() === 'failed-fast',
      ...(this.#markCounts && { markCounts: this.#markCounts }),
      ...(this.#sections !== undefined && this.#sections.begun > 0 && { sections: this.#seeSections(this.#sections) }),
      ...(this.askOthers && { others: await this.askOthers(look) }),
    };
    const gathered = await (table === undefined
      ? gatherPostMortem(sources)
      : gatherTable(this.#target, table, sources, isStillOpen));
    return this.#describe(gathered, look, [...symbols.modules].toSorted(), watch);
  }

  #readStacks(names: Symbolizer | JavaScriptStacks = this.#symbolizer): InterposedStacks {
    const program = this.#firstModules.find(({ isSystem }) => !isSystem);
    return new InterposedStacks(names, { target: this.#target, program, systemCalls: this.#recording.hooked });
  }

  /**
   * Evidence of what is on record by now. The target may run: neither its handles nor its threads are looked at.
   *
   * @throws LedgerDamagedError when the target has overwritten what was recorded
   */
  async evidenceSoFar(): Promise<Evidence> {
    const { ledger } = this.#recording;
    ledger.check();
    this.#modules.add(ledger, () => this.#loadedModules());
    await this.#symbolizer.fetchSymbols(addressesIn(ledger));
    using javaScript = await this.#openJavaScript(() => this.#readTable());
    const symbols = this.#readStacks(javaScript);
    const gathered = await gatherPostMortem({ ledger, symbols, startTime: this.#startTime, hasWindows: false });
    return gathered.evidence;
  }

  /** A recorded stack with its names. The target may run. */
  nameStack(stackId: number): Stack {
    const { ledger } = this.#recording;
    if (this.#modules.areBehind(ledger)) this.#modules.add(ledger, () => this.#loadedModules());
    return this.#symbolizer.resolveStack(ledger.stack(stackId));
  }

  /** None where the target has ended, or is just being started. */
  #loadedModules(): readonly Module[] {
    try {
      return this.#target.modules();
    } catch (error) {
      if (error instanceof UserError) return [];
      throw error;
    }
  }

  /** None where the target has ended. */
  #readTable(): HandleTable | undefined {
    return this.#target.exitCode() === undefined ? HandleTable.readProcess(this.#target, this.#target.pid) : undefined;
  }

  /** Milliseconds since recording began at the time of a call. */
  timeMsOf(time: bigint): number {
    return Math.max(0, Number(time - this.#startTime) / 10_000);
  }

  /** The logs of V8, where the target keeps them; they are read anew for each judgement. */
  async #openJavaScript(readTable: () => HandleTable | undefined): Promise<JavaScriptStacks | undefined> {
    const directory = this.#names.javaScriptLogs;
    if (directory === undefined) return undefined;
    const { JavaScriptStacks } = await import('../symbols/v8/javascript-stacks.ts');
    const logs = await openLogs(directory, this.#target, readTable);
    return new JavaScriptStacks(this.#symbolizer, logs, this.#userPaths);
  }

  #seeSections(sections: SectionLog): SectionsSeen {
    const { pid } = this.#target;
    return {
      namesOf: (call, processId = pid) => sections.sectionsOf(call, processId).map(({ name }) => name),
      left: this.#left?.sitesOf(this.#recording.ledger) ?? new Map(),
    };
  }

  /** The calls by which the target opened or closed handles of some other processes so far. */
  readCallsElsewhere(isWanted: (processId: number) => boolean): readonly CallElsewhere[] {
    const { ledger } = this.#recording;
    const calls = [...ledger.callsElsewhere()].filter(({ processId }) => isWanted(processId));
    if (calls.length === 0) return [];
    this.#modules.add(ledger, () => (this.#target.exitCode() === undefined ? this.#target.modules() : []));
    const stacks = new Map(calls.map(({ call }) => [call.stackId, undefined as Stack | undefined]));
    const reader = this.#readStacks();
    for (const id of stacks.keys()) stacks.set(id, reader.resolveStack(ownAddresses(ledger.stack(id))));
    const by = { pid: this.#target.pid, image: this.#target.image };
    return calls.map(({ kind, processId, value, objectType, call: { call = 'unknown', threadId, time, stackId } }) => ({
      kind,
      processId,
      value,
      call: { call, threadId, time, objectType, by, stack: stacks.get(stackId) ?? [] },
    }));
  }

  /** The open handles at the last mark. The target may run. */
  lastCounts(): OpenCounts {
    const { ledger } = this.#recording;
    const sites = [...(this.#markCounts?.sites.values() ?? [])].filter(({ counts }) => (counts.at(-1) ?? 0) > 0);
    if (sites.some(({ opened }) => !this.#countedStacks.has(opened.stackId)))
      this.#modules.add(ledger, () => (this.#target.exitCode() === undefined ? this.#target.modules() : []));
    const reader = this.#readStacks();
    return {
      ...ledger.totals(),
      sites: sites.map(({ opened: { stackId }, objectType: type, counts }) => {
        const stack = this.#countedStacks.get(stackId) ?? reader.resolveStack(ownAddresses(ledger.stack(stackId)));
        this.#countedStacks.set(stackId, stack);
        return { type, stack, count: counts.at(-1) ?? 0 };
      }),
    };
  }

  /** Why functions of the modules with these names have no names. */
  explainMissingNames(modules: readonly string[]): readonly ModuleWithoutNames[] {
    return modules.map((name) => this.#symbolizer.explainMissingNames(name));
  }

  #describe(
    gathered: GatheredEvidence,
    { point, durationMs }: Look,
    interposed: readonly string[],
    watch: Watch | undefined,
  ): Judgement {
    const { openHandles, distinctStacks, unseenOpens, openBefore, namesTimedOut } = gathered;
    const isStarted = this.#target.origin === 'started';
    const evidence: Evidence = {
      ...gathered.evidence,
      ...(isStarted ? { inherited: this.inherited } : {}),
      ...(watch === undefined ? {} : { watch }),
    };
    const iterations =
      watch?.everyMs === undefined ? evidence.marks?.reduce((sum, mark) => sum + mark.iterations, 0) : undefined;
    return {
      evidence,
      gaps: [
        ...(point === 'aborted' ? [{ kind: 'interrupted' } as const] : []),
        ...(point === 'ended' ? [{ kind: 'handle-table-lost', why: this.#whyTableIsLost() } as const] : []),
        ...(this.#markCounts?.gap === undefined ? [] : [this.#markCounts.gap]),
        ...(this.#sections?.gaps ?? []),
        ...this.#recording.gaps(),
        ...countedGap('open-before', this.#target.origin === 'attached' ? openBefore : 0),
        ...countedGap('opened-by-others', unseenOpens),
        ...countedGap('names-timed-out', namesTimedOut),
        ...namingGap('modules-interposed', interposed),
        ...countedGap('requests-unknown', countUnknownRequests(evidence.open)),
      ],
      stats: {
        durationMs,
        openHandles,
        distinctStacks,
        hookedCalls: this.#recording.hooked.length,
        ...(iterations === undefined ? {} : { iterations }),
        ...(this.#sections === undefined || this.#sections.begun === 0 ? {} : { sections: this.#sections.begun }),
      },
      isAborted: point === 'aborted',
    };
  }

  #whyTableIsLost(): 'gate-unattended' | 'failed-fast' | 'ended-from-outside' {
    if (this.#recording.ledger.counter('gateState') === GATE_UNATTENDED) return 'gate-unattended';
    return failedFast(this.#target.exitCode()) ? 'failed-fast' : 'ended-from-outside';
  }

  [Symbol.dispose](): void {
    this.#sections?.leave(this.#recording.ledger);
    this.#symbolizer[Symbol.dispose]();
  }
}

/** The return addresses of all stacks that evidence may show. */
function* addressesIn(ledger: CallLedger): Generator<bigint> {
  for (const id of listStackIds(ledger)) yield* ledger.stack(id);
}

/** Notes the handles that a target has open as recording begins: their closes are no surprise. */
export function noteOpenHandles(target: Target, recording: Recording): HandleTable {
  const { ledger } = recording;
  const table = HandleTable.readProcess(target, target.pid);
  recording.coverValue(target, highestValue(table));
  const isRecordersOwn = ledger.recordersOwn();
  for (let index = 0; index < table.count; index++) {
    const [value, kernelType] = [table.valueAt(index), table.typeAt(index)];
    if (isRecordersOwn(value)) continue;
    ledger.markOpenBefore(value, objectTypes.find((type) => type === kernelType) ?? 'Unknown');
  }
  return table;
}

function highestValue(table: HandleTable): bigint {
  let highest = 0n;
  for (let index = 0; index < table.count; index++) if (table.valueAt(index) > highest) highest = table.valueAt(index);
  return highest;
}

/** Paths of the DLLs that open handles in every process. */
function listOpeners(firstModules: readonly Module[]): readonly string[] {
  const ntdll = firstModules.find(({ isSystem }) => isSystem)?.path;
  return ntdll === undefined ? [] : [ntdll, win32.join(ntdll, '..', 'kernelbase.dll')];
}
