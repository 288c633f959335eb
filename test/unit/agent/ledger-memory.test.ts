import { expect, test } from 'vitest';

import { ledgerLayout } from '../../../src/agent/ledger/layout.ts';
import { LedgerMemory } from '../../../src/agent/ledger/memory.ts';

const layout = ledgerLayout(1 << 16);
const memory = new ArrayBuffer(layout.sizeBytes);

function lookAt(): { readonly ledger: LedgerMemory; seenBytes(): number } {
  let seen = 0;
  const ledger = new LedgerMemory((offset, sizeBytes) => {
    seen = Math.max(seen, sizeBytes);
    return new DataView(memory, offset, sizeBytes);
  }, layout);
  return { ledger, seenBytes: () => seen };
}

const { misusesOffset, stackPoolOffset, slotsOffset, sizeBytes } = layout;

test.each([
  ['its first word', 0],
  ['the last word of the header', misusesOffset - 8],
  ['the first misuse', misusesOffset],
  ['the last word before the stacks', stackPoolOffset - 8],
  ['the first stack', stackPoolOffset],
  ['a stack that lies across the end of the first window', stackPoolOffset + 0x1_0000 - 4],
  ['the last word of the stacks', slotsOffset - 8],
  ['the first slot', slotsOffset],
  ['a slot far behind the first window', slotsOffset + 0x12_3450],
  ['the very last word', sizeBytes - 8],
])('%s is found where it was written', (_name, offset) => {
  const value = BigInt(offset) * 0x1_0001n;
  lookAt().ledger.setBigUint64(offset, value);
  expect(new DataView(memory).getBigUint64(offset, true)).toBe(value);
  const { ledger } = lookAt();
  expect(ledger.getBigUint64(offset)).toBe(value);
  expect(ledger.getUint32(offset)).toBe(Number(value & 0xffff_ffffn));
  expect(ledger.getUint16(offset)).toBe(Number(value & 0xffffn));
  expect(ledger.getUint8(offset)).toBe(Number(value & 0xffn));
});

test('no more is looked at than is needed, or twice as much', () => {
  const { ledger, seenBytes } = lookAt();
  expect(seenBytes()).toBe(misusesOffset);
  ledger.getUint32(stackPoolOffset + (6 << 20));
  expect(seenBytes()).toBeLessThan(12 << 20);
});

test('what lies behind its end is refused', () => {
  expect(() => lookAt().ledger.getUint32(sizeBytes)).toThrow(RangeError);
  expect(() => lookAt().ledger.getBigUint64(sizeBytes - 4)).toThrow(RangeError);
});
