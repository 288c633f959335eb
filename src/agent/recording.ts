import { randomUUID } from 'node:crypto';

import {
  CreateEventW, CreateFileMappingW, CreateMutexW, DuplicateHandle, FlushInstructionCache, GetModuleHandleW, GetProcAddress, LoadLibraryExW, MapViewOfFile, ReleaseMutex,
  UnmapViewOfFile, VirtualAllocEx, VirtualProtectEx, VirtualQueryEx, WriteProcessMemory,
} from '../ffi/kernel32.ts'; // prettier-ignore
import { viewMemory } from '../ffi/library.ts';
import { NtMapViewOfSection, NtQueryObject, RtlLookupFunctionEntry } from '../ffi/ntdll.ts';
import { type AsHandle, type BorrowedHandle, CURRENT_PROCESS, failed, failedWithStatus, HandleOrNull, type OwnedHandle } from '../io/index.ts';
import { readMemory } from '../process/memory.ts';
import {
  buildAgentImage, type HookedCall, type HookedFunction, type HookedModule, numberedFunctions, numberedRows, RELAY_SIZE_BYTES,
} from './agent-image.ts'; // prettier-ignore
import type { CodeRange } from './hook-frame.ts';
import { functionModules } from './function-table.ts';
import { Ledger } from './ledger.ts';
import { ledgerLayout } from './ledger-layout.ts';
import { movePrologue } from './prologue.ts';
import { recogniseStub, STUB_READ_SIZE_BYTES } from './stub.ts';

export interface RecordingOptions {
  /** Handle values that can be recorded, a power of two; what lies beyond is counted. */
  readonly slotCount?: number;
  /** Closed values that nobody is given again for now, a power of two up to 65,536; absent: none. */
  readonly quarantine?: number;
  /** Checks every remembered frame size against the documented unwinder: slow, for tests. */
  readonly checked?: boolean;
}

/** 2^20 values: four million in the kernel's spelling, more than almost any program reaches. */
const DEFAULT_SLOT_COUNT = 1 << 20;

const PAGE_READWRITE = 0x04;
const PAGE_EXECUTE_READ = 0x20;
const PAGE_EXECUTE_READWRITE = 0x40;
const FILE_MAP_WRITE = 0x2;
const MEM_COMMIT_RESERVE = 0x3000;
const MEM_FREE = 0x1_0000;
const LOAD_LIBRARY_SEARCH_SYSTEM32 = 0x800;
const ViewUnmap = 2;
const ObjectNameInformation = 1;
/** More than any prologue that is moved. */
const PROLOGUE_READ_SIZE_BYTES = 24;
const ALLOCATION_GRANULARITY = 0x1_0000n;
/** How far from ntdll the agent may lie; a 32-bit jump reaches 2 GiB, from any stub. */
const REACH = 0x7000_0000n;
const DISTANCE = 0x4000_0000n;

/**
 * The agent at work in one target, seen from the auditor: the ledger, and the gate at which the target waits when it exits.
 *
 * Disposing of it releases the gate and the auditor's view; the target keeps its agent, whose ledger nobody reads then.
 */
export class Recording implements Disposable {
  readonly ledger: Ledger;
  /** Names of the system calls that are hooked. */
  readonly hooked: readonly string[];
  /** Exports whose code has no known shape: they run as they are, unrecorded. */
  readonly unrecognised: readonly string[];
  /** Functions of the system's DLLs whose code cannot be moved (`msvcrt.dll!_lseek`): likewise. */
  readonly unmovable: readonly string[];
  readonly #view: bigint;
  readonly #section: OwnedHandle;
  readonly #arrived: OwnedHandle;
  readonly #judged: OwnedHandle;
  #holdsGate = true;

  private constructor(parts: {
    ledger: Ledger;
    hooked: readonly string[];
    unrecognised: readonly string[];
    unmovable: readonly string[];
    view: bigint;
    section: OwnedHandle;
    arrived: OwnedHandle;
    judged: OwnedHandle;
  }) {
    this.ledger = parts.ledger;
    this.hooked = parts.hooked;
    this.unrecognised = parts.unrecognised;
    this.unmovable = parts.unmovable;
    this.#view = parts.view;
    this.#section = parts.section;
    this.#arrived = parts.arrived;
    this.#judged = parts.judged;
  }

  /**
   * Puts the agent into a process and hooks its system calls. Nothing in the target is changed before all of the agent
   * is in place; the hooks then go in one by one, each with one write.
   *
   * @param target opened with PROCESS_VM_OPERATION, PROCESS_VM_READ, PROCESS_VM_WRITE and PROCESS_QUERY_INFORMATION
   * @throws Win32Error or NtStatusError when the target does not let itself be written to
   */
  static start(target: AsHandle, options: RecordingOptions = {}): Recording {
    const undo: Disposable[] = [];
    const keep = <T extends Disposable>(resource: T): T => {
      undo.push(resource);
      return resource;
    };
    try {
      return Recording.#install(target, options, keep);
    } catch (error) {
      for (const resource of undo.toReversed()) resource[Symbol.dispose]();
      throw error;
    }
  }

  static #install(target: AsHandle, options: RecordingOptions, keep: <T extends Disposable>(resource: T) => T): Recording {
    const layout = ledgerLayout(options.slotCount ?? DEFAULT_SLOT_COUNT, options.quarantine ?? 0);

    const section = keep(createSection(layout.sizeBytes));
    const view = MapViewOfFile(section.asRawHandle(), FILE_MAP_WRITE, 0, 0, 0n);
    if (view === 0n) throw failed('map', 'the ledger');
    keep({ [Symbol.dispose]: () => UnmapViewOfFile(view) });
    const ledger = new Ledger(viewMemory(view, layout.sizeBytes), layout);
    ledger.initialise();

    // Named, so that the target can open them at its exit and holds no handle of ours before.
    const name = `unclosed-${randomUUID()}`;
    const arrived = keep(
      HandleOrNull.fromRawHandle(CreateEventW(null, false, false, `${name}-arrived`)).expect('create', 'the exit gate'),
    );
    const judged = keep(
      HandleOrNull.fromRawHandle(CreateMutexW(null, true, `${name}-judged`)).expect('create', 'the exit gate'),
    );

    if (layout.quarantineCount > 0) ledger.setSentinel(placeSentinel(target));
    const { calls, unrecognised } = findCalls(target);
    const { modules, unmovable } = findFunctions(target);
    const image = buildAgentImage({
      calls,
      modules,
      closeHandle: findCloseHandle(),
      canCompareObjects: GetProcAddress(ntdllBase(), 'NtCompareObjects') !== 0n,
      ledger: mapIntoTarget(section, target),
      layout,
      exportAddress: ntdllExport,
      arrivedName: objectName(arrived),
      judgedName: objectName(judged),
      checked: options.checked ?? false,
    });
    const base = allocateNear(target, ntdllBase(), image.bytes.length);
    writeCode(target, [{ address: base, bytes: image.bytes }]);
    for (const relays of image.relays(base)) writeCode(target, [relays]);
    ledger.hideAgent(base, image.bytes.length);
    writeCode(target, image.patches(base));

    const hooked = calls.map((call) => call.row.name);
    return new Recording({ ledger, hooked, unrecognised, unmovable, view, section, arrived, judged });
  }

  /** Signalled once each time the target has come to its exit and waits to be judged. */
  get arrived(): BorrowedHandle {
    return this.#arrived.asHandle();
  }

  /** Lets the target pass the gate. */
  release(): void {
    if (!this.#holdsGate) return;
    this.#holdsGate = false;
    if (!ReleaseMutex(this.#judged.asRawHandle())) throw failed('release', 'the exit gate');
  }

  [Symbol.dispose](): void {
    using _section = this.#section;
    using _arrived = this.#arrived;
    using _judged = this.#judged;
    this.release();
    UnmapViewOfFile(this.#view);
  }
}

function createSection(sizeBytes: number): OwnedHandle {
  const high = Math.floor(sizeBytes / 2 ** 32);
  const raw = CreateFileMappingW(CURRENT_PROCESS, null, PAGE_READWRITE, high, sizeBytes % 2 ** 32, null);
  return HandleOrNull.fromRawHandle(raw).expect('create', `a ledger of ${Math.round(sizeBytes / 2 ** 20)} MiB`, 'a smaller one');
}

/** Gives the target a handle that permits nothing, of an object that nobody else knows. */
function placeSentinel(target: AsHandle): bigint {
  using event = HandleOrNull.fromRawHandle(CreateEventW(null, true, false, null)).expect('create', 'the sentinel of the quarantine');
  const value = new BigUint64Array(1);
  if (!DuplicateHandle(CURRENT_PROCESS, event.asRawHandle(), target.asHandle().asRawHandle(), value, 0, false, 0)) {
    throw failed('place', 'the sentinel of the quarantine', 'it without --quarantine');
  }
  return value[0]!;
}

/** Maps the whole section; the target needs no handle for it. */
function mapIntoTarget(section: AsHandle, target: AsHandle): bigint {
  const base = new BigUint64Array(1);
  const size = new BigUint64Array(1);
  const status = NtMapViewOfSection(
    section.asHandle().asRawHandle(), target.asHandle().asRawHandle(), base, 0n, 0n, null, size, ViewUnmap, 0, PAGE_READWRITE,
  ); // prettier-ignore
  if (status !== 0) throw failedWithStatus('map the ledger into', 'the target', status);
  return base[0] ?? 0n;
}

/** ntdll lies at the same address in every process of a session: Windows chooses it at boot, Wine fixes it. */
function ntdllBase(): bigint {
  return GetModuleHandleW('ntdll.dll');
}

function ntdllExport(name: string): bigint {
  const address = GetProcAddress(ntdllBase(), name);
  if (address === 0n) throw failed('find', `ntdll!${name}`);
  return address;
}

/** Which rows this ntdll exports, read as the target has them: all stubs in one piece, for they lie side by side. */
function findCalls(target: AsHandle): { calls: HookedCall[]; unrecognised: string[] } {
  const calls: HookedCall[] = [];
  const unrecognised: string[] = [];
  const exported = numberedRows.flatMap(({ row, rowNumber }) => {
    const stubAddress = GetProcAddress(ntdllBase(), row.name);
    return stubAddress === 0n ? [] : [{ row, rowNumber, stubAddress }];
  });
  const addresses = exported.map(({ stubAddress }) => stubAddress).sort((a, b) => (a < b ? -1 : 1));
  const [first = 0n, last = 0n] = [addresses[0], addresses.at(-1)];
  const code = readMemory(target, first, Number(last - first) + STUB_READ_SIZE_BYTES);
  for (const { row, rowNumber, stubAddress } of exported) {
    const start = Number(stubAddress - first);
    const stub = recogniseStub(code.subarray(start, start + STUB_READ_SIZE_BYTES));
    if (stub === undefined) unrecognised.push(row.name);
    else calls.push({ row, rowNumber, stubAddress, stub });
  }
  return { calls, unrecognised };
}

/** The functions that the system's DLLs are known to have here, for targets in which they will lie where they lie in this process. */
function findFunctions(target: AsHandle): { modules: HookedModule[]; unmovable: string[] } {
  const unmovable: string[] = [];
  const modules = functionModules.flatMap((name): readonly HookedModule[] => {
    const base = LoadLibraryExW(name, null, LOAD_LIBRARY_SEARCH_SYSTEM32);
    if (base === 0n) return []; // what is not on this system cannot be called on it
    const peHeader = new DataView(viewMemory(base, 0x1000)).getUint32(0x3c, true); // LONG e_lfanew
    const headers = new DataView(viewMemory(base + BigInt(peHeader), 0x58));
    const identity = [0x08, 0x28, 0x50].map((offset) => [offset, headers.getUint32(offset, true)] as const); // TimeDateStamp, AddressOfEntryPoint, SizeOfImage
    const sizeBytes = headers.getUint32(0x50, true);
    const end = base + BigInt(sizeBytes);
    const found: HookedFunction[] = [];
    let opensUnseen = false;
    for (const { row, rowNumber } of numberedFunctions.filter((numbered) => numbered.row.module === name)) {
      const address = GetProcAddress(base, row.name);
      if (address < base || address >= end) continue; // not there, or forwarded to another DLL
      const code = new Uint8Array(viewMemory(address, PROLOGUE_READ_SIZE_BYTES)).slice();
      const moved = movePrologue(code, address, { base, end });
      if (moved !== undefined) {
        found.push({ row, rowNumber, address, code, moved });
        continue;
      }
      unmovable.push(`${name}!${row.name}`);
      opensUnseen ||= row.kind === 'wrapper' && row.opens !== undefined;
    }
    // What one function opens out of sight would seem closed to the others.
    const functions = opensUnseen ? found.filter(({ row }) => row.kind !== 'wrapper') : found;
    if (functions.length === 0) return [];
    return [{
      base,
      sizeBytes,
      number: functionModules.indexOf(name),
      fileno: GetProcAddress(base, '_fileno'),
      getOsfhandle: GetProcAddress(base, '_get_osfhandle'),
      identity,
      functions,
      relays: allocateNear(target, base, functions.length * RELAY_SIZE_BYTES),
    }];
  });
  return { modules, unmovable };
}

/** Where the code of CloseHandle lies, in this process and so in the target: Windows places its own DLLs once for all of a session. */
function findCloseHandle(): CodeRange | undefined {
  const address = GetProcAddress(GetModuleHandleW('kernelbase.dll'), 'CloseHandle');
  const imageBase = new BigUint64Array(1);
  const entry = address === 0n ? 0n : RtlLookupFunctionEntry(address, imageBase, null);
  if (entry === 0n) return undefined;
  const [begin = 0, end = 0] = new Uint32Array(viewMemory(entry, 8)); // DWORD BeginAddress, EndAddress
  return { begin: imageBase[0]! + BigInt(begin), sizeBytes: end - begin };
}

function objectName(object: OwnedHandle): string {
  const buffer = Buffer.alloc(1024); // OBJECT_NAME_INFORMATION
  const status = NtQueryObject(object.asRawHandle(), ObjectNameInformation, buffer, buffer.length, null);
  if (status !== 0) throw failedWithStatus('read the name of', 'the exit gate', status);
  return buffer.toString('utf16le', 16, 16 + buffer.readUInt16LE(0)); // UNICODE_STRING Name, its text right behind it
}

/**
 * Reserves memory in reach of a 32-bit jump from `near`.
 *
 * A gibibyte below is tried first: right beside `near` the system's DLLs are going to be mapped, at addresses that Windows
 * chose at boot, and one that finds its place taken is moved, which kernel32 does not survive.
 */
function allocateNear(target: AsHandle, near: bigint, sizeBytes: number): bigint {
  for (const [from, to] of [[near - DISTANCE, near - REACH], [near + DISTANCE, near + REACH], [near, near - REACH]] as const) { // prettier-ignore
    const base = allocateBetween(target, from, to, BigInt(sizeBytes));
    if (base !== undefined) return base;
  }
  throw failed('find room for the agent near ntdll in', 'the target', 'again: the layout of its memory differs each time');
}

/** Reserves memory in the first free region on the way from one address to another. */
function allocateBetween(target: AsHandle, from: bigint, to: bigint, sizeBytes: bigint): bigint | undefined {
  const process = target.asHandle().asRawHandle();
  const [lowest, highest] = from < to ? [from, to] : [to > 0n ? to : ALLOCATION_GRANULARITY, from];
  for (let address = from; address >= lowest && address <= highest; ) {
    const region = Buffer.alloc(48); // MEMORY_BASIC_INFORMATION
    if (VirtualQueryEx(process, address, region, 48n) === 0n) return undefined;
    const regionBase = region.readBigUInt64LE(0); // PVOID BaseAddress
    const regionEnd = regionBase + region.readBigUInt64LE(24); // SIZE_T RegionSize
    if (region.readUInt32LE(32) === MEM_FREE) {
      const first = alignDown((regionBase > lowest ? regionBase : lowest) + ALLOCATION_GRANULARITY - 1n);
      const last = alignDown((regionEnd < highest ? regionEnd : highest) - sizeBytes);
      const candidate = from < to ? first : last;
      if (first <= last) {
        const base = VirtualAllocEx(process, candidate, sizeBytes, MEM_COMMIT_RESERVE, PAGE_READWRITE);
        if (base !== 0n) return base;
      }
    }
    address = from < to ? regionEnd : regionBase - 1n;
  }
  return undefined;
}

function alignDown(address: bigint): bigint {
  return address & -ALLOCATION_GRANULARITY;
}

interface CodePatch {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** Writes code, each patch with one write; the pages around all of them are executable and not writable afterwards. */
function writeCode(target: AsHandle, patches: readonly CodePatch[]): void {
  const process = target.asHandle().asRawHandle();
  const first = patches.reduce((lowest, { address }) => (address < lowest ? address : lowest), patches[0]?.address ?? 0n);
  const end = patches.reduce((highest, { address, bytes }) => {
    const last = address + BigInt(bytes.length);
    return last > highest ? last : highest;
  }, first);
  const before = new Uint32Array(1);
  const where = `0x${first.toString(16)} in the target`;
  if (!VirtualProtectEx(process, first, end - first, PAGE_EXECUTE_READWRITE, before)) throw failed('unprotect code at', where);
  for (const { address, bytes } of patches) {
    if (!WriteProcessMemory(process, address, bytes, BigInt(bytes.length), null)) throw failed('write code at', where);
  }
  if (!VirtualProtectEx(process, first, end - first, PAGE_EXECUTE_READ, before)) throw failed('protect code at', where);
  if (!FlushInstructionCache(process, first, end - first)) throw failed('flush the instruction cache of', 'the target');
}
