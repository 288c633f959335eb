import { beforeEach, describe, expect, test } from 'vitest';

import { mayHideFindings } from '../../../src/completeness.ts';
import { recordedCalls } from '../../../src/agent/tables/function-table.ts';
import { hookTable } from '../../../src/agent/tables/hook-table.ts';
import { objectTypes } from '../../../src/agent/tables/object-types.ts';
import {
  DESCRIPTOR_KEY,
  header,
  image,
  IMAGE_COUNT,
  IMAGE_SIZE_BYTES,
  INHERITED_BY_NAME,
  ledgerLayout,
  MAXIMUM_FRAMES,
  MAY_BE_INHERITABLE,
  misuse,
  MISUSE_COUNT,
  MISUSE_INHERITED,
  MISUSE_SIZE_BYTES,
  MISUSE_VALUE_COUNT,
  RUNTIME_OBJECT_COUNT,
  RUNTIME_OBJECT_SIZE_BYTES,
  runtimeObject,
  slot,
  SLOT_SIZE_BYTES,
  STACK_INDEX_OFFSET,
  STACK_POOL_SIZE_BYTES,
  stackNode,
} from '../../../src/agent/ledger/layout.ts';
import { Ledger, LedgerDamagedError } from '../../../src/agent/ledger/ledger.ts';
import { seededRandom } from './random.ts';

const SLOT_COUNT = 1024;
const layout = ledgerLayout(SLOT_COUNT);
const memory = new ArrayBuffer(layout.sizeBytes);
const view = new DataView(memory);
const bytes = new Uint8Array(memory);
const typeIndex = (name: (typeof objectTypes)[number]) => objectTypes.indexOf(name);
const rowNumber = (name: string) => recordedCalls.findIndex((row) => row.name === name) + 1;

/** The ranges that any test writes to; all else stays zero. */
const written: readonly (readonly [offset: number, sizeBytes: number])[] = [
  [0, layout.imagesOffset + 8 * IMAGE_SIZE_BYTES],
  [layout.runtimeObjectsOffset, 64 * RUNTIME_OBJECT_SIZE_BYTES],
  [layout.stackPoolOffset, 0x1_0000],
  [layout.slotsOffset, SLOT_COUNT * SLOT_SIZE_BYTES],
];

let ledger: Ledger;
beforeEach(() => {
  for (const [offset, sizeBytes] of written) bytes.fill(0, offset, offset + sizeBytes);
  ledger = new Ledger((offset, sizeBytes) => new DataView(memory, offset, sizeBytes), layout);
  ledger.initialise();
});

function writeStack(id: number, frames: readonly bigint[], closedBy = 0): void {
  const offset = layout.stackPoolOffset + id * 8;
  view.setUint32(offset + stackNode.frameCount, frames.length, true);
  view.setUint32(offset + stackNode.closedBy, closedBy, true);
  frames.forEach((frame, index) => view.setBigUint64(offset + stackNode.frames + index * 8, frame, true));
}

interface SlotContent {
  readonly generation: bigint;
  readonly isOpen: boolean;
  readonly openedGeneration?: number;
  readonly closedGeneration?: number;
  readonly closedWhileExiting?: boolean;
  readonly call?: string;
}

/** Writes a slot as the agent does; `offset` is the slot's, or that of a copy in a misuse. */
function writeSlot(offset: number, content: SlotContent): void {
  view.setBigUint64(offset + slot.state, (content.generation << 1n) | (content.isOpen ? 1n : 0n), true);
  view.setUint32(offset + slot.openedStack, 2, true);
  view.setUint32(
    offset + slot.openedGeneration,
    content.openedGeneration ?? Number(content.generation & 0xffff_ffffn),
    true,
  );
  view.setBigUint64(offset + slot.openedTime, 1000n, true);
  view.setUint32(offset + slot.openedThread, 0x24, true);
  view.setUint16(offset + slot.openedCall, rowNumber(content.call ?? 'NtCreateEvent'), true);
  view.setUint16(offset + slot.objectType, typeIndex('Event'), true);
  view.setUint32(offset + slot.closedStack, 50, true);
  view.setUint32(offset + slot.closedGeneration, content.closedGeneration ?? 0, true);
  view.setBigUint64(offset + slot.closedTime, 2000n, true);
  view.setUint32(offset + slot.closedThread, 0x28, true);
  view.setUint16(offset + slot.closedCall, rowNumber('NtClose'), true);
  view.setUint16(offset + slot.closedWhileExiting, content.closedWhileExiting ? 1 : 0, true);
}

function slotOffset(value: bigint): number {
  return layout.slotsOffset + Number(value >> 2n) * SLOT_SIZE_BYTES;
}

function recordSlot(value: bigint, content: SlotContent): void {
  writeSlot(slotOffset(value), content);
  const used = view.getBigUint64(header.slotsUsed, true);
  if ((value >> 2n) + 1n > used) view.setBigUint64(header.slotsUsed, (value >> 2n) + 1n, true);
}

/** Lets a runtime object stand for a handle, as the agent does. */
function linkRuntimeObject(
  value: bigint,
  index: number,
  { key, descriptor = 0 }: { readonly key: bigint; readonly descriptor?: number },
): void {
  const offset = layout.runtimeObjectsOffset + index * RUNTIME_OBJECT_SIZE_BYTES;
  writeSlot(offset, { generation: 1n, isOpen: true });
  view.setBigUint64(offset + runtimeObject.key, key, true);
  view.setBigUint64(offset + runtimeObject.handle, value, true);
  view.setUint32(offset + runtimeObject.descriptor, descriptor, true);
  view.setUint32(slotOffset(value) + slot.runtimeObject, index + 1, true);
}

const opened = { call: 'NtCreateEvent', threadId: 0x24, time: 1000n, stackId: 2 };
const closed = { call: 'NtClose', threadId: 0x28, time: 2000n, stackId: 50 };

test('the parts of a ledger follow each other without overlap, aligned to a cache line', () => {
  const offsets = [
    layout.misusesOffset,
    layout.imagesOffset,
    layout.runtimeObjectsOffset,
    layout.walkCacheOffset,
    STACK_INDEX_OFFSET,
    layout.stackPoolOffset,
    layout.slotsOffset,
  ];
  expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
  for (const offset of offsets) expect(offset % 64).toBe(0);
  expect(layout.misusesOffset + MISUSE_COUNT * MISUSE_SIZE_BYTES).toBe(layout.imagesOffset);
  expect(layout.imagesOffset + IMAGE_COUNT * IMAGE_SIZE_BYTES).toBe(layout.runtimeObjectsOffset);
  expect(layout.runtimeObjectsOffset + RUNTIME_OBJECT_COUNT * RUNTIME_OBJECT_SIZE_BYTES).toBe(layout.walkCacheOffset);
  expect(layout.stackPoolOffset + STACK_POOL_SIZE_BYTES).toBe(layout.slotsOffset);
  expect(layout.slotsOffset + SLOT_COUNT * SLOT_SIZE_BYTES).toBe(layout.sizeBytes);
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

describe('a misuse', () => {
  const offset = layout.misusesOffset + 77 * MISUSE_SIZE_BYTES;

  function writeMisuse(valueCount: number, values: readonly number[]): void {
    view.setUint32(offset + misuse.count, 3, true);
    view.setUint32(offset + misuse.status, 0xc000_0008, true);
    view.setUint32(offset + misuse.offendingStack, 60, true);
    view.setUint32(offset + misuse.offendingThread, 0x2c, true);
    view.setBigUint64(offset + misuse.offendingTime, 3000n, true);
    view.setUint16(offset + misuse.offendingCall, rowNumber('NtSetEvent'), true);
    view.setUint16(offset + misuse.kind, 2, true);
    view.setUint32(offset + misuse.valueCount, valueCount, true);
    values.forEach((value, index) => view.setBigInt64(offset + misuse.values + index * 8, BigInt(value), true));
    writeSlot(offset + misuse.life, { generation: 4n, isOpen: false, closedGeneration: 4 });
    view.setUint32(offset + misuse.ready, 1, true);
  }

  test('is the refused call, its values without repetition, and the life that its value had had', () => {
    writeMisuse(3, [0x1a4, 0x1a8, 0x1a4]);
    expect([...ledger.misuses()]).toEqual([
      {
        kind: 'use',
        status: 0xc000_0008,
        count: 3,
        values: [0x1a4n, 0x1a8n],
        offending: { call: 'NtSetEvent', threadId: 0x2c, time: 3000n, stackId: 60 },
        byFunction: false,
        life: { isOpen: false, generation: 4n, objectType: 'Event', opened, closed },
      },
    ]);
  });

  test.each([
    [1, 'close'],
    [2, 'use'],
    [3, 'closed-as-handle'],
    [5, 'use'],
    [0xffff, 'use'],
  ] as const)('of kind %i is %s', (kind, name) => {
    writeMisuse(1, [0x1a4]);
    view.setUint16(offset + misuse.kind, kind, true);
    expect([...ledger.misuses()].map((each) => each.kind)).toEqual([name]);
  });

  test.each([
    [0, false],
    [INHERITED_BY_NAME, true],
  ])('of kind 4 is an inheritance; with status %i the child got descriptors: %s', (status, asDescriptor) => {
    writeMisuse(2, [0x1a4, 0x1a8]);
    view.setUint16(offset + misuse.kind, MISUSE_INHERITED, true);
    view.setUint32(offset + misuse.status, status, true);
    expect([...ledger.misuses()]).toEqual([]);
    expect([...ledger.inheritances()]).toMatchObject([
      { count: 3, values: [0x1a4n, 0x1a8n], asDescriptor, started: { call: 'NtSetEvent' }, life: { generation: 4n } },
    ]);
  });

  test('by a function of a DLL is told from a system call', () => {
    writeMisuse(1, [0x1a4]);
    view.setUint16(offset + misuse.offendingCall, rowNumber('closesocket'), true);
    expect([...ledger.misuses()].map(({ byFunction }) => byFunction)).toEqual([true]);
  });

  test('is left out as long as it is not complete', () => {
    writeMisuse(1, [0x1a4]);
    view.setUint32(offset + misuse.ready, 0, true);
    expect([...ledger.misuses()]).toEqual([]);
  });

  test('whose call has not come back counts like any other; one that came back unharmed is none', () => {
    writeMisuse(1, [0x1a4]);
    view.setUint32(offset + misuse.count, 0, true);
    expect([...ledger.misuses()]).toEqual([]);
    view.setUint32(offset + misuse.pending, 1, true);
    expect([...ledger.misuses()].map(({ count }) => count)).toEqual([1]);
  });

  test('knows what stood for the handle', () => {
    writeMisuse(1, [0x1a4]);
    view.setBigUint64(offset + misuse.runtimeObjectKey, DESCRIPTOR_KEY | (2n << 32n) | 3n, true);
    expect([...ledger.misuses()][0]?.wrapper).toEqual({ type: 'Descriptor', value: 3n });
  });

  test('may count more values than it keeps', () => {
    writeMisuse(1000, [4, 8, 12, 16, 20, 24, 28, 32, 36]);
    expect([...ledger.misuses()][0]?.values).toEqual([4n, 8n, 12n, 16n, 20n, 24n, 28n, 32n]);
  });

  test('of a pseudo handle keeps its negative value', () => {
    writeMisuse(1, [-1]);
    expect([...ledger.misuses()][0]?.values).toEqual([-1n]);
  });
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

/** Reads everything, and asserts of everything what its readers rely on. */
function readWhole(): void {
  const callNames = new Set<string | undefined>([undefined, ...recordedCalls.map(({ name }) => name)]);
  const readCall = (call: NonNullable<ReturnType<Ledger['life']>>['opened']) => {
    if (call === undefined) return;
    expect(callNames).toContain(call.call);
    expect(ledger.stack(call.stackId).length).toBeLessThanOrEqual(MAXIMUM_FRAMES);
    expect(ledger.stack(ledger.closedBy(call.stackId)).length).toBeLessThanOrEqual(MAXIMUM_FRAMES);
  };
  const readLife = (life: ReturnType<Ledger['life']>) => {
    if (life === undefined) return;
    expect(objectTypes).toContain(life.objectType);
    readCall(life.opened);
    readCall(life.closed);
  };
  const { opens, closes } = ledger.totals();
  for (const total of [opens, closes]) {
    expect(Number.isFinite(total)).toBe(true);
    expect(total).toBeGreaterThanOrEqual(0);
  }
  const values = [...ledger.openValues(), ...ledger.valuesClosedWhileExiting()];
  expect(values.length).toBeLessThanOrEqual(SLOT_COUNT);
  for (const value of values) {
    expect(value >= 0n && value < BigInt(SLOT_COUNT * 4)).toBe(true);
    readLife(ledger.life(value));
    const wrapper = ledger.wrapperOf(value);
    if (wrapper !== undefined) expect(wrapper.type).toMatch(/^(?:Descriptor|FILE)$/);
  }
  for (const { kind, values: misused, offending, life } of ledger.misuses()) {
    expect(['close', 'use', 'closed-as-handle']).toContain(kind);
    expect(misused.length).toBeLessThanOrEqual(MISUSE_VALUE_COUNT);
    readCall(offending);
    readLife(life);
  }
  for (const { base, sizeBytes, path } of ledger.images()) {
    expect(base).toBeGreaterThan(0n);
    expect(sizeBytes).toBeGreaterThan(0);
    expect(path.length).toBeLessThan(IMAGE_SIZE_BYTES / 2);
  }
  for (const { values: inherited, started, life } of ledger.inheritances()) {
    expect(inherited.length).toBeLessThanOrEqual(MISUSE_VALUE_COUNT);
    readCall(started);
    readLife(life);
  }
  for (const { id, closedBy } of ledger.closedStacks()) {
    expect(ledger.stack(id).length).toBeLessThanOrEqual(MAXIMUM_FRAMES);
    expect(ledger.stack(closedBy).length).toBeLessThanOrEqual(MAXIMUM_FRAMES);
  }
  for (const value of ledger.valuesClosedWhileExiting()) readLife(ledger.life(value));
  for (const gap of ledger.gaps()) expect(mayHideFindings[gap.kind]).toBeTypeOf('boolean');
  ledger.exitingTime();
}

describe('any damage yields an error or plausible data, and never a crash, an endless loop or a read outside of the ledger', () => {
  const random = seededRandom(0xdead_beef);

  /** A ledger with something of everything in it. */
  function fill(): void {
    for (let index = 1; index < 64; index++) {
      recordSlot(BigInt(index * 4), { generation: BigInt(index), isOpen: index % 2 === 1, closedGeneration: index });
    }
    for (const value of [0x4n, 0xcn]) linkRuntimeObject(value, value === 0x4n ? 3 : 7, { key: DESCRIPTOR_KEY | value });
    writeStack(2, [0x1000n, 0x2000n], 50);
    writeStack(50, [0x3000n]);
    for (const kind of [1, 2, 3, 4]) {
      const offset = layout.misusesOffset + (kind - 1) * MISUSE_SIZE_BYTES;
      view.setUint16(offset + misuse.kind, kind, true);
      view.setUint32(offset + misuse.valueCount, kind, true);
      writeSlot(offset + misuse.life, { generation: 4n, isOpen: kind === 4 });
      view.setUint32(offset + misuse.ready, 1, true);
    }
    view.setUint32(layout.imagesOffset + image.sizeBytes, 0x1000, true);
    view.setBigUint64(layout.imagesOffset + image.base, 0x1_0000n, true);
    view.setUint32(header.imageCount, 1, true);
    view.setUint32(header.exiting, 1, true);
  }

  /** Where damage hurts most, each as likely as the others. */
  const regions: readonly (readonly [offset: number, sizeBytes: number])[] = [
    [0, 0x80],
    [0, 0x1000],
    [layout.misusesOffset, 4 * MISUSE_SIZE_BYTES],
    [layout.imagesOffset, 2 * IMAGE_SIZE_BYTES],
    [layout.runtimeObjectsOffset, 16 * RUNTIME_OBJECT_SIZE_BYTES],
    [layout.stackPoolOffset, 0x400],
    [layout.slotsOffset, 64 * SLOT_SIZE_BYTES],
  ];

  function damage(): void {
    for (let count = 1 + random.below(8); count > 0; count--) {
      const [offset, sizeBytes] = regions[random.below(regions.length)]!;
      const begin = offset + random.below(sizeBytes);
      const end = Math.min(begin + 1 + random.below(random.below(2) === 0 ? 8 : 256), offset + sizeBytes);
      const fixed = [undefined, undefined, 0, 0xff][random.below(4)];
      for (let at = begin; at < end; at++) bytes[at] = fixed ?? random.below(256);
    }
  }

  test('that was done before the ledger is checked', () => {
    let refused = 0;
    for (let round = 0; round < 1000; round++) {
      for (const [offset, sizeBytes] of written) bytes.fill(0, offset, offset + sizeBytes);
      ledger.initialise();
      fill();
      damage();
      try {
        ledger.check();
      } catch (error) {
        expect(error).toBeInstanceOf(LedgerDamagedError);
        refused++;
        continue;
      }
      readWhole();
    }
    expect(refused, 'some of the damage was in the header, and some was not').toBeGreaterThan(50);
    expect(refused).toBeLessThan(950);
  });

  test('that makes its sums negative', () => {
    ledger.markOpenBefore(0x4n, 'File');
    view.setBigUint64(slotOffset(0x4n) + slot.state, 1n, true); // open, and never opened
    readWhole();
    view.setBigUint64(slotOffset(0x4n) + slot.state, 0n, true);
    readWhole();
  });

  test('that is done by a target which runs on after the check', () => {
    let refused = 0;
    for (let round = 0; round < 1000; round++) {
      for (const [offset, sizeBytes] of written) bytes.fill(0, offset, offset + sizeBytes);
      ledger.initialise();
      fill();
      ledger.check();
      damage();
      try {
        readWhole();
      } catch (error) {
        if (!(error instanceof LedgerDamagedError)) throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(20);
    expect(refused).toBeLessThan(950);
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
