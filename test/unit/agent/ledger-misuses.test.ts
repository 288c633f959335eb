import { beforeEach, describe, expect, test } from 'vitest';
import { header, slot } from '../../../src/agent/ledger/layout.ts';
import { DESCRIPTOR_KEY } from '../../../src/agent/ledger/runtime-object.ts';
import { earlierLifeOffset } from '../../../src/agent/ledger/earlier-life.ts';
import {
  INHERITED_BY_NAME,
  misuse,
  MISUSE_INHERITED,
  MISUSE_SWEPT,
  MISUSE_WRONG_CLOSER,
  MISUSE_SIZE_BYTES,
} from '../../../src/agent/ledger/misuse.ts';
import { Ledger } from '../../../src/agent/ledger/ledger.ts';
import {
  closed,
  emptyLedger,
  layout,
  linkEarlierLives,
  misuseLivesOffset,
  opened,
  rowNumber,
  view,
  writeEarlierLife,
  writeSlot,
} from './written-ledger.ts';

let ledger: Ledger;
beforeEach(() => {
  ledger = emptyLedger();
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
    view.setUint32(header.misuseRecords, 1, true);
  }

  test('is not looked for where none was counted', () => {
    const seen: number[] = [];
    const look = (at: number, sizeBytes: number): DataView => {
      seen.push(at);
      return new DataView(view.buffer, at, sizeBytes);
    };
    const spied = new Ledger(look, layout);
    const readAll = () => [spied.misuses(), spied.inheritances(), spied.sweeps(), spied.searchesGivenToWrongCloser()];
    expect(readAll().flatMap((records) => [...records])).toEqual([]);
    expect(seen).toEqual([0]);
    writeMisuse(1, [0x1a4]);
    expect([...spied.misuses()]).toHaveLength(1);
    expect(seen).toContain(layout.misusesOffset);
  });

  test('is the refused call, its values without repetition, and the life that its value had had', () => {
    writeMisuse(3, [0x1a4, 0x1a8, 0x1a4]);
    expect([...ledger.misuses()]).toEqual([
      {
        kind: 'use',
        status: 0xc000_0008,
        count: 3,
        values: [0x1a4n, 0x1a8n],
        offending: { call: 'NtSetEvent', threadId: 0x2c, time: 3000n, stackId: 60 },
        worksOn: ['Event'],
        life: { isOpen: false, generation: 4n, objectType: 'Event', opened, closed },
      },
    ]);
  });

  test.each([
    [1, 'close'],
    [2, 'use'],
    [3, 'closed-as-handle'],
    [5, 'wrong-closer'],
    [7, 'use'],
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

  test('knows the lives that its first value had before, the latest first', () => {
    writeMisuse(1, [0x1a4]);
    const lives = misuseLivesOffset(2);
    for (const generation of [1, 3]) writeEarlierLife(lives, generation, 10 + generation, 20 + generation);
    writeEarlierLife(lives, 6, 16, 26); // a later one: the value was opened again while the record was made
    expect([...ledger.misuses()][0]).not.toHaveProperty('earlierLives');
    linkEarlierLives(offset, 2);
    const life = (generation: number) => ({
      generation: BigInt(generation),
      objectType: 'Event',
      opened: { ...opened, stackId: 10 + generation },
      closed: { ...closed, stackId: 20 + generation },
    });
    expect([...ledger.misuses()][0]?.earlierLives).toMatchObject([life(3), life(1)]);
    view.setUint32(lives + earlierLifeOffset(3n, layout.history) + slot.closedGeneration, 2, true);
    expect([...ledger.misuses()][0]?.earlierLives).toMatchObject([{ ...life(3), closed: undefined }, life(1)]);
  });

  test('of kind 6 is a sweep', () => {
    writeMisuse(2, [0x1a4, 0x1a8]);
    view.setUint16(offset + misuse.kind, MISUSE_SWEPT, true);
    view.setUint16(offset + misuse.offendingCall, rowNumber('WSACleanup'), true);
    view.setBigUint64(offset + misuse.runtimeObjectKey, 0x7f0n, true);
    view.setUint32(offset + misuse.descriptor, 4, true);
    expect([...ledger.misuses(), ...ledger.inheritances()]).toEqual([]);
    expect([...ledger.sweeps()]).toMatchObject([
      {
        count: 3,
        values: [0x1a4n, 0x1a8n],
        swept: { call: 'WSACleanup', stackId: 60 },
        life: { generation: 4n },
        wrapper: { type: 'FILE', value: 0x7f0n, descriptor: 3 },
      },
    ]);
  });

  test.each([
    [{ pending: 1, closedCount: 2 }, 'never-returned'],
    [{ pending: 0, closedCount: 1 }, 'closed'],
    [{ pending: 0, closedCount: 0 }, 'stayed-open'],
  ] as const)('of a wrong closer says what came of it: %j is %s', (counts, outcome) => {
    writeMisuse(1, [0x1a4]);
    view.setUint16(offset + misuse.kind, MISUSE_WRONG_CLOSER, true);
    view.setUint32(offset + misuse.pending, counts.pending, true);
    view.setUint32(offset + misuse.closedCount, counts.closedCount, true);
    expect([...ledger.misuses()].map((each) => each.outcome)).toEqual([outcome]);
  });

  test('by a function of a DLL is told from a system call', () => {
    writeMisuse(1, [0x1a4]);
    view.setUint16(offset + misuse.offendingCall, rowNumber('closesocket'), true);
    expect([...ledger.misuses()].map(({ functionOf }) => functionOf)).toEqual(['ws2_32.dll']);
  });

  test.each([
    ['fclose', MISUSE_WRONG_CLOSER, true],
    ['FindClose', MISUSE_WRONG_CLOSER, true],
    ['fclose', 1, undefined],
    ['RegCloseKey', MISUSE_WRONG_CLOSER, undefined],
    ['_close', MISUSE_WRONG_CLOSER, undefined],
    ['closesocket', MISUSE_WRONG_CLOSER, undefined],
  ])('by %s, of kind %i, may have used handles of other values: %s', (call, kind, expected) => {
    writeMisuse(1, [0x1a4]);
    view.setUint16(offset + misuse.offendingCall, rowNumber(call), true);
    view.setUint16(offset + misuse.kind, kind, true);
    expect([...ledger.misuses()].map(({ mayUseOthers }) => mayUseOthers)).toEqual([expected]);
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
