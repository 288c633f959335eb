import { beforeEach, describe, expect, test } from 'vitest';

import { emitClaimRuntimeObject } from '../../../../src/agent/emit/recorder/runtime-objects.ts';
import { emitGrowSlots } from '../../../../src/agent/emit/recorder/grow-ledger.ts';
import { emitRecordClose, emitRecordOpen } from '../../../../src/agent/emit/recorder/recorder.ts';
import { EARLIER_LIFE_SIZE_BYTES, EARLIER_LIVES_SLOT_COUNT } from '../../../../src/agent/ledger/earlier-life.ts';
import { header, slot } from '../../../../src/agent/ledger/layout.ts';
import { DESCRIPTOR_KEY } from '../../../../src/agent/ledger/runtime-object.ts';
import { misuse, MISUSE_COUNT, MISUSE_USE } from '../../../../src/agent/ledger/misuse.ts';
import type { Ledger } from '../../../../src/agent/ledger/ledger.ts';
import { emitMisuseRoutines } from './misuse-routines.ts';
import { placeRoutines } from './placed-routines.ts';

const VALUE = 0x1a4n;
const CREATE_EVENT = 1n | (1n << 16n);
const CLOSE = 1n;

describe.each([
  ['without a quarantine', 0, 4, EARLIER_LIVES_SLOT_COUNT + 16],
  ['with a quarantine', 64, 4, EARLIER_LIVES_SLOT_COUNT + 16],
  ['of which eight are kept', 0, 8, 1024],
])('the earlier lives of a value %s', (_variant, quarantineCount, history, slotCount) => {
  const routines = placeRoutines({
    slotCount,
    quarantineCount,
    history,
    realNtdll: ['NtAllocateVirtualMemory'],
    emit(asm, { environment }) {
      emitGrowSlots(asm, environment.growSlots, environment);
      emitRecordOpen(asm, environment.recordOpen, environment);
      emitRecordClose(asm, environment.recordClose, environment);
      emitMisuseRoutines(asm, environment);
      emitClaimRuntimeObject(asm, environment.claimRuntimeObject, environment);
      const { recordOpen, recordClose, countMisuse, internMisuse, claimRuntimeObject } = environment;
      return { recordOpen, recordClose, countMisuse, internMisuse, claimRuntimeObject };
    },
  });
  const { memory, layout } = routines;
  let ledger: Ledger;
  beforeEach(() => {
    ledger = routines.reset();
  });

  const open = (value: bigint, stack: bigint) =>
    routines.call('recordOpen', { rcx: value, rdx: CREATE_EVENT, r8: stack });
  const close = (value: bigint, generation: number, stack: bigint) =>
    routines.call('recordClose', { rcx: value, rdx: BigInt(generation * 2 + 1), r8: stack, r9: CLOSE });
  /** Opens and closes a value; the stacks are named after the generation. */
  function live(value: bigint, generation: number): void {
    open(value, BigInt(100 * generation));
    close(value, generation, BigInt(1000 + generation));
  }
  const use = (value: bigint) =>
    routines.call('countMisuse', { rcx: value, rdx: BigInt(1 | (MISUSE_USE << 16)), r8: 60n, r9: 0xc000_0008n });
  const read = () =>
    [...ledger.misuses()][0]?.earlierLives?.map(({ opened, closed }) => [opened?.stackId, closed?.stackId]);
  const { earlierLivesSizeBytes } = layout;
  const lineOf = (value: bigint) => layout.earlierLivesOffset + Number(value >> 2n) * earlierLivesSizeBytes;
  const bytesAt = (offset: number) => [...new Uint8Array(memory.buffer, offset, earlierLivesSizeBytes)];
  const nothing = new Array(earlierLivesSizeBytes).fill(0);

  test.each<[lives: number, earlier: readonly number[]]>([
    [1, []],
    [2, [1]],
    [4, [3, 2, 1]],
    [11, [10, 9, 8, 7, 6, 5, 4, 3]],
  ])('of %i lives: a misuse has the last ones before the last, the latest first', (lives, earlier) => {
    for (let generation = 1; generation <= lives; generation++) live(VALUE, generation);
    use(VALUE);
    const expected = earlier.slice(0, history).map((each) => [100 * each, 1000 + each]);
    expect(read() ?? []).toEqual(expected);
    expect(ledger.earlierLives(VALUE, ledger.life(VALUE)!)).toEqual([...ledger.misuses()][0]?.earlierLives ?? []);
    expect([VALUE - 4n, VALUE + 4n].map((value) => bytesAt(lineOf(value)))).toEqual([nothing, nothing]);
  });

  test('have the call, the time, the thread and the type of both calls', () => {
    live(VALUE, 1);
    const before = ledger.life(VALUE);
    live(VALUE, 2);
    expect(ledger.earlierLives(VALUE, ledger.life(VALUE)!)).toEqual([before]);
    expect(before).toMatchObject({ objectType: 'Event', opened: { stackId: 100 }, closed: { stackId: 1001 } });
  });

  test('are kept for each misuse by itself', () => {
    for (const generation of [1, 2]) live(VALUE, generation);
    use(VALUE);
    live(VALUE, 3);
    use(VALUE);
    const lives = [...ledger.misuses()].map(({ earlierLives }) => earlierLives?.map(({ opened }) => opened?.stackId));
    expect(lives.toSorted((a, b) => a!.length - b!.length)).toEqual([[100], [200, 100]]);
  });

  test('are none of a misuse that finds no place, because the target has overwritten their number', () => {
    for (const generation of [1, 2]) live(VALUE, generation);
    memory.setUint32(header.misuseLives, MISUSE_COUNT, true);
    use(VALUE);
    expect([...ledger.misuses()].map(({ earlierLives }) => earlierLives)).toEqual([undefined]);
  });

  test('have no close of a life whose close had not been written when the value was opened again', () => {
    live(VALUE, 1);
    live(VALUE, 2);
    memory.setUint32(routines.slotOffset(VALUE) + slot.closedGeneration, 1, true);
    live(VALUE, 3);
    use(VALUE);
    expect(read()).toEqual([
      [200, undefined],
      [100, 1001],
    ]);
  });

  test('leave out a life whose opening was not seen', () => {
    routines.call('recordClose', { rcx: VALUE, rdx: 0n, r8: 50n, r9: CLOSE });
    live(VALUE, 2);
    use(VALUE);
    expect(read()).toBeUndefined();
  });

  test.runIf(slotCount > EARLIER_LIVES_SLOT_COUNT)(
    'are kept for none that is beyond them, and take no room of another',
    () => {
      const last = BigInt(EARLIER_LIVES_SLOT_COUNT - 1) * 4n;
      for (const value of [last, last + 4n, last + 4n * 16n]) {
        for (const generation of [1, 2]) live(value, generation);
      }
      const kept = new Uint8Array(memory.buffer, layout.earlierLivesOffset, lineOf(last) - layout.earlierLivesOffset);
      expect(kept.every((byte) => byte === 0)).toBe(true);
      expect(memory.getUint32(lineOf(last) + EARLIER_LIFE_SIZE_BYTES + slot.openedStack, true)).toBe(100);
      use(last + 4n);
      expect(read()).toBeUndefined();
    },
  );

  test('are none of a runtime object’s', () => {
    const key = DESCRIPTOR_KEY | 3n;
    const object = routines.call('claimRuntimeObject', { rcx: key }).r10;
    memory.setBigUint64(Number(object - routines.ledgerAddress) + slot.state, 8n, true);
    new Uint8Array(memory.buffer, layout.earlierLivesOffset).fill(0xff);
    const { rax } = routines.call('internMisuse', {
      rcx: key,
      rdx: BigInt(1 | (MISUSE_USE << 16)),
      r8: 60n,
      r9: 0xc000_0008n,
      r10: object,
    });
    expect(memory.getUint32(Number(rax - routines.ledgerAddress) + misuse.earlierLives, true)).toBe(0);
  });
});
