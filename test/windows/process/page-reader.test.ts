import { describe, expect, it } from 'vitest';

import { VirtualAllocEx } from '../../../src/ffi/kernel32.ts';
import { addressOf, viewMemory } from '../../../src/ffi/library.ts';
import { BorrowedHandle, CURRENT_PROCESS } from '../../../src/io/index.ts';
import { PageReader } from '../../../src/process/environment/page-reader.ts';
import { tryReadMemory } from '../../../src/process/memory.ts';

const PAGE = 0x1000;
const MEM_COMMIT_RESERVE = 0x3000;
const PAGE_READWRITE = 0x04;

const self = BorrowedHandle.borrowRaw(CURRENT_PROCESS);

describe('a reader of pages', () => {
  const random = Buffer.from(Array.from({ length: 8 * PAGE }, (_, index) => (index * 7 + (index >> 8)) & 0xff));
  const begin = VirtualAllocEx(CURRENT_PROCESS, 0n, BigInt(random.length), MEM_COMMIT_RESERVE, PAGE_READWRITE);
  const memory = Buffer.from(viewMemory(begin, random.length));
  random.copy(memory);

  it.each([
    [0, 8],
    [PAGE - 4, 8],
    [4 * PAGE - 1, 2],
    [100, 3 * PAGE],
    [17, 6 * PAGE],
    [8 * PAGE - 8, 8],
    [5, 0],
  ])('reads from %i on %i bytes as they are', (offset, sizeBytes) => {
    const reader = PageReader.of(self);
    const expected = random.subarray(offset, offset + sizeBytes);
    expect(reader.read(begin + BigInt(offset), sizeBytes)?.equals(expected)).toBe(true);
  });

  it('shows a page as it was when it was first asked for', () => {
    const reader = PageReader.of(self);
    const before = reader.read(begin, 1)?.[0];
    memory[0]! ^= 0xff;
    expect(reader.read(begin, 1)?.[0]).toBe(before);
    expect(PageReader.of(self).read(begin, 1)?.[0]).toBe(memory[0]);
    memory[0]! ^= 0xff;
  });

  it.each([0n, 1n, -1n, 2n ** 63n, 2n ** 64n - 4n, 2n ** 80n])('has nothing at the address %s', (address) => {
    expect(PageReader.of(self).read(address, 16)).toBeUndefined();
  });

  it('reads texts, also a long one', () => {
    for (const text of ['', 'C:\\windows\\system32\\ntdll.dll', 'x'.repeat(20_000)]) {
      const bytes = Buffer.from(`${text}\0`, 'utf16le');
      const record = Buffer.alloc(24); // UNICODE_STRING at 8
      record.writeUInt16LE(text.length * 2, 8);
      record.writeBigUInt64LE(addressOf(bytes), 16);
      expect(tryReadMemory(self, addressOf(bytes), bytes.length)).toEqual(bytes);
      expect(PageReader.of(self).readText(record, 8)).toBe(text);
    }
  });
});
