import { CleanupStack } from '../../io/cleanup-stack.ts';
import type { AsHandle, BorrowedHandle } from '../../io/index.ts';
import { countedGap, type Gap, namingGap } from '../../completeness.ts';
import type { Pauses } from '../../process/guardian/pauses.ts';
import { readMemory } from '../../process/memory.ts';
import type { StandingThread } from '../../process/thread-stacks.ts';
import { GATE_ENDING_THREADS, GATE_WAITING, ledgerLayout } from '../ledger/layout.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { firstSlots, slotParts } from '../ledger/memory-parts.ts';
import type { AgentCode } from '../linkage/agent-code.ts';
import { AGENT_HEADER_ROOM_BYTES, agentHeader } from '../linkage/agent-header.ts';
import { type AgentPlace, type CodeRange, linkAgent, type LinkedAgent, type LinkInputs } from '../link/link-agent.ts';
import { loadCode } from '../link/load-code.ts';
import type { CodePatch } from '../patch/code-patch.ts';
import { functionModules } from '../tables/function-table.ts';
import { REQUEST_MODULE } from '../tables/request-functions.ts';
import { agentSizeBytes, joinNeighbours, placeAgent } from './agent-place.ts';
import { AuditorEvents } from './auditor-events.ts';
import { ExitGate } from './gate/exit-gate.ts';
import { LedgerSection, placeSentinel } from './ledger-section.ts';
import type { LedgerSections } from './ledger-sections.ts';
import { type LeftAgent, LeftAgents, listJumps } from './left-agents.ts';
import { locateCode } from './locate/locate-code.ts';
import { lendHandles, takeHandlesBack } from './loans.ts';
import { ntdllAddress, ntdllBase, recogniseStubs, type StubRange } from './locate/locate-hooks.ts';
import { RecordingError } from './recording-error.ts';
import { DEFAULT_SLOT_COUNT, type RecordingOptions } from './recording-options.ts';
import { MappedFunctions } from './mapped-functions.ts';
import { hookStubs, readFreeStubs, readStubs, unhookStubs } from './stub-code.ts';
import { TargetModules } from './locate/target-modules.ts';
import { changedPages, overwriteCode, listPlacesTaken, writeCode, writeData } from './target-code.ts';

/** The work of an attach that was done while the target ran. */
interface PreparedAttach {
  readonly left: LeftAgents;
  readonly mapped: readonly MappedFunctions[];
  /** The changes that make an earlier audit's agent this one's. */
  readonly changes: readonly CodePatch[];
}

interface AttachOptions {
  /** Go on whatever thread stands in the way: such a function counts as missed. */
  readonly insists: boolean;
  readonly pauses: Pauses;
}

/** Where the program of a target lies, and in it the code of Go. */
export interface Program {
  readonly base: bigint;
  readonly goCode?: CodeRange | undefined;
}

/** The inputs of linking that differ from target to target. */
type Linked = Pick<LinkInputs, 'ledger' | 'goCode'>;

/**
 * The agent at work in one target, seen from the auditor: the ledger, and the gate at which the target waits when it
 * exits.
 *
 * It is prepared before there is a target, because the system's DLLs have the same addresses in every process of a
 * session. Disposing of it releases the gate and the auditor's view. The target keeps its agent, and its ledger is no
 * longer read.
 */
export class Recording implements Disposable {
  /**
   * Functions of the system's DLLs whose code cannot be moved (`msvcrt.dll!_lseek`). They run unchanged and unrecorded.
   */
  readonly unmovable: readonly string[];
  readonly #section: LedgerSection;
  /** Where it comes from, if not for this target alone. */
  readonly #sections: LedgerSections | undefined;
  #isTargetGone = false;
  readonly #gate: ExitGate;
  readonly #events: AuditorEvents;
  /** Where no other targets share the {@link #events}. */
  readonly #ownEvents: AuditorEvents | undefined;
  readonly #stubs: readonly StubRange[];
  readonly #code: AgentCode;
  readonly #inputs: Omit<LinkInputs, 'ledger' | 'calls' | 'goCode' | 'modules'>;
  readonly #modules: TargetModules;
  /** The code of the target's stubs before they are hooked. */
  #codes: readonly Buffer[] = [];
  #image: LinkedAgent | undefined;
  #placed: (AgentPlace & { readonly ledger: bigint }) | undefined;
  /** Its memory is that which it has taken, and not that of an earlier agent. */
  #hasOwnPlace = false;
  /** Values of the handles of ours that the target has. */
  #lent: readonly bigint[] = [];
  #hooked: readonly string[] = [];
  #unrecognised: readonly string[] = [];
  /** Functions of DLLs that the target had mapped before, and those of libuv, that could not be hooked. */
  #missed = 0;
  #requestsMissed = 0;

  private constructor(
    options: RecordingOptions,
    code: AgentCode,
    events: AuditorEvents | undefined,
    sections: LedgerSections | undefined,
  ) {
    this.#code = code;
    const layout = ledgerLayout(options.slotCount ?? DEFAULT_SLOT_COUNT, options.quarantine ?? 0, options.history);
    const { modules, unmovable, stubs, closeHandle } = locateCode();
    this.unmovable = unmovable;
    this.#stubs = stubs;
    this.#sections = sections;
    using taken = new CleanupStack();
    this.#section = taken.use(sections?.take(layout) ?? new LedgerSection(layout));
    this.#gate = taken.use(new ExitGate());
    this.#ownEvents = taken.use(events === undefined ? new AuditorEvents({ followsChildren: false }) : undefined);
    this.#events = events ?? this.#ownEvents!;
    const { arrivedName, childName } = this.#events;
    const { notesBytecode = false } = options;
    const names = { arrivedName, childName, ...this.#gate.names };
    this.#modules = new TargetModules(modules, notesBytecode);
    this.#inputs = { closeHandle, layout, ntdllAddress, notesBytecode, ...names };
    taken.disarm();
  }

  /**
   * Prepares all that needs no target.
   *
   * @param events that other targets of the same audit share; the caller disposes of them
   * @param sections that recordings with the same options share, likewise
   * @throws Win32Error or NtStatusError when Windows refuses a call
   */
  static async prepare(
    options: RecordingOptions = {},
    events?: AuditorEvents,
    sections?: LedgerSections,
  ): Promise<Recording> {
    const { quarantine = 0, checked = false } = options;
    const code = await loadCode({ quarantine: quarantine > 0, checked, stops: events?.stops !== undefined });
    return new Recording(options, code, events, sections);
  }

  get ledger(): Ledger {
    return this.#section.ledger;
  }

  /** Bytes of the target's memory that the agent takes, with its ledger. */
  get sizeBytes(): number {
    return this.#section.sizeBytes + agentSizeBytes(this.#code, this.#modules.hooked);
  }

  /**
   * Puts the agent into a process that has not begun to run, and hooks its system calls: once, for one target. Nothing
   * in the target is changed before all of the agent is in place.
   *
   * @param target opened with PROCESS_VM_OPERATION, PROCESS_VM_READ, PROCESS_VM_WRITE and PROCESS_QUERY_INFORMATION
   * @throws RecordingError when no system call can be hooked
   * @throws Win32Error or NtStatusError when Windows refuses to write to the target
   */
  install(target: AsHandle, program?: Program): void {
    this.#codes = readStubs(target, this.#stubs);
    const ledger = this.#section.mapInto(target);
    if (this.#inputs.layout.quarantineCount > 0) this.ledger.setSentinel(placeSentinel(target));
    this.#modules.lookForLibuv(target, program);
    this.#place(target, { ledger, goCode: program?.goCode });
    this.#lend(target);
    hookStubs(target, this.#stubs, this.#codes, this.#image?.patches ?? []);
    // The program is mapped already, and the DLLs are not.
    if (this.#modules.hasRequests)
      for (const patch of this.#image!.functionPatches.at(-1)!) overwriteCode(target, patch);
  }

  /**
   * Looks for what earlier audits have left in a process.
   *
   * @param program of a process that is going to be attached to, and the path of its file
   */
  findLeftAgents(target: AsHandle, program?: Program & { readonly path: string }): LeftAgents {
    this.#modules.lookForLibuv(target, program);
    const left = LeftAgents.find(target, this.#code, {
      jumps: listJumps(target, this.#stubs),
      places: listPlacesTaken(target, ntdllBase(), agentSizeBytes(this.#code, this.#modules.hooked)),
      isOfUse: (agent) => this.#canReplace(agent),
    });
    this.#modules.lookForLibuv(target, program, left.haveRequests);
    return left;
  }

  /**
   * Gives back their own code to all system calls and functions that jump to an agent. The memory of the agents stays:
   * threads may still return through it. No thread of the target may run meanwhile.
   *
   * @throws Win32Error when Windows refuses to write to the target
   */
  unhook(target: AsHandle, left: LeftAgents): void {
    // Last come the stubs, by which the next auditor finds the agents if this one is killed here.
    const modules = [...this.#modules.hooked, ...this.#modules.givenBack];
    for (const functions of MappedFunctions.read(target, modules, left)) functions.unhook();
    unhookStubs(target, this.#stubs, left);
  }

  /**
   * Does the part of an attach for which the target need not stand still: nothing leads to the agent yet.
   *
   * @param target as for {@link install}
   * @throws RecordingError when no system call can be hooked
   * @throws Win32Error or NtStatusError when Windows refuses to write to the target
   */
  prepareAttach(target: AsHandle, left: LeftAgents, goCode?: CodeRange): PreparedAttach {
    const { reusable } = left;
    this.#codes = readFreeStubs(target, this.#stubs, left);
    const mapped = MappedFunctions.read(target, this.#modules.hooked, left);
    if (reusable !== undefined) {
      const image = this.#link(reusable, { ledger: reusable.ledger, goCode });
      const address = reusable.base + BigInt(AGENT_HEADER_ROOM_BYTES);
      const bytes = image.bytes.subarray(AGENT_HEADER_ROOM_BYTES);
      const changes = [{ address, bytes }, ...image.relays].flatMap((code) =>
        changedPages(readMemory(target, code.address, code.bytes.length), code),
      );
      return { left, mapped, changes };
    }
    if (!this.#hasOwnPlace) this.#place(target, { ledger: this.#section.mapInto(target), goCode });
    return { left, mapped, changes: [] };
  }

  /**
   * Hooks the system calls of a process that has been running, and the functions of the DLLs that it has mapped: once,
   * after {@link prepareAttach}. The memory that an earlier audit has left is used again, so that the target's memory
   * does not grow with each audit.
   *
   * A thread may stand where it must not: at the beginning of a function, or in the midst of a recording by an earlier
   * audit's agent. And code may have changed since it was looked at.
   *
   * @param threads all threads of the target, which stand still meanwhile
   * @returns whether the hooks are in place; otherwise the target is as if there had been no audit
   * @throws Win32Error or NtStatusError when Windows refuses to write to the target
   */
  attach(
    target: AsHandle,
    threads: readonly StandingThread[],
    { left, mapped, changes }: PreparedAttach,
    { insists, pauses }: AttachOptions,
  ): boolean {
    const inTheWay = left.isAnyRecording(target, threads) || mapped.some((functions) => functions.isInUse(threads));
    const codes = readFreeStubs(target, this.#stubs, left);
    const hasChanged =
      codes.some((code, index) => !code.equals(this.#codes[index]!)) ||
      mapped.some((functions) => !functions.areUnchanged());
    if (hasChanged || (inTheWay && !insists)) {
      this.unhook(target, left); // so that no thread begins another recording
      return false;
    }
    const { reusable } = left;
    if (reusable !== undefined) {
      // First, because it says how far the new ledger has memory.
      writeData(target, { address: reusable.base, bytes: this.#image!.bytes.subarray(0, AGENT_HEADER_ROOM_BYTES) });
      pauses.replacing(reusable.ledger, reusable.ledgerSizeBytes, () =>
        this.#section.replaceIn(target, reusable.ledger),
      );
      for (const change of changes) overwriteCode(target, change);
    }
    if (reusable?.isUnwindRegistered === true) this.ledger.note('unwindRegistered');
    this.#lend(target);
    hookStubs(target, this.#stubs, this.#codes, this.#image?.patches ?? []);
    for (const functions of mapped) {
      const patches = this.#image?.functionPatches[this.#modules.hooked.indexOf(functions.module)] ?? [];
      const chosen = functions.choose(patches, threads);
      functions.replace(chosen);
      if (this.#modules.system.includes(functions.module)) this.#missed += patches.length - chosen.length;
      else this.#requestsMissed += patches.length - chosen.length;
      this.ledger.noteModule(functions.module.number);
    }
    this.#requestsMissed += this.#modules.unknown;
    for (const functions of MappedFunctions.read(target, this.#modules.givenBack, left)) functions.unhook();
    return true;
  }

  /**
   * Notes that no thread is in the midst of a recording any more, after {@link unhook}.
   *
   * @throws Win32Error when Windows refuses to write to the target
   */
  noteQuiet(target: AsHandle, { reusable }: LeftAgents): void {
    if (reusable !== undefined)
      writeData(target, { address: reusable.base + BigInt(agentHeader.isQuiet), bytes: Uint8Array.of(1, 0, 0, 0) });
  }

  #lend(target: AsHandle): void {
    this.#lent = lendHandles(target, { ledger: this.ledger, events: this.#events, gate: this.#gate });
  }

  /** {@link takeHandlesBack} */
  takeHandlesBack(target: AsHandle): void {
    takeHandlesBack(target, this.ledger, this.#lent);
    this.#lent = [];
  }

  /** Whether the ledger of an earlier audit can give its place to ours. */
  #canReplace({ ledgerSizeBytes, relays }: LeftAgent): boolean {
    const hasRelays = this.#modules.hooked.every(({ number }) => relays[number] !== 0n);
    // A thread may be on its way to a hook of libuv's functions, so an agent that has them keeps them. An audit without
    // them gets another agent, which does not look for a request in each stack.
    const hasRequests = relays[functionModules.indexOf(REQUEST_MODULE)] !== 0n;
    return hasRelays && hasRequests === this.#modules.hasRequests && ledgerSizeBytes === this.#section.sizeBytes;
  }

  /** Links the agent and writes it into the target. */
  #place(target: AsHandle, linked: Linked): void {
    const place = placeAgent(target, this.#code, this.#modules.hooked);
    this.#hasOwnPlace = true;
    const image = this.#link(place, linked);
    for (const code of joinNeighbours([{ address: place.base, bytes: image.bytes }, ...image.relays]))
      writeCode(target, code, code.address === place.base ? AGENT_HEADER_ROOM_BYTES : 0);
  }

  #link(place: AgentPlace, linked: Linked): LinkedAgent {
    const { calls, unrecognised } = recogniseStubs(this.#stubs, this.#codes);
    if (calls.length === 0) throw new RecordingError();
    this.#hooked = calls.map(({ row }) => row.name);
    this.#unrecognised = unrecognised;
    const image = linkAgent(this.#code, { ...this.#inputs, ...linked, modules: this.#modules.hooked, calls }, place);
    this.ledger.hideAgent(place.base, image.bytes.length);
    this.#image = image;
    this.#placed = { ...place, ledger: linked.ledger };
    return image;
  }

  /**
   * Gives memory to the slots of handles up to a value, before they are noted. No thread of the target may run
   * meanwhile.
   *
   * @throws Win32Error when Windows has no more memory, or refuses to write to the target
   */
  coverValue(target: AsHandle, value: bigint): void {
    const { layout } = this.#inputs;
    const count = Math.min(Number(value >> 2n) + 1, layout.slotCount);
    if (this.#placed === undefined || count <= firstSlots(layout)) return;
    const { base, ledger } = this.#placed;
    this.#section.commitIn(target, ledger, slotParts(layout, count));
    const bytes = new Uint8Array(BigUint64Array.of(BigInt(count)).buffer);
    writeData(target, { address: base + BigInt(agentHeader.slotsCommitted), bytes });
  }

  /** Names of the system calls that are hooked in the target. */
  get hooked(): readonly string[] {
    return this.#hooked;
  }

  /** Exports of ntdll whose code has no known shape. They run unchanged and unrecorded. */
  get unrecognised(): readonly string[] {
    return this.#unrecognised;
  }

  /** The gaps in the recording that are known by now. */
  gaps(): readonly Gap[] {
    return [
      ...namingGap('calls-unrecognised', this.#unrecognised),
      ...namingGap('functions-unmovable', this.unmovable),
      ...countedGap('functions-missed-at-attach', this.#missed),
      ...countedGap('requests-missed', this.#requestsMissed),
      ...this.ledger.gaps(),
    ];
  }

  /** {@link AuditorEvents.arrived}; where targets share it, {@link isAtStop} says which of them has come. */
  get arrived(): BorrowedHandle {
    return this.#events.arrived;
  }

  /** Whether the target waits at one of the two stops of its exit. */
  get isAtStop(): boolean {
    const state = this.ledger.counter('gateState');
    return state === GATE_WAITING || state === GATE_ENDING_THREADS;
  }

  /** Whether the target that has {@link arrived} waits to end its other threads, and not to be judged. */
  get isEndingThreads(): boolean {
    return this.ledger.counter('gateState') === GATE_ENDING_THREADS;
  }

  /** {@link ExitGate.releaseThreadsSeen} */
  releaseThreadsSeen(): void {
    this.#gate.releaseThreadsSeen();
  }

  /** Lets the target go from the gate, with all threads that wait there. */
  release(): void {
    this.ledger.note('judged');
    this.#gate.release();
  }

  /** The target has ended, and its ledger is not read any more: its memory may serve another target. */
  noteTargetGone(): void {
    this.#isTargetGone = true;
  }

  [Symbol.dispose](): void {
    using _events = this.#ownEvents;
    using _gate = this.#gate;
    if (this.#isTargetGone && this.#sections !== undefined) this.#sections.giveBack(this.#section);
    else this.#section[Symbol.dispose]();
  }
}
