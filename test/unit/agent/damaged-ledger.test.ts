import { beforeEach, describe, expect, test } from 'vitest';
import { analyze } from '../../../src/analyze/index.ts';
import type { LedgerCall, LedgerLife } from '../../../src/call-ledger.ts';
import { gather } from '../../../src/evidence/gather.ts';
import { entryOf } from '../../../src/evidence/sources.ts';
import { mayHideFindings } from '../../../src/completeness.ts';
import { recordedCalls } from '../../../src/agent/tables/function-table.ts';
import { objectTypes } from '../../../src/agent/tables/object-types.ts';
import { header, MAXIMUM_FRAMES, slot, SLOT_SIZE_BYTES, stackNode } from '../../../src/agent/ledger/layout.ts';
import { DESCRIPTOR_KEY, RUNTIME_OBJECT_SIZE_BYTES } from '../../../src/agent/ledger/runtime-object.ts';
import { image, IMAGE_SIZE_BYTES } from '../../../src/agent/ledger/image.ts';
import { misuse, MISUSE_SIZE_BYTES, MISUSE_VALUE_COUNT } from '../../../src/agent/ledger/misuse.ts';
import type { Ledger } from '../../../src/agent/ledger/ledger.ts';
import { LedgerDamagedError } from '../../../src/agent/ledger/ledger-damaged-error.ts';
import { plainSymbols } from '../evidence/told-ledger.ts';
import { seededRandom } from './random.ts';
import {
  bytes,
  earlierLivesOffset,
  emptyLedger,
  layout,
  linkEarlierLives,
  misuseLivesOffset,
  linkRuntimeObject,
  recordSlot,
  SLOT_COUNT,
  slotOffset,
  view,
  writeEarlierLife,
  writeSlot,
  writeStack,
} from './written-ledger.ts';

let ledger: Ledger;
beforeEach(() => {
  ledger = emptyLedger();
});

const callNames = new Set<string | undefined>([undefined, ...recordedCalls.map(({ name }) => name)]);
const typeNames: ReadonlySet<string> = new Set(objectTypes);
const wrapperTypes: ReadonlySet<string> = new Set(['FILE', 'Descriptor', 'ChangeNotification']);
const misuseKinds: ReadonlySet<string> = new Set(['close', 'use', 'closed-as-handle', 'wrong-closer']);

/** A plain check: the test makes a million of them, and `expect` would take half a minute. */
function check(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(`not plausible: ${what}`);
}

function checkStack(id: number): void {
  check(ledger.stack(id).length <= MAXIMUM_FRAMES, `the frames of stack ${id}`);
}

function checkCall(call: LedgerCall | undefined): void {
  if (call === undefined) return;
  check(callNames.has(call.call), `the call ${call.call}`);
  checkStack(call.stackId);
  checkStack(ledger.closedBy(call.stackId));
}

function checkLife(life: LedgerLife | undefined): void {
  if (life === undefined) return;
  check(typeNames.has(life.objectType), `the type ${life.objectType}`);
  checkCall(life.opened);
  checkCall(life.closed);
}

function checkEarlierLives(lives: readonly LedgerLife[]): void {
  check(lives.length <= layout.history, `${lives.length} earlier lives`);
  for (const life of lives) {
    check(life.generation > 0n && life.opened?.call !== undefined, `an earlier life of generation ${life.generation}`);
    checkLife(life);
  }
}

/** Reads everything, and checks of everything what its readers rely on. */
function readWhole(): void {
  const { opens, closes } = ledger.totals();
  for (const [type, count] of ledger.openByType()) check(typeNames.has(type) && count > 0, `${count} open ${type}`);
  for (const total of [opens, closes]) check(Number.isFinite(total) && total >= 0, `the total ${total}`);
  const values = [...ledger.openValues(), ...ledger.valuesClosedWhileExiting()];
  check(values.length <= SLOT_COUNT, `${values.length} values`);
  for (const value of values) {
    check(value >= 0n && value < BigInt(SLOT_COUNT * 4), `the value ${value}`);
    const life = ledger.life(value);
    checkLife(life);
    if (life !== undefined) checkEarlierLives(ledger.earlierLives(value, life));
    const type = ledger.wrapperOf(value)?.type ?? 'FILE';
    check(wrapperTypes.has(type), `the wrapper ${type}`);
  }
  for (const { kind, values: misused, offending, life, earlierLives = [] } of ledger.misuses()) {
    checkEarlierLives(earlierLives);
    check(misuseKinds.has(kind), `the kind ${kind}`);
    check(misused.length <= MISUSE_VALUE_COUNT, `${misused.length} misused values`);
    checkCall(offending);
    checkLife(life);
  }
  for (const { base, sizeBytes, path } of ledger.images()) {
    check(base > 0n && sizeBytes > 0, `the image of ${sizeBytes} bytes at ${base}`);
    check(path.length < IMAGE_SIZE_BYTES / 2, `a path of ${path.length} characters`);
  }
  for (const { values: inherited, started, life } of ledger.inheritances()) {
    check(inherited.length <= MISUSE_VALUE_COUNT, `${inherited.length} inherited values`);
    checkCall(started);
    checkLife(life);
  }
  for (const { values: left, swept, life } of ledger.sweeps()) {
    check(left.length <= MISUSE_VALUE_COUNT, `${left.length} swept values`);
    checkCall(swept);
    checkLife(life);
  }
  for (const { id, closedBy } of ledger.closedStacks()) {
    checkStack(id);
    checkStack(closedBy);
  }
  for (const { kind } of ledger.gaps()) check(typeof mayHideFindings[kind] === 'boolean', `the gap ${kind}`);
  check(typeof (ledger.exitingTime() ?? 0n) === 'bigint', 'the time of the exit');
  checkStack(ledger.exit()?.stackId ?? 0);
  const threads = new Set(values.flatMap((value) => ledger.life(value)?.opened?.threadId ?? []));
  for (const opened of ledger.openingsOfClosed(threads)) checkCall(opened);
}

describe('any damage yields an error or plausible data, and never a crash, an endless loop or a read outside of the ledger', () => {
  const random = seededRandom(0xdead_beef);

  /** A ledger with something of everything in it. */
  function fill(): void {
    for (let index = 1; index < 64; index++) {
      recordSlot(BigInt(index * 4), {
        generation: BigInt(index),
        isOpen: index % 2 === 1,
        closedGeneration: index,
        closedWhileExiting: index % 4 === 0,
      });
      if (index > 1) writeEarlierLife(earlierLivesOffset(BigInt(index * 4)), index - 1, 1, 6);
    }
    for (const value of [0x4n, 0xcn]) linkRuntimeObject(value, value === 0x4n ? 3 : 7, { key: DESCRIPTOR_KEY | value });
    // Stacks follow each other without a gap, as in the agent's pool.
    writeStack(1, [0x1000n, 0x2000n, 0x3000n], 6);
    writeStack(6, [0x4000n]);
    writeStack(9, [0x5000n, 0x6000n], 6);
    view.setBigUint64(header.stackPoolUsed, BigInt(9 * 8 + stackNode.frames + 2 * 8), true);
    for (const kind of [1, 2, 3, 4, 5, 6]) {
      const offset = layout.misusesOffset + (kind - 1) * MISUSE_SIZE_BYTES;
      view.setUint32(offset + misuse.count, kind, true);
      view.setUint16(offset + misuse.kind, kind, true);
      view.setUint32(offset + misuse.valueCount, kind, true);
      writeSlot(offset + misuse.life, { generation: 4n, isOpen: kind >= 4 });
      writeEarlierLife(misuseLivesOffset(kind), 3, 1, 6);
      linkEarlierLives(offset, kind);
      view.setUint32(offset + misuse.ready, 1, true);
    }
    view.setUint32(layout.imagesOffset + image.sizeBytes, 0x1000, true);
    view.setBigUint64(layout.imagesOffset + image.base, 0x1_0000n, true);
    view.setUint32(header.imageCount, 1, true);
    view.setUint32(header.misuseRecords, 6, true);
    view.setUint32(header.exiting, 1, true);
    view.setUint32(header.droppedStacks, 2, true);
    view.setUint32(header.inheritedCut, 1, true);
  }

  test('begins with a ledger that has something of everything', () => {
    fill();
    readWhole();
    expect({
      open: [...ledger.openValues()].length,
      closedWhileExiting: [...ledger.valuesClosedWhileExiting()].length,
      wrapper: ledger.wrapperOf(0x4n)?.type,
      misuses: [...ledger.misuses()].map(({ kind }) => kind),
      earlierLives: [...ledger.misuses()].map(({ earlierLives }) => earlierLives?.length),
      livesOfValue: ledger.earlierLives(0x8n, ledger.life(0x8n)!).map(({ generation }) => generation),
      inheritances: [...ledger.inheritances()].length,
      sweeps: [...ledger.sweeps()].length,
      images: [...ledger.images()].length,
      closedStacks: [...ledger.closedStacks()].map(({ id }) => id),
      gaps: ledger.gaps().map(({ kind }) => kind),
    }).toEqual({
      open: 32,
      closedWhileExiting: 15,
      wrapper: 'Descriptor',
      misuses: ['close', 'use', 'closed-as-handle', 'wrong-closer'],
      earlierLives: [1, 1, 1, 1],
      livesOfValue: [1n],
      inheritances: 1,
      sweeps: 1,
      images: 1,
      closedStacks: [1, 9],
      gaps: ['stacks-dropped', 'inherited-cut'],
    });
  });

  /** Where damage hurts most, each as likely as the others. */
  const regions: readonly (readonly [offset: number, sizeBytes: number])[] = [
    [0, 0x80],
    [0, 0x1000],
    [layout.misusesOffset, 4 * MISUSE_SIZE_BYTES],
    [layout.imagesOffset, 2 * IMAGE_SIZE_BYTES],
    [layout.runtimeObjectsOffset, 16 * RUNTIME_OBJECT_SIZE_BYTES],
    [layout.stackPoolOffset, 0x400],
    [layout.earlierLivesOffset, 64 * layout.earlierLivesSizeBytes],
    [layout.misuseLivesOffset, 8 * layout.earlierLivesSizeBytes],
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
      ledger = emptyLedger();
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
      ledger = emptyLedger();
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

  test('that leaves evidence which the rules can judge', async () => {
    let judged = 0;
    for (let round = 0; round < 300; round++) {
      ledger = emptyLedger();
      fill();
      damage();
      try {
        ledger.check();
        const open = [...ledger.openValues()].map((value) =>
          entryOf(value, ledger.life(value)?.objectType ?? 'Unknown'),
        );
        const sources = { ledger, symbols: plainSymbols, startTime: 0n, hasWindows: false };
        const { evidence } = await gather(open, sources, async () => new Map());
        for (const { message } of analyze(evidence)) check(message !== '', 'a finding without a message');
        judged++;
      } catch (error) {
        if (!(error instanceof LedgerDamagedError)) throw error;
      }
    }
    expect(judged).toBeGreaterThan(150);
  });
});
