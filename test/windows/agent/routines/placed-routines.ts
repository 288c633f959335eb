// Routines of the agent alone: assembled into this process, on a ledger that lies in it, and run by threads that a test
// gives all registers.
import { Assembler } from '../../../../src/agent/asm/assembler.ts';
import { type Label, relative } from '../../../../src/agent/asm/operands.ts';
import { ntdllAddress } from '../../../../src/agent/inject/locate/locate-hooks.ts';
import { labelRoutines, type Routines } from '../../../../src/agent/emit/routines.ts';
import {
  type LedgerLayout,
  ledgerLayout,
  SLOT_SIZE_BYTES,
  STACK_POOL_SIZE_BYTES,
} from '../../../../src/agent/ledger/layout.ts';
import { IMAGE_COUNT, IMAGE_SIZE_BYTES } from '../../../../src/agent/ledger/image.ts';
import { Ledger } from '../../../../src/agent/ledger/ledger.ts';
import { type GrownField, grownFields } from '../../../../src/agent/linkage/agent-header.ts';
import { type LinkSlot, linkSlots } from '../../../../src/agent/linkage/link-slots.ts';
import { CloseHandle, VirtualAllocEx, VirtualProtectEx, WaitForSingleObject } from '../../../../src/ffi/kernel32.ts';
import { DWORD, HANDLE, loadLibrary, POINTER, ULONG64, viewMemory } from '../../../../src/ffi/library.ts';
import { CURRENT_PROCESS } from '../../../../src/io/index.ts';
import { HANG_MS } from '../../../hang.ts';
import {
  CALL_SIZE_BYTES,
  emitFake,
  emitFakeCaptureStack,
  emitRunner,
  fake,
  JOB_HEAD_SIZE_BYTES,
  nonVolatile,
  registerNames,
  type Registers,
  storing,
} from './thread-code.ts';

const CreateThread = loadLibrary('kernel32.dll').define<
  (
    attributes: bigint,
    stackSizeBytes: bigint,
    start: bigint,
    parameter: bigint,
    flags: number,
    threadId: Uint32Array,
  ) => HANDLE
>('CreateThread', HANDLE, [ULONG64, ULONG64, ULONG64, ULONG64, DWORD, POINTER]);

const PAGE_READWRITE = 0x04;
const PAGE_EXECUTE_READWRITE = 0x40;
const MEM_COMMIT_RESERVE = 0x3000;

/** A register that a test does not set has a value that is no address, and differs from register to register. */
const UNSET = 0xdead_0000_0000_0000n;

/** The calls that one thread makes, one after the other. */
export interface CallList<Name extends string> {
  readonly routine: Name;
  readonly calls: readonly Partial<Registers>[];
}

/** The registers of one thread after each of its calls. */
export interface CallResults {
  readonly threadId: number;
  readonly after: readonly Registers[];
}

/** A call of a function of ntdll, which a fake took. */
export interface FakedCall {
  readonly name: string;
  /** The arguments in registers. */
  readonly args: readonly [rcx: bigint, rdx: bigint, r8: bigint, r9: bigint];
  /** The sixth and the seventh argument: the attributes and the options of NtDuplicateObject. */
  readonly sixth: bigint;
  readonly seventh: bigint;
}

/** The result of a fake, and the 64-bit value that it stores if it is a function that does. */
export interface FakedResult {
  readonly status: number;
  readonly stores?: bigint;
}

export interface PlacedRoutines<Name extends string> {
  readonly layout: LedgerLayout;
  /** The ledger's memory. */
  readonly memory: DataView;
  /** Where the ledger lies. */
  readonly ledgerAddress: bigint;
  /** Memory for what the routines read, and where it lies. */
  readonly data: DataView;
  readonly dataAddress: bigint;
  /** Empties the ledger, the data and the fakes' notes, and returns a reader that has seen nothing yet. */
  reset(): Ledger;
  /** Runs one routine, once, on a thread of its own. */
  call(routine: Name, before: Partial<Registers>): Registers & { readonly threadId: number };
  /** Runs several lists of calls at once. The threads often wait for each other, so that their calls meet. */
  callAtOnce(...lists: readonly CallList<Name>[]): readonly CallResults[];
  slotOffset(value: bigint): number;
  /** The bytes of a slot. */
  slotBytes(value: bigint): readonly number[];
  /** Sets the results of the fakes, call by call, whichever of them is called. The last one goes on for ever. */
  script(...results: readonly FakedResult[]): void;
  faked(): readonly FakedCall[];
  /** The agent's own bounds of the ledger's memory. At first all of it is there. */
  grown(name: GrownField): bigint;
  setGrown(name: GrownField, value: bigint): void;
}

interface Placing<Name extends string> {
  readonly slotCount?: number;
  /** With a quarantine, the routines are those of the other variant. */
  readonly quarantineCount?: number;
  /** How many earlier lives of a value are kept. */
  readonly history?: number;
  /** The functions of ntdll that the routines call, or name. */
  readonly ntdll?: readonly string[];
  /** Functions of ntdll that the routines call themselves, without a fake. */
  readonly realNtdll?: readonly string[];
  /** The code of Go in the program. */
  readonly goCode?: { readonly begin: bigint; readonly sizeBytes: number };
  /** Emits routines, and names those that tests call. The label `captureStack` is bound already. */
  emit(asm: Assembler, routines: Routines): Readonly<Record<Name, Label>>;
}

const DATA_SIZE_BYTES = 1 << 20;
const JOBS_SIZE_BYTES = 16 << 20;

/**
 * Places routines, their fakes and a ledger in this process.
 *
 * `captureStack` is a fake: the id of the stack is the low half of its argument, the address of the return address. It
 * changes all volatile registers.
 */
export function placeRoutines<Name extends string>({
  slotCount = 1024,
  quarantineCount = 0,
  history,
  ntdll = [],
  realNtdll = [],
  goCode = { begin: 0n, sizeBytes: 0 },
  emit,
}: Placing<Name>): PlacedRoutines<Name> {
  const layout = ledgerLayout(slotCount, quarantineCount, history);
  const ledgerAddress = allocate(layout.sizeBytes);
  const memory = new DataView(viewMemory(ledgerAddress, layout.sizeBytes));
  const dataAddress = allocate(DATA_SIZE_BYTES);
  const data = new DataView(viewMemory(dataAddress, DATA_SIZE_BYTES));
  const jobsAddress = allocate(JOBS_SIZE_BYTES);
  const jobs = new DataView(viewMemory(jobsAddress, JOBS_SIZE_BYTES));

  const asm = new Assembler();
  const slotLabels = linkSlots.map((name) => asm.label(name));
  const grownLabels = grownFields.map((name) => asm.label(name));
  const imports = ntdll.map((name) => ({ name, slot: asm.label(name), begin: asm.label(`fake ${name}`) }));
  const realImports = realNtdll.map((name) => ({ name, slot: asm.label(name) }));
  const notes = asm.label('notes');
  const runner = asm.label('runner');
  const routines = labelRoutines(
    asm,
    {
      linkSlots: Object.fromEntries(linkSlots.map((name, index) => [name, relative(slotLabels[index]!)])) as never,
      grown: Object.fromEntries(grownLabels.map((label) => [label.name, relative(label)])) as never,
      ntdllImport(name) {
        const found = [...imports, ...realImports].find((each) => each.name === name);
        if (found === undefined) throw new Error(`no fake of ${name}`);
        return relative(found.slot);
      },
    },
    { quarantine: quarantineCount > 0, checked: false },
  );
  emitRunner(asm, runner);
  emitFakeCaptureStack(asm, routines.environment.captureStack);
  imports.forEach(({ name, begin }, number) => emitFake(asm, begin, { number, stores: storing[name], notes }));
  const named = emit(asm, routines);
  asm.align(16);
  for (const label of [...slotLabels, ...grownLabels, ...[...imports, ...realImports].map(({ slot }) => slot), notes]) {
    asm.bind(label);
    asm.data(new Uint8Array(8));
  }
  const { bytes, offsetOf } = asm.assemble();
  const codeAddress = allocate(bytes.length);
  const addressOf = (label: Label): bigint => codeAddress + BigInt(offsetOf(label));

  const ledgerPart = (offset: number): bigint => ledgerAddress + BigInt(offset);
  const values: Readonly<Record<LinkSlot, bigint>> = {
    ledger: ledgerAddress,
    misuses: ledgerPart(layout.misusesOffset),
    runtimeObjects: ledgerPart(layout.runtimeObjectsOffset),
    walkCache: ledgerPart(layout.walkCacheOffset),
    stackPool: ledgerPart(layout.stackPoolOffset),
    slots: ledgerPart(layout.slotsOffset),
    slotCount: BigInt(slotCount),
    earlierLives: ledgerPart(layout.earlierLivesOffset),
    misuseLives: ledgerPart(layout.misuseLivesOffset),
    earlierLivesSizeBytes: BigInt(layout.earlierLivesSizeBytes),
    earlierLivesMask: BigInt((layout.history - 1) << 1),
    quarantine: ledgerPart(layout.quarantineOffset),
    quarantineMask: BigInt(Math.max(quarantineCount - 1, 0)),
    recentOpens: ledgerPart(layout.recentOpensOffset),
    closeHandle: 0n,
    closeHandleSizeBytes: 0n,
    goCode: goCode.begin,
    followsChildren: 0n,
    notesBytecode: 0n,
    requests: 0n,
    goCodeSizeBytes: BigInt(goCode.sizeBytes),
  };
  const code = new DataView(viewMemory(codeAddress, bytes.length));
  new Uint8Array(code.buffer).set(bytes);
  linkSlots.forEach((name, index) => code.setBigUint64(offsetOf(slotLabels[index]!), values[name], true));
  const grownOffset = (name: GrownField): number => offsetOf(grownLabels[grownFields.indexOf(name)]!);
  const setGrown = (name: GrownField, value: bigint): void => code.setBigUint64(grownOffset(name), value, true);
  setGrown('slotsCommitted', BigInt(slotCount));
  setGrown('stackPoolCommitted', BigInt(STACK_POOL_SIZE_BYTES));
  setGrown('stackPoolGrowAt', 2n ** 64n - 1n);
  for (const each of imports) code.setBigUint64(offsetOf(each.slot), addressOf(each.begin), true);
  for (const { name, slot } of realImports) code.setBigUint64(offsetOf(slot), ntdllAddress(name), true);
  code.setBigUint64(offsetOf(notes), dataAddress, true);
  if (!VirtualProtectEx(CURRENT_PROCESS, codeAddress, BigInt(bytes.length), PAGE_EXECUTE_READWRITE, new Uint32Array(1)))
    throw new Error('Cannot make the routines executable.');

  /** Ranges that no test writes to stay zero: the images, and the most of the pool. */
  const emptied = [
    [0, layout.imagesOffset],
    [layout.imagesOffset + IMAGE_COUNT * IMAGE_SIZE_BYTES, layout.stackPoolOffset + (4 << 20)],
    [layout.quarantineOffset, layout.sizeBytes],
  ] as const;

  const slotOffset = (value: bigint): number => layout.slotsOffset + Number(value >> 2n) * SLOT_SIZE_BYTES;

  function callAtOnce(...lists: readonly CallList<Name>[]): readonly CallResults[] {
    if (new Set(lists.map(({ calls }) => calls.length)).size !== 1)
      throw new Error('Threads that run at once make the same number of calls: they wait for each other.');
    jobs.setUint32(0, 0, true); // how often a thread has come to where the threads meet
    let end = 64;
    const offsets = lists.map(({ routine, calls }) => {
      const offset = end;
      end += JOB_HEAD_SIZE_BYTES + calls.length * CALL_SIZE_BYTES;
      if (end > JOBS_SIZE_BYTES) throw new Error('no room for so many calls');
      jobs.setBigUint64(offset, jobsAddress, true);
      jobs.setBigUint64(offset + 8, BigInt(calls.length), true);
      jobs.setBigUint64(offset + 16, addressOf(named[routine]), true);
      jobs.setBigUint64(offset + 24, BigInt(lists.length), true);
      calls.forEach((before, call) => {
        registerNames.forEach((name, index) =>
          jobs.setBigUint64(
            offset + JOB_HEAD_SIZE_BYTES + call * CALL_SIZE_BYTES + index * 8,
            BigInt.asUintN(64, before[name] ?? UNSET + BigInt(index)),
            true,
          ),
        );
      });
      return offset;
    });
    const threads = offsets.map((offset) => {
      const threadId = new Uint32Array(1);
      const handle = CreateThread(0n, 0n, addressOf(runner), jobsAddress + BigInt(offset), 0, threadId);
      if (handle === 0n) throw new Error('Cannot start a thread.');
      return { handle, threadId: threadId[0]! };
    });
    return threads.map(({ handle, threadId }, thread) => {
      if (WaitForSingleObject(handle, HANG_MS) !== 0) throw new Error('The routine does not return.');
      CloseHandle(handle);
      const { calls } = lists[thread]!;
      const after = calls.map((_, call) => {
        const offset = offsets[thread]! + JOB_HEAD_SIZE_BYTES + call * CALL_SIZE_BYTES;
        return Object.fromEntries(
          registerNames.map((name, index) => [name, jobs.getBigUint64(offset + index * 8, true)]),
        ) as Registers;
      });
      return { threadId, after };
    });
  }

  return {
    layout,
    memory,
    ledgerAddress,
    data,
    dataAddress,
    slotOffset,
    callAtOnce,
    slotBytes: (value) => [...new Uint8Array(memory.buffer, slotOffset(value), SLOT_SIZE_BYTES)],
    reset() {
      for (const [begin, end] of emptied) new Uint8Array(memory.buffer, begin, end - begin).fill(0);
      new Uint8Array(data.buffer).fill(0);
      const ledger = new Ledger((offset, sizeBytes) => new DataView(memory.buffer, offset, sizeBytes), layout);
      ledger.initialise();
      return ledger;
    },
    call(routine, before) {
      const [results] = callAtOnce({ routine, calls: [before] });
      const after = results!.after[0]!;
      for (const [index, name] of registerNames.entries())
        if ((nonVolatile as readonly string[]).includes(name) && after[name] !== UNSET + BigInt(index))
          throw new Error(`${routine} has changed ${name}, which its caller still needs.`);
      return { ...after, threadId: results!.threadId };
    },
    script(...results) {
      for (let index = 0; index < fake.resultCount; index++) {
        const { status, stores = 0n } = results[Math.min(index, results.length - 1)]!;
        data.setUint32(fake.results + index * 16, status, true);
        data.setBigUint64(fake.results + index * 16 + 8, BigInt.asUintN(64, stores), true);
      }
    },
    grown: (name) => code.getBigUint64(grownOffset(name), true),
    setGrown,
    faked() {
      return Array.from({ length: data.getUint32(fake.count, true) }, (_, index) => {
        const offset = fake.notes + index * fake.noteSizeBytes;
        const word = (at: number) => data.getBigInt64(offset + at * 8, true);
        const args = [word(1), word(2), word(3), word(4)] as const;
        return { name: ntdll[Number(word(0))]!, args, sixth: word(5), seventh: word(6) };
      });
    },
  };
}

function allocate(sizeBytes: number): bigint {
  const address = VirtualAllocEx(CURRENT_PROCESS, 0n, BigInt(sizeBytes), MEM_COMMIT_RESERVE, PAGE_READWRITE);
  if (address === 0n) throw new Error(`Cannot allocate ${sizeBytes} bytes.`);
  return address;
}
