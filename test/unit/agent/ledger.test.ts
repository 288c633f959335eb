import { beforeEach, describe, expect, test } from 'vitest';
import { REQUEST_COUNT, REQUEST_SIZE_BYTES } from '../../../src/agent/ledger/request.ts';
import { type ObjectType, typeIndex } from '../../../src/agent/tables/object-types.ts';
import { hookTable } from '../../../src/agent/tables/hook-table.ts';
import {
  ELSEWHERE_OFFSET,
  header,
  MAXIMUM_FRAMES,
  MAY_BE_INHERITABLE,
  slot,
  SLOT_SIZE_BYTES,
  STACK_INDEX_OFFSET,
  STACK_POOL_SIZE_BYTES,
  stackNode,
} from '../../../src/agent/ledger/layout.ts';
import {
  DESCRIPTOR_KEY,
  RUNTIME_OBJECT_COUNT,
  RUNTIME_OBJECT_SIZE_BYTES,
  runtimeObject,
} from '../../../src/agent/ledger/runtime-object.ts';
import { image, IMAGE_COUNT, IMAGE_SIZE_BYTES } from '../../../src/agent/ledger/image.ts';
import { MISUSE_COUNT, MISUSE_SIZE_BYTES } from '../../../src/agent/ledger/misuse.ts';
import { objectTypes } from '../../../src/agent/tables/object-types.ts';
import type { Ledger } from '../../../src/agent/ledger/ledger.ts';
import { LedgerDamagedError } from '../../../src/agent/ledger/ledger-damaged-error.ts';
import {
  closed,
  emptyLedger,
  layout,
  linkRuntimeObject,
  opened,
  recordSlot,
  rowNumber,
  SLOT_COUNT,
  type SlotContent,
  slotOffset,
  view,
  writeSlot,
  writeStack,
} from './written-ledger.ts';
import {
  CLOSED_ELSEWHERE,
  elsewhere,
  ELSEWHERE_COUNT,
  ELSEWHERE_SIZE_BYTES,
  OPENED_ELSEWHERE,
} from '../../../src/agent/ledger/elsewhere.ts';

let ledger: Ledger;
beforeEach(() => {
  ledger = emptyLedger();
});

test('the parts of a ledger follow each other without overlap, aligned to a cache line', () => {
  const offsets = [
    layout.misusesOffset,
    layout.imagesOffset,
    layout.runtimeObjectsOffset,
    ELSEWHERE_OFFSET,
    layout.walkCacheOffset,
    STACK_INDEX_OFFSET,
    layout.stackPoolOffset,
    layout.slotsOffset,
    layout.earlierLivesOffset,
    layout.misuseLivesOffset,
  ];
  expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
  for (const offset of offsets) expect(offset % 64).toBe(0);
  expect(layout.misusesOffset + MISUSE_COUNT * MISUSE_SIZE_BYTES).toBe(layout.imagesOffset);
  expect(layout.imagesOffset + IMAGE_COUNT * IMAGE_SIZE_BYTES).toBe(layout.runtimeObjectsOffset);
  expect(layout.runtimeObjectsOffset + RUNTIME_OBJECT_COUNT * RUNTIME_OBJECT_SIZE_BYTES).toBe(ELSEWHERE_OFFSET);
  expect(ELSEWHERE_OFFSET + ELSEWHERE_COUNT * ELSEWHERE_SIZE_BYTES).toBe(layout.requestsOffset);
  expect(layout.requestsOffset + REQUEST_COUNT * REQUEST_SIZE_BYTES).toBe(layout.walkCacheOffset);
  expect(layout.stackPoolOffset + STACK_POOL_SIZE_BYTES).toBe(layout.slotsOffset);
  expect(layout.slotsOffset + SLOT_COUNT * SLOT_SIZE_BYTES).toBe(layout.earlierLivesOffset);
  const { earlierLivesSizeBytes } = layout;
  expect(layout.earlierLivesOffset + SLOT_COUNT * earlierLivesSizeBytes).toBe(layout.misuseLivesOffset);
  expect(layout.misuseLivesOffset + MISUSE_COUNT * earlierLivesSizeBytes).toBe(layout.sizeBytes);
});

describe('the life of a handle value', () => {
  test.each<{ what: string; content: SlotContent; life: object | undefined }>([
    {
      what: 'that is open',
      content: { generation: 1n, isOpen: true },
      life: { isOpen: true, generation: 1n, objectType: 'Event', opened, closed: undefined },
    },
    {
      what: 'that was opened again after a close',
      content: { generation: 7n, isOpen: true, closedGeneration: 6 },
      life: { isOpen: true, generation: 7n, objectType: 'Event', opened, closed: undefined },
    },
    {
      what: 'that is closed',
      content: { generation: 7n, isOpen: false, closedGeneration: 7 },
      life: { isOpen: false, generation: 7n, objectType: 'Event', opened, closed },
    },
    {
      what: 'whose close is not written down yet',
      content: { generation: 7n, isOpen: false, closedGeneration: 6 },
      life: { isOpen: false, generation: 7n, objectType: 'Event', opened, closed: undefined },
    },
    {
      what: 'that was closed although its opening was not seen',
      content: { generation: 8n, isOpen: false, openedGeneration: 7, closedGeneration: 8 },
      life: { isOpen: false, generation: 8n, objectType: 'Unknown', opened: undefined, closed },
    },
    {
      what: 'after more than 2^32 openings',
      content: { generation: 0x1_0000_0005n, isOpen: true },
      life: { isOpen: true, generation: 0x1_0000_0005n, objectType: 'Event', opened, closed: undefined },
    },
  ])('$what', ({ content, life }) => {
    recordSlot(0x1a4n, content);
    expect(ledger.life(0x1a4n)).toEqual(life);
  });

  test('that was never seen is not there', () => {
    expect(ledger.life(0x1a4n)).toBeUndefined();
  });

  test.each([-1n, -2n, -6n, BigInt(SLOT_COUNT * 4), 0x7fff_ffff_ffff_fffcn, -0x8000_0000_0000_0000n])(
    'is not there for the value %s, which has no slot',
    (value) => {
      expect(ledger.life(value)).toBeUndefined();
    },
  );

  test.each([0x1a4n, 0x1a5n, 0x1a6n, 0x1a7n])(
    'is the same whatever the application keeps in its two low bits: %s',
    (value) => {
      recordSlot(0x1a4n, { generation: 3n, isOpen: true });
      expect(ledger.life(value)?.generation).toBe(3n);
    },
  );

  test('that was open before recording began has no opening call', () => {
    ledger.markOpenBefore(0x40n, 'File');
    expect(ledger.life(0x40n)).toMatchObject({
      isOpen: true,
      objectType: 'File',
      opened: { call: undefined, stackId: 0 },
    });
    expect(ledger.totals()).toEqual({ opens: 0, closes: 0 });
  });
});

test('what is open is counted by type, with what was open before, and a type that there is not is unknown', () => {
  ledger.markOpenBefore(0x40n, 'File');
  for (const value of [4n, 8n, 12n]) recordSlot(value, { generation: 2n, isOpen: value !== 8n });
  view.setUint16(slotOffset(12n) + slot.objectType, 0xffff, true);
  expect([...ledger.openByType()].toSorted()).toEqual([
    ['Event', 1],
    ['File', 1],
    ['Unknown', 1],
  ]);
});

test('open values and totals are those of all slots in use', () => {
  recordSlot(0x4n, { generation: 3n, isOpen: true });
  recordSlot(0x8n, { generation: 5n, isOpen: false, closedGeneration: 5 });
  recordSlot(BigInt((SLOT_COUNT - 1) * 4), { generation: 0x1_0000_0000n, isOpen: true });
  expect([...ledger.openValues()]).toEqual([0x4n, BigInt((SLOT_COUNT - 1) * 4)]);
  expect(ledger.totals()).toEqual({ opens: 0x1_0000_0008, closes: 0x1_0000_0006 });
});

test('what was closed while the process exited is told apart, once it does exit', () => {
  recordSlot(0x4n, { generation: 1n, isOpen: false, closedGeneration: 1, closedWhileExiting: true });
  recordSlot(0x8n, { generation: 1n, isOpen: false, closedGeneration: 1 });
  expect([...ledger.valuesClosedWhileExiting()]).toEqual([]);
  expect(ledger.exitingTime()).toBeUndefined();
  view.setUint32(header.exiting, 1, true);
  view.setBigUint64(header.exitingTime, 1500n, true);
  expect([...ledger.valuesClosedWhileExiting()]).toEqual([0x4n]);
  expect(ledger.exitingTime()).toBe(1500n);
});

describe('the end of the process', () => {
  test('is unknown until a thread makes it', () => {
    expect([ledger.exit(), ledger.threadAtGate()]).toEqual([undefined, undefined]);
  });

  test.each([
    ['by a call has its stack', 0, 0n, { threadId: 12, byException: false, stackId: 2 }],
    ['by a handle has that', 0, 0x44n, { threadId: 12, byException: false, stackId: 2, handle: 0x44n }],
    ['by an exception is told from one by a call', 1, 0n, { threadId: 12, byException: true, stackId: 2 }],
  ])('%s', (_, byException, handle, exit) => {
    view.setBigUint64(header.exitHandle, handle, true);
    view.setUint32(header.exitThread, 12, true);
    view.setUint32(header.exitStack, 2, true);
    view.setUint32(header.exitByException, byException, true);
    expect(ledger.exit()).toEqual(exit);
  });

  test('has the place of the stack that waits at the gate', () => {
    view.setUint32(header.gateThread, 12, true);
    view.setBigUint64(header.gateStackPointer, 0x7_1230n, true);
    expect(ledger.threadAtGate()).toEqual({ threadId: 12, stackPointer: 0x7_1230n });
  });
});

test('the openings of closed values are those of the threads that are asked for', () => {
  recordSlot(0x4n, { generation: 1n, isOpen: false, closedGeneration: 1 });
  recordSlot(0x8n, { generation: 1n, isOpen: true });
  const { threadId, time } = ledger.life(0x4n)!.opened!;
  expect([...ledger.openingsOfClosed(new Set([threadId + 1]))]).toEqual([]);
  expect([...ledger.openingsOfClosed(new Set([threadId]))].map((opened) => opened.time)).toEqual([time]);
});

describe('a stack', () => {
  test('is the return addresses from the innermost on, without those of the agent', () => {
    writeStack(2, [0x1000n, 0x7000_1234n, 0x2000n]);
    expect(ledger.stack(2)).toEqual([0x1000n, 0x7000_1234n, 0x2000n]);
    ledger.hideAgent(0x7000_0000n, 0x1235);
    expect(ledger.stack(2)).toEqual([0x1000n, 0x2000n]);
    ledger.hideAgent(0x7000_0000n, 0x1234);
    expect(ledger.stack(2), 'the byte behind the agent').toHaveLength(3);
  });

  test('knows where handles that it opened are closed', () => {
    writeStack(2, [0x1000n], 50);
    expect([ledger.closedBy(2), ledger.closedBy(0)]).toEqual([50, 0]);
  });

  test('knows the type that each opened', () => {
    writeStack(2, [0x1000n]);
    view.setUint16(layout.stackPoolOffset + 2 * 8 + stackNode.openedType, objectTypes.indexOf('Key'), true);
    writeStack(5, [0x1000n]);
    view.setUint16(layout.stackPoolOffset + 5 * 8 + stackNode.openedType, 0xffff, true);
    expect([2, 5, 0, -1].map((id) => ledger.typeOpenedBy(id))).toEqual(['Key', 'Unknown', 'Unknown', 'Unknown']);
  });

  test.each([0, -1, STACK_POOL_SIZE_BYTES / 8, STACK_POOL_SIZE_BYTES / 8 - MAXIMUM_FRAMES, 0xffff_ffff])(
    'with the id %i is empty',
    (id) => {
      expect(ledger.stack(id)).toEqual([]);
      expect(ledger.closedBy(id)).toBe(0);
    },
  );

  test('has no more frames than the agent walks', () => {
    writeStack(
      2,
      Array.from({ length: MAXIMUM_FRAMES + 5 }, () => 0x1000n),
    );
    expect(ledger.stack(2)).toHaveLength(MAXIMUM_FRAMES);
  });
});

describe('what stands for a handle', () => {
  beforeEach(() => recordSlot(0x1a4n, { generation: 1n, isOpen: true }));

  test('is a descriptor of one of the C runtimes', () => {
    linkRuntimeObject(0x1a4n, 5, { key: DESCRIPTOR_KEY | (3n << 32n) | 7n });
    expect(ledger.wrapperOf(0x1a4n)).toEqual({ type: 'Descriptor', value: 7n });
  });

  test('is a FILE, which has a descriptor', () => {
    linkRuntimeObject(0x1a4n, 5, { key: DESCRIPTOR_KEY | 7n });
    linkRuntimeObject(0x1a4n, 9, { key: 0x2283_06250n, descriptor: 6 });
    expect(ledger.wrapperOf(0x1a4n)).toEqual({ type: 'FILE', value: 0x2283_06250n, descriptor: 7 });
  });

  test('is nothing when it stands for another handle by now, was closed, or lies outside of the table', () => {
    expect(ledger.wrapperOf(0x1a4n)).toBeUndefined();
    linkRuntimeObject(0x1a4n, 5, { key: DESCRIPTOR_KEY | 7n });
    view.setBigUint64(layout.runtimeObjectsOffset + 5 * RUNTIME_OBJECT_SIZE_BYTES + runtimeObject.handle, 0x1a8n, true);
    expect(ledger.wrapperOf(0x1a4n)).toBeUndefined();
    linkRuntimeObject(0x1a4n, 5, { key: DESCRIPTOR_KEY | 7n });
    writeSlot(layout.runtimeObjectsOffset + 5 * RUNTIME_OBJECT_SIZE_BYTES, { generation: 1n, isOpen: false });
    expect(ledger.wrapperOf(0x1a4n)).toBeUndefined();
    view.setUint32(slotOffset(0x1a4n) + slot.runtimeObject, RUNTIME_OBJECT_COUNT + 1, true);
    expect(ledger.wrapperOf(0x1a4n)).toBeUndefined();
  });
});

test('objects that count themselves are the open ones of their type, if any was ever opened', () => {
  const write = (index: number, key: bigint, isOpen: boolean, type: ObjectType): void => {
    const offset = layout.runtimeObjectsOffset + index * RUNTIME_OBJECT_SIZE_BYTES;
    writeSlot(offset, { generation: 1n, isOpen, openedGeneration: 1 });
    view.setUint16(offset + slot.objectType, typeIndex(type), true);
    view.setBigUint64(offset + runtimeObject.key, key, true);
  };
  write(5, 0x34_6060n, true, 'PseudoConsole');
  write(6, 0x34_7060n, false, 'PseudoConsole');
  write(7, 0x34_8060n, true, 'Search');
  expect([...ledger.openObjects()]).toEqual([]);
  view.setUint32(header.standaloneObjects, 2, true);
  expect([...ledger.openObjects()]).toMatchObject([{ value: 0x34_6060n, life: { objectType: 'PseudoConsole' } }]);
  expect(ledger.openByType().get('PseudoConsole')).toBe(1);
});

test('images are named as the kernel spells them; one that is not complete, or has no room, is left out', () => {
  const write = (index: number, base: bigint, path: string) => {
    const offset = layout.imagesOffset + index * IMAGE_SIZE_BYTES;
    view.setBigUint64(offset + image.base, base, true);
    view.setUint32(offset + image.sizeBytes, 0x5000, true);
    view.setUint16(offset + image.path, path.length * 2, true);
    [...path].forEach((character, at) =>
      view.setUint16(offset + image.pathText + at * 2, character.charCodeAt(0), true),
    );
  };
  write(0, 0x1_8000_0000n, '\\??\\C:\\windows\\a.dll');
  write(1, 0n, '\\??\\C:\\half-written.dll');
  write(2, 0x1_9000_0000n, '\\??\\C:\\ü.dll');
  view.setUint32(header.imageCount, 3, true);
  expect([...ledger.images()]).toEqual([
    { base: 0x1_8000_0000n, sizeBytes: 0x5000, path: '\\??\\C:\\windows\\a.dll' },
    { base: 0x1_9000_0000n, sizeBytes: 0x5000, path: '\\??\\C:\\ü.dll' },
  ]);
  view.setUint32(header.imageCount, 0xffff_ffff, true);
  expect([...ledger.images()]).toHaveLength(2);
});

test('the handles that the exit gate has opened are the recorder’s own, and no other is', () => {
  expect([0n, 0x4n].map(ledger.recordersOwn())).toEqual([false, false]);
  view.setBigInt64(header.gateHandles, 0x1a4n, true);
  view.setBigInt64(header.gateHandles + 8, 0x1a8n, true);
  expect([0n, 0x4n, 0x1a4n, 0x1a8n].map(ledger.recordersOwn())).toEqual([false, false, true, true]);
});

test('a handle that was lent is the recorder’s own until all are taken back', () => {
  ledger.lent.note('judged', 0x1a4n);
  ledger.lent.note('stops', 0x1a8n);
  expect(ledger.lent.values()).toEqual([0x1a4n, 0x1a8n]);
  expect([0n, 0x4n, 0x1a4n, 0x1a8n].map(ledger.recordersOwn())).toEqual([false, false, true, true]);
  ledger.lent.clear();
  expect([0x1a4n, 0x1a8n].map(ledger.recordersOwn())).toEqual([false, false]);
});

describe('a ledger is refused', () => {
  test.each<[string, () => void, RegExp]>([
    ['without its first word', () => view.setUint8(header.magic, 0), /its first word is wrong/],
    [
      'with another number of slots',
      () => view.setBigUint64(header.slotCount, 1025n, true),
      /its number of slots is wrong/,
    ],
    [
      'that uses more slots than it has',
      () => view.setBigUint64(header.slotsUsed, 1025n, true),
      /its number of used slots is wrong/,
    ],
  ])('%s', (_what, damage, message) => {
    damage();
    expect(() => ledger.check()).toThrow(LedgerDamagedError);
    expect(() => ledger.check()).toThrow(message);
  });
});

test('every row of the hook table can be read back, whether what it opened may be inheritable or not', () => {
  for (const { name } of hookTable) {
    recordSlot(0x4n, { generation: 1n, isOpen: true, call: name });
    expect(ledger.life(0x4n)?.opened?.call).toBe(name);
    view.setUint16(slotOffset(0x4n) + slot.openedCall, rowNumber(name) | MAY_BE_INHERITABLE, true);
    expect(ledger.life(0x4n)?.opened?.call).toBe(name);
  }
});

describe('the calls about handles of other processes', () => {
  const entry = (index: number, key: bigint): void => {
    const offset = ELSEWHERE_OFFSET + index * ELSEWHERE_SIZE_BYTES;
    view.setBigUint64(offset + elsewhere.key, key, true);
    view.setBigUint64(offset + elsewhere.time, 7n, true);
    view.setUint16(offset + elsewhere.objectType, typeIndex('Event'), true);
    view.setUint16(offset + elsewhere.call, rowNumber('NtDuplicateObject'), true);
  };
  const count = (calls: number): void => view.setUint32(header.callsElsewhere, calls, true);

  test('are read with process, value and kind', () => {
    count(2);
    entry(0, (48n << 32n) | 0x1cn | BigInt(OPENED_ELSEWHERE));
    entry(ELSEWHERE_COUNT - 1, (0xffff_fffcn << 32n) | 0xffff_fffcn | BigInt(CLOSED_ELSEWHERE));
    const call = { call: 'NtDuplicateObject', threadId: 0, time: 7n, stackId: 0 };
    expect([...ledger.callsElsewhere()]).toEqual([
      { kind: 'opened', processId: 48, value: 0x1cn, objectType: 'Event', call },
      { kind: 'closed', processId: 0xffff_fffc, value: 0xffff_fffcn, objectType: 'Event', call },
    ]);
  });

  test('are none where the kind makes no sense, and where none was made', () => {
    entry(0, (48n << 32n) | 0x1fn);
    entry(1, (48n << 32n) | 0x1cn);
    expect([...ledger.callsElsewhere()]).toEqual([]);
    count(1);
    expect([...ledger.callsElsewhere()]).toEqual([]);
  });
});
