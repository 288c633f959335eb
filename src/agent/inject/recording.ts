import { ObjectNameInformation } from '../../ffi/constants.ts';
import {
  CreateEventW,
  CreateFileMappingW,
  CreateMutexW,
  DuplicateHandle,
  MapViewOfFile,
  ReleaseMutex,
  UnmapViewOfFile,
} from '../../ffi/kernel32.ts';
import { viewMemory } from '../../ffi/library.ts';
import { NtMapViewOfSection, NtQueryObject } from '../../ffi/ntdll.ts';
import {
  type AsHandle,
  type BorrowedHandle,
  CURRENT_PROCESS,
  failed,
  failedWithStatus,
  HandleOrNull,
  type OwnedHandle,
} from '../../io/index.ts';
import { type Gap, namingGap } from '../../completeness.ts';
import { readMemory } from '../../process/memory.ts';
import { randomBytes } from '../../process/random.ts';
import { GATE_ENDING_THREADS, ledgerLayout } from '../ledger/layout.ts';
import { Ledger } from '../ledger/ledger.ts';
import type { AgentCode } from '../linkage/agent-code.ts';
import { type CodeRange, linkAgent, type LinkInputs, RELAY_SIZE_BYTES } from '../link/link-agent.ts';
import { loadCode } from '../link/load-code.ts';
import {
  findCloseHandle,
  findFunctions,
  locateStubs,
  ntdllAddress,
  ntdllBase,
  recogniseStubs,
  type StubRange,
} from './locate-hooks.ts';
import { allocateNear, overwriteCode, writeCode } from './target-code.ts';
import { UserError } from '../../user-error.ts';

export interface RecordingOptions {
  /** How many handle values can be recorded, a power of two. Calls about values beyond are counted. */
  readonly slotCount?: number;
  /** How many closed values are quarantined, a power of two up to 65,536; absent: none. */
  readonly quarantine?: number;
  /** Every remembered frame size is checked against the documented unwinder: slow, for tests. */
  readonly checked?: boolean;
}

/** Handle values up to four million, for the kernel counts in fours: more than almost any program reaches. */
const DEFAULT_SLOT_COUNT = 1 << 20;

const PAGE_READWRITE = 0x04;
const FILE_MAP_WRITE = 0x2;
const ViewUnmap = 2;

/** No system call of a target can be hooked. */
export class RecordingError extends UserError {
  constructor() {
    super(
      'Cannot record: none of the system calls of this ntdll begins in a known form: other software has hooked them all, or this is no x64 Windows. Try without that software.',
    );
  }
}

/**
 * The agent at work in one target, seen from the auditor: the ledger, and the gate at which the target waits when it
 * exits.
 *
 * It is prepared before there is a target, because the system's DLLs have the same addresses in every process of a
 * session. Disposing of it releases the gate and the auditor's view. The target keeps its agent, and its ledger is no
 * longer read.
 */
export class Recording implements Disposable {
  readonly ledger: Ledger;
  /**
   * Functions of the system's DLLs whose code cannot be moved (`msvcrt.dll!_lseek`). They run unchanged and unrecorded.
   */
  readonly unmovable: readonly string[];
  readonly #resources: Disposable[];
  readonly #section: OwnedHandle;
  readonly #arrived: OwnedHandle;
  readonly #judged: Barrier;
  readonly #threadsSeen: Barrier;
  readonly #stubs: readonly StubRange[];
  readonly #code: AgentCode;
  readonly #target: Omit<LinkInputs, 'ledger' | 'calls'>;
  readonly #ledgerAddress: bigint;
  #hooked: readonly string[] = [];
  #unrecognised: readonly string[] = [];

  private constructor(options: RecordingOptions, code: AgentCode, resources: Disposable[]) {
    const keep = <T extends Disposable>(resource: T): T => {
      resources.push(resource);
      return resource;
    };
    this.#resources = resources;
    this.#code = code;
    const layout = ledgerLayout(options.slotCount ?? DEFAULT_SLOT_COUNT, options.quarantine ?? 0);
    this.#section = keep(createSection(layout.sizeBytes));
    const view = MapViewOfFile(this.#section.asRawHandle(), FILE_MAP_WRITE, 0, 0, 0n);
    if (view === 0n) throw failed('map', 'the ledger');
    this.#ledgerAddress = view;
    keep({ [Symbol.dispose]: () => UnmapViewOfFile(view) });
    this.ledger = new Ledger((offset, sizeBytes) => new DataView(viewMemory(view + BigInt(offset), sizeBytes)), layout);
    this.ledger.initialise();

    // The objects have names, so that the target opens them at its exit and holds no handle of them before.
    const name = `unclosed-${randomBytes(16).toString('hex')}`;
    this.#arrived = keep(
      HandleOrNull.fromRawHandle(CreateEventW(null, false, false, `${name}-arrived`)).expect('create', 'the exit gate'),
    );
    this.#judged = keep(new Barrier(`${name}-judged`));
    this.#threadsSeen = keep(new Barrier(`${name}-threads-seen`));

    const { modules, unmovable } = findFunctions();
    this.unmovable = unmovable;
    this.#target = {
      modules,
      closeHandle: findCloseHandle(),
      layout,
      ntdllAddress,
      arrivedName: objectName(this.#arrived),
      judgedName: objectName(this.#judged),
      threadsSeenName: objectName(this.#threadsSeen),
    };
    this.#stubs = locateStubs();
  }

  /**
   * Prepares all that needs no target.
   *
   * @throws Win32Error or NtStatusError when Windows refuses a call
   */
  static async prepare(options: RecordingOptions = {}): Promise<Recording> {
    const code = await loadCode({ quarantine: (options.quarantine ?? 0) > 0, checked: options.checked ?? false });
    const resources: Disposable[] = [];
    try {
      return new Recording(options, code, resources);
    } catch (error) {
      disposeAll(resources);
      throw error;
    }
  }

  /**
   * Puts the agent into a process that has not begun to run, and hooks its system calls: once, for one target. Nothing
   * in the target is changed before all of the agent is in place.
   *
   * @param target opened with PROCESS_VM_OPERATION, PROCESS_VM_READ, PROCESS_VM_WRITE and PROCESS_QUERY_INFORMATION
   * @param goCode the code of Go in the program, if it is one
   * @throws RecordingError when no system call can be hooked
   * @throws Win32Error or NtStatusError when Windows refuses to write to the target
   */
  install(target: AsHandle, goCode?: CodeRange): void {
    const { layout, modules } = this.#target;
    const ledger = mapIntoTarget(this.#section, target, this.#ledgerAddress);
    if (layout.quarantineCount > 0) this.ledger.setSentinel(placeSentinel(target));
    const codes = this.#stubs.map(({ begin, sizeBytes }) => readMemory(target, begin, sizeBytes));
    const { calls, unrecognised } = recogniseStubs(this.#stubs, codes);
    if (calls.length === 0) throw new RecordingError();
    this.#hooked = calls.map(({ row }) => row.name);
    this.#unrecognised = unrecognised;

    const sizeBytes = this.#code.bytes.length;
    const base = allocateNear(target, ntdllBase(), sizeBytes);
    const relays = modules.map((module) =>
      allocateNear(target, module.base, module.functions.length * RELAY_SIZE_BYTES),
    );
    const image = linkAgent(this.#code, { ...this.#target, ledger, calls, goCode }, base, relays);
    writeCode(target, { address: base, bytes: image.bytes });
    for (const relay of image.relays) writeCode(target, relay);
    this.ledger.hideAgent(base, sizeBytes);
    this.#stubs.forEach(({ begin, sizeBytes: rangeSizeBytes }, index) => {
      const code = codes[index]!;
      const patches = image.patches.filter(
        ({ address }) => address >= begin && address < begin + BigInt(rangeSizeBytes),
      );
      for (const { address, bytes } of patches) code.set(bytes, Number(address - begin));
      if (patches.length > 0) overwriteCode(target, { address: begin, bytes: code });
    });
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
      ...this.ledger.gaps(),
    ];
  }

  /**
   * Signalled once each time the target waits at one of the two stops of its exit: before it ends its other threads
   * ({@link isEndingThreads}), and before it ends itself.
   */
  get arrived(): BorrowedHandle {
    return this.#arrived.asHandle();
  }

  /** Whether the target that has {@link arrived} waits to end its other threads, and not to be judged. */
  get isEndingThreads(): boolean {
    return this.ledger.counter('gateState') === GATE_ENDING_THREADS;
  }

  /** Lets the target end its other threads, and go on to the end of its exit. */
  releaseThreadsSeen(): void {
    this.#threadsSeen.release();
  }

  /** Lets the target pass the gate. */
  release(): void {
    this.#judged.release();
  }

  [Symbol.dispose](): void {
    disposeAll(this.#resources);
  }
}

/** A mutant that this thread holds until it releases it for good. The kernel releases it for a dead auditor. */
class Barrier implements AsHandle, Disposable {
  readonly #mutant: OwnedHandle;
  #isHeld = true;

  constructor(name: string) {
    this.#mutant = HandleOrNull.fromRawHandle(CreateMutexW(null, true, name)).expect('create', 'the exit gate');
  }

  asHandle(): BorrowedHandle {
    return this.#mutant.asHandle();
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    if (!ReleaseMutex(this.#mutant.asRawHandle())) throw failed('release', 'the exit gate');
  }

  [Symbol.dispose](): void {
    try {
      this.release();
    } finally {
      this.#mutant[Symbol.dispose]();
    }
  }
}

/** Disposes of resources in the reverse order of their making. */
function disposeAll(resources: Disposable[]): void {
  for (const resource of resources.splice(0).toReversed()) resource[Symbol.dispose]();
}

function createSection(sizeBytes: number): OwnedHandle {
  const high = Math.floor(sizeBytes / 2 ** 32);
  const raw = CreateFileMappingW(CURRENT_PROCESS, null, PAGE_READWRITE, high, sizeBytes % 2 ** 32, null);
  return HandleOrNull.fromRawHandle(raw).expect(
    'create',
    `a ledger of ${Math.round(sizeBytes / 2 ** 20)} MiB`,
    'a smaller one',
  );
}

/** Gives the target a handle that permits nothing, to an object that no other code knows. */
function placeSentinel(target: AsHandle): bigint {
  using event = HandleOrNull.fromRawHandle(CreateEventW(null, true, false, null)).expect(
    'create',
    'the sentinel of the quarantine',
  );
  const value = new BigUint64Array(1);
  if (!DuplicateHandle(CURRENT_PROCESS, event.asRawHandle(), target.asHandle().asRawHandle(), value, 0, false, 0)) {
    throw failed('place', 'the sentinel of the quarantine', 'it without --quarantine');
  }
  return value[0]!;
}

/**
 * Maps the whole section; the target needs no handle for it. The address that it has in this process is tried first: no
 * DLL of the system is going to be mapped there, and the program's heap keeps the low addresses that it has when the
 * program runs alone.
 */
function mapIntoTarget(section: AsHandle, target: AsHandle, wanted: bigint): bigint {
  const map = (base: BigUint64Array): number => {
    const size = new BigUint64Array(1);
    return NtMapViewOfSection(
      section.asHandle().asRawHandle(),
      target.asHandle().asRawHandle(),
      base,
      0n,
      0n,
      null,
      size,
      ViewUnmap,
      0,
      PAGE_READWRITE,
    );
  };
  if (map(BigUint64Array.of(wanted)) === 0) return wanted;
  const base = new BigUint64Array(1);
  const status = map(base);
  if (status !== 0) throw failedWithStatus('map the ledger into', 'the target', status);
  return base[0]!;
}

function objectName(object: AsHandle): string {
  const buffer = Buffer.alloc(1024); // OBJECT_NAME_INFORMATION
  const status = NtQueryObject(object.asHandle().asRawHandle(), ObjectNameInformation, buffer, buffer.length, null);
  if (status !== 0) throw failedWithStatus('read the name of', 'the exit gate', status);
  return buffer.toString('utf16le', 16, 16 + buffer.readUInt16LE(0)); // UNICODE_STRING Name, its text right behind it
}
