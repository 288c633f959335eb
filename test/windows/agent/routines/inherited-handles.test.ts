import { beforeEach, describe, expect, test } from 'vitest';

import { recordedCalls } from '../../../../src/agent/tables/function-table.ts';
import { at, teb } from '../../../../src/agent/asm/operands.ts';
import { eax, r11 } from '../../../../src/agent/asm/registers.ts';
import { tebField } from '../../../../src/agent/emit/abi/teb.ts';
import { emitNoteInherited } from '../../../../src/agent/emit/recorder/inherited-handles.ts';
import { header, MAY_BE_INHERITABLE, slot, STATE_QUARANTINED } from '../../../../src/agent/ledger/layout.ts';
import { INHERITED_COUNT } from '../../../../src/agent/ledger/misuse.ts';
import type { Ledger } from '../../../../src/agent/ledger/ledger.ts';
import { emitMisuseRoutines } from './misuse-routines.ts';
import { placeRoutines } from './placed-routines.ts';

const VALUE = 0x1a4n;
const BEGAN = 2000n;
const CHANGES = 7;
const CREATE_EVENT = recordedCalls.findIndex(({ name }) => name === 'NtCreateEvent') + 1;
const CREATE_PROCESS = BigInt(recordedCalls.findIndex(({ name }) => name === 'NtCreateUserProcess') + 1);
const STATUS_INVALID_HANDLE = 0xc000_0008;
const INHERITS = { status: 0, stores: 1n };

/** In the data: the return address with the arguments behind it, and what two of them point to. */
const [STACK, PARAMETERS, ATTRIBUTES] = [0x1000, 0x2000, 0x4000];
const PARAMETERS_SIZE_BYTES = 0x400;
const RUNTIME_DATA = PARAMETERS + 0x200;

const routines = placeRoutines({
  slotCount: 4096,
  ntdll: ['NtQueryObject'],
  realNtdll: ['NtAllocateVirtualMemory'],
  emit(asm, { environment }) {
    emitNoteInherited(asm, environment.noteInherited, environment);
    emitMisuseRoutines(asm, environment);
    // A test does not know the id of its thread: the thread itself writes it to the place in r11.
    const noteOwn = asm.label('noteOwn');
    asm.bind(noteOwn);
    asm.mov(eax, teb(tebField.threadId));
    asm.mov(at(r11), eax);
    asm.jmp(environment.noteInherited);
    return { noteInherited: environment.noteInherited, noteOwn };
  },
});
const { data, dataAddress, memory } = routines;
const pointer = (offset: number) => dataAddress + BigInt(offset);

/** An argument of NtCreateUserProcess. */
const setArgument = (index: number, value: bigint) => data.setBigUint64(STACK + 8 + index * 8, value, true);

interface Opened {
  readonly state?: bigint;
  readonly call?: number;
  readonly time?: bigint;
}

function setSlot(value: bigint, { state = 3n, call = CREATE_EVENT | MAY_BE_INHERITABLE, time = 1000n }: Opened = {}) {
  const offset = routines.slotOffset(value);
  memory.setBigUint64(offset + slot.state, state, true);
  memory.setBigUint64(offset + slot.openedTime, time, true);
  memory.setUint16(offset + slot.openedCall, call, true);
  const used = memory.getBigUint64(header.slotsUsed, true);
  if (value >> 2n >= used) memory.setBigUint64(header.slotsUsed, (value >> 2n) + 1n, true);
}

let ledger: Ledger;
beforeEach(() => {
  ledger = routines.reset();
  memory.setUint32(header.inheritanceChanges, CHANGES, true);
  setArgument(6, 4n); // ULONG ProcessFlags: PROCESS_CREATE_FLAGS_INHERIT_HANDLES
  routines.script(INHERITS);
});

const registers = { rcx: BEGAN, rdx: BigInt(CHANGES), r8: pointer(STACK), r9: CREATE_PROCESS };
const noteInherited = () => routines.call('noteInherited', registers);
const inherited = () => [...ledger.inheritances()].flatMap(({ values }) => values);
const asked = () => routines.faked().map(({ args }) => args[0]);

test('a handle that was open and inheritable before the call is recorded, with the start of the process', () => {
  setSlot(VALUE);
  noteInherited();
  expect([...ledger.inheritances()]).toMatchObject([
    {
      count: 1,
      values: [VALUE],
      asDescriptor: false,
      started: { call: 'NtCreateUserProcess' },
      life: { generation: 1n },
    },
  ]);
  expect(asked()).toEqual([VALUE]);
  expect(memory.getUint32(header.inheritedRecords, true)).toBe(1);
  expect(ledger.counter('inheritedCut')).toBe(0);
});

test('a handle that this thread opened was there, whatever the clock says', () => {
  setSlot(VALUE, { time: BEGAN });
  const openedThread = routines.ledgerAddress + BigInt(routines.slotOffset(VALUE) + slot.openedThread);
  routines.call('noteOwn', { ...registers, r11: openedThread });
  expect(inherited()).toEqual([VALUE]);
});

describe('the kernel is not asked about a handle', () => {
  test.each<[what: string, opened: Opened]>([
    ['that was opened as one that is not inheritable', { call: CREATE_EVENT }],
    ['that was open before recording began', { call: MAY_BE_INHERITABLE }],
    ['that another thread opened as the call began', { time: BEGAN }],
    ['that is closed', { state: 2n }],
    ['whose value is quarantined', { state: STATE_QUARANTINED | 3n }],
  ])('%s', (_what, opened) => {
    setSlot(VALUE, opened);
    noteInherited();
    expect([asked(), inherited()]).toEqual([[], []]);
  });

  test.each([0, 1, 2])('that is standard handle %i of the child', (index) => {
    setSlot(VALUE);
    setArgument(8, pointer(PARAMETERS));
    data.setBigUint64(PARAMETERS + 0x20 + index * 8, VALUE, true);
    noteInherited();
    expect(asked()).toEqual([]);
  });
});

test.each([
  ['is not inheritable', { status: 0, stores: 0x100n }],
  ['is closed by now', { status: STATUS_INVALID_HANDLE }],
])('a handle that %s, by the kernel, is not recorded', (_what, answer) => {
  setSlot(VALUE);
  routines.script(answer);
  noteInherited();
  expect([asked(), inherited()]).toEqual([[VALUE], []]);
});

describe('nothing is inherited', () => {
  /** PS_ATTRIBUTE_LIST: SIZE_T TotalLength, then 32 bytes for each. */
  function setAttributes(attributes: readonly number[], count = attributes.length): void {
    setArgument(10, pointer(ATTRIBUTES));
    data.setBigUint64(ATTRIBUTES, BigInt(8 + count * 32), true);
    attributes.forEach((each, index) => data.setBigUint64(ATTRIBUTES + 8 + index * 32, BigInt(each), true));
  }
  const [IMAGE_NAME, HANDLE_LIST, PARENT_PROCESS] = [0x2_0005, 0x2_000b, 0x6_0000];

  test('without the flag that says so', () => {
    setSlot(VALUE);
    setArgument(6, ~4n & 0xffff_ffffn);
    noteInherited();
    expect(asked()).toEqual([]);
  });

  test.each<[what: string, attributes: readonly number[], count: number, seen: readonly bigint[]]>([
    ['from this process when the child has another parent', [IMAGE_NAME, PARENT_PROCESS], 2, []],
    ['beside a list of handles', [HANDLE_LIST], 1, []],
    ['where the list of attributes is longer than there are attributes', [], 65, []],
    ['but all of it where the attributes are others', [IMAGE_NAME], 1, [VALUE]],
    ['but all of it where a handle list lies behind the end', [IMAGE_NAME, HANDLE_LIST], 1, [VALUE]],
    ['but all of it where there are as many attributes as there may be', [], 64, [VALUE]],
  ])('%s', (_what, attributes, count, seen) => {
    setSlot(VALUE);
    setAttributes(attributes, count);
    noteInherited();
    expect(asked()).toEqual(seen);
  });
});

describe('a descriptor for the C runtime of the child', () => {
  /** Writes STARTUPINFO.lpReserved2 as the kernel sees it: {int count, BYTE flags[count], HANDLE handles[count]}. */
  function setRuntimeData(changes: { count?: number; length?: number; buffer?: number; flags?: number } = {}): void {
    const { count = 2, length = 4 + 2 * 9, buffer = RUNTIME_DATA, flags = 1 } = changes;
    setArgument(8, pointer(PARAMETERS));
    data.setUint32(PARAMETERS, PARAMETERS_SIZE_BYTES, true); // ULONG MaximumLength
    data.setUint32(PARAMETERS + 8, flags, true); // ULONG Flags: RTL_USER_PROC_PARAMS_NORMALIZED
    data.setUint16(PARAMETERS + 0xe0, length, true); // USHORT RuntimeData.Length
    data.setBigUint64(PARAMETERS + 0xe8, pointer(buffer), true); // PWSTR RuntimeData.Buffer
    data.setUint32(buffer, count, true);
    data.setBigUint64(buffer + 4 + count + (count - 1) * 8, VALUE, true);
  }

  test.each<[what: string, changes: Parameters<typeof setRuntimeData>[0], asDescriptor: boolean]>([
    ['is one whose handle the data name', {}, true],
    ['is none in data that are too short for their count', { length: 4 + 2 * 9 - 1 }, false],
    ['is none in data that are too short for a count', { length: 3 }, false],
    ['is none in data that end behind the block', { buffer: PARAMETERS + PARAMETERS_SIZE_BYTES - 21 }, false],
    ['is one in data that end with the block', { buffer: PARAMETERS + PARAMETERS_SIZE_BYTES - 22 }, true],
    ['is none in data that lie before the block', { buffer: PARAMETERS - 0x100 }, false],
    ['is none where there are offsets in place of pointers', { flags: 0 }, false],
  ])('%s', (_what, changes, asDescriptor) => {
    setSlot(VALUE);
    setRuntimeData(changes);
    noteInherited();
    expect([...ledger.inheritances()]).toMatchObject([{ values: [VALUE], asDescriptor }]);
  });
});

describe('the record is cut, and that is counted', () => {
  test('when a thread has asked for a change of what is inheritable', () => {
    setSlot(VALUE);
    memory.setUint32(header.inheritanceChanges, CHANGES + 1, true);
    noteInherited();
    expect([inherited(), ledger.counter('inheritedCut')]).toEqual([[], 1]);
  });

  test.each([
    [INHERITED_COUNT - 1, [VALUE], 0],
    [INHERITED_COUNT, [], 1],
  ])('when there are %i records: %s is recorded', (records, values, cut) => {
    setSlot(VALUE);
    memory.setUint32(header.inheritedRecords, records, true);
    noteInherited();
    expect([inherited(), ledger.counter('inheritedCut')]).toEqual([values, cut]);
  });

  test.each([
    [1024, 0],
    [1025, 1],
  ])('after 1024 questions to the kernel: of %i handles; counted %i times', (count, cut) => {
    for (let index = 1; index <= count; index++) setSlot(BigInt(index * 4));
    routines.script({ status: STATUS_INVALID_HANDLE });
    noteInherited();
    expect([asked().length, ledger.counter('inheritedCut')]).toEqual([1024, cut]);
  });
});
