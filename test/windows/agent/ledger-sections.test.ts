import { describe, expect, test } from 'vitest';

import { LedgerSections } from '../../../src/agent/inject/ledger-sections.ts';
import { header, ledgerLayout } from '../../../src/agent/ledger/layout.ts';
import { firstParts, STACK_POOL_CHUNK_SIZE_BYTES } from '../../../src/agent/ledger/memory-parts.ts';
import { viewMemory } from '../../../src/ffi/library.ts';
import { NtUnmapViewOfSection } from '../../../src/ffi/ntdll.ts';
import { BorrowedHandle, CURRENT_PROCESS } from '../../../src/io/index.ts';

const layout = ledgerLayout(1 << 20);
const self = BorrowedHandle.borrowRaw(CURRENT_PROCESS);

type Section = ReturnType<LedgerSections['take']>;

/** Lends the parts that every target has, as a target sees them that has the section mapped. */
function withParts<Result>(section: Section, use: (parts: readonly Uint8Array<ArrayBuffer>[]) => Result): Result {
  const address = section.mapInto(self);
  try {
    return use(
      firstParts(layout).map(
        ({ offset, sizeBytes }) => new Uint8Array(viewMemory(address + BigInt(offset), sizeBytes)),
      ),
    );
  } finally {
    expect(NtUnmapViewOfSection(CURRENT_PROCESS, address)).toBe(0);
  }
}

const bytesOf = (section: Section): readonly Buffer[] =>
  withParts(section, (parts) => parts.map((part) => Buffer.from(part)));

describe('ledgers of targets that come and go', () => {
  test('one whose target has ended serves the next, which finds in it nothing of the one before', () => {
    using sections = new LedgerSections();
    const first = sections.take(layout);
    const fresh = bytesOf(first);
    withParts(first, (parts) => {
      for (const part of parts) {
        const begin = part === parts[0] ? 0x1000 : 0; // the header says how much is used
        for (let at = begin; at < part.length; at += 509) part[at] = 0xa5;
        part[part.length - 1] = 0xa5;
      }
    });
    expect(bytesOf(first).every((bytes, index) => bytes.equals(fresh[index]!))).toBe(false);
    sections.giveBack(first);
    const second = sections.take(layout);
    expect(second).toBe(first);
    expect(bytesOf(second).every((bytes, index) => bytes.equals(fresh[index]!))).toBe(true);
    second.ledger.check();
    second[Symbol.dispose]();
  });

  test('the record of a target that is gone cannot be read any more', () => {
    using sections = new LedgerSections();
    const section = sections.take(layout);
    const { ledger } = section;
    ledger.markOpenBefore(0x44n, 'Event');
    expect(ledger.life(0x44n)?.isOpen).toBe(true);
    sections.giveBack(section);
    expect(() => ledger.life(0x44n)).toThrow(TypeError);
    expect(section.ledger.life(0x44n)).toBeUndefined();
  });

  test.each<[what: string, write: (view: DataView) => void]>([
    ['has used more slots', (view) => view.setBigUint64(header.slotsUsed, 2049n, true)],
    [
      'has used more stacks',
      (view) => view.setBigUint64(header.stackPoolUsed, BigInt(STACK_POOL_CHUNK_SIZE_BYTES), true),
    ],
    ['has kept the lives of misuses', (view) => view.setUint32(header.misuseLives, 1, true)],
    ['has overwritten the first word', (view) => view.setUint32(header.magic, 1, true)],
    ['has overwritten the number of slots', (view) => view.setUint32(header.slotCount, 1, true)],
  ])('one whose target %s does not serve another', (_what, write) => {
    using sections = new LedgerSections();
    const section = sections.take(layout);
    withParts(section, ([first]) => write(new DataView(first!.buffer)));
    sections.giveBack(section);
    using other = sections.take(layout);
    expect(other).not.toBe(section);
  });

  test('no more than a few are kept', () => {
    using sections = new LedgerSections();
    const taken = Array.from({ length: 10 }, () => sections.take(layout));
    for (const section of taken) sections.giveBack(section);
    const again = Array.from({ length: 10 }, () => sections.take(layout));
    expect(again.filter((section) => taken.includes(section))).toHaveLength(8);
    for (const section of again) section[Symbol.dispose]();
  });
});
