import { beforeEach, describe, expect, test } from 'vitest';

import { header, stackNode } from '../../../src/agent/ledger/layout.ts';
import type { Ledger } from '../../../src/agent/ledger/ledger.ts';
import { MISUSE_COUNT, MISUSE_SIZE_BYTES, misuse } from '../../../src/agent/ledger/misuse.ts';
import {
  STOP_BREAK,
  STOP_HELD,
  STOP_MISUSE,
  STOP_OPENINGS,
  STOP_PASS,
  STOP_REQUESTED,
  STOP_SIZE_BYTES,
  STOP_STACK,
  STOP_TAKEN,
  stop,
} from '../../../src/agent/ledger/stop.ts';
import { emptyLedger, layout, view, writeStack } from './written-ledger.ts';

let ledger: Ledger;
beforeEach(() => {
  ledger = emptyLedger();
});

const entry = (index: number) => header.stopTable + index * STOP_SIZE_BYTES;
const stateOf = (index: number) => view.getUint32(entry(index) + stop.state, true);

function ask(index: number, kind: number, subject: number): void {
  view.setUint32(entry(index) + stop.kind, kind, true);
  view.setUint32(entry(index) + stop.subject, subject, true);
  view.setUint32(entry(index) + stop.threadId, 0x2c, true);
  view.setUint32(entry(index) + stop.state, STOP_REQUESTED, true);
}

function writeMisuse(place: number): void {
  const offset = layout.misusesOffset + place * MISUSE_SIZE_BYTES;
  view.setUint32(offset + misuse.count, 1, true);
  view.setUint32(offset + misuse.ready, 1, true);
  view.setUint16(offset + misuse.kind, 1, true);
}

describe('a thread that asks', () => {
  test('is listed once, with its misuse', () => {
    writeMisuse(5);
    ask(3, STOP_MISUSE, 5 * MISUSE_SIZE_BYTES);
    expect([...ledger.stops.list()]).toMatchObject([{ index: 3, threadId: 0x2c, about: { kind: 'misuse' } }]);
    expect([...ledger.stops.list()]).toEqual([]);
    expect(stateOf(3)).toBe(STOP_TAKEN);
  });

  test('is held, and goes on by the answer', () => {
    writeMisuse(0);
    ask(0, STOP_MISUSE, 0);
    const [request] = ledger.stops.list();
    ledger.stops.hold(request!.index);
    expect(stateOf(0)).toBe(STOP_HELD);
    ledger.stops.answer(request!.index, 'break');
    expect(stateOf(0)).toBe(STOP_BREAK);
  });

  test('gets no second answer, and none once it has given up', () => {
    ask(0, STOP_STACK, 1);
    expect([...ledger.stops.list()]).toHaveLength(1);
    ledger.stops.answer(0, 'pass');
    ledger.stops.answer(0, 'break');
    expect(stateOf(0)).toBe(STOP_PASS);
    view.setUint32(entry(0) + stop.state, 0, true);
    ledger.stops.answer(0, 'break');
    expect(stateOf(0)).toBe(0);
  });

  test.each([
    ['an unknown kind', 9, 0],
    ['a misuse beyond the table', STOP_MISUSE, MISUSE_COUNT * MISUSE_SIZE_BYTES],
    ['a misuse between two', STOP_MISUSE, 8],
    ['a misuse that never was', STOP_MISUSE, MISUSE_SIZE_BYTES],
    ['openings of a stack beyond the pool', STOP_OPENINGS, 0xffff_ffff],
    ['openings of no stack', STOP_OPENINGS, 0],
  ])('about %s goes on at once', (_what, kind, subject) => {
    ask(7, kind, subject);
    expect([...ledger.stops.list()]).toEqual([]);
    expect(stateOf(7)).toBe(STOP_PASS);
  });
});

describe('a stack that was looked at', () => {
  test('belongs to a watch, and opens what it opened', () => {
    writeStack(40, [0x1000n]);
    view.setUint16(layout.stackPoolOffset + 40 * 8 + stackNode.openedType, 2, true);
    ledger.stops.see(40, 3);
    ask(0, STOP_OPENINGS, 40);
    expect([...ledger.stops.list()]).toMatchObject([{ about: { kind: 'openings', stackId: 40, watch: 3 } }]);
    expect(ledger.typeOpenedBy(40)).toBe('File');
  });

  test.each([0, -1, 0xffff_ffff])('is nowhere with the id %i', (id) => {
    expect(() => ledger.stops.see(id, 1)).not.toThrow();
  });
});
