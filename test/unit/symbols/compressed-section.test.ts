import { deflateSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { inflateSection } from '../../../src/symbols/dwarf/compressed-section.ts';
import { MemoryBudget } from '../../../src/symbols/memory-budget.ts';

const contents = Buffer.from('the contents of a debug section, again and again, again and again');

function section(sizeBytes: number, packed: Buffer = deflateSync(contents)): Buffer {
  const header = Buffer.from('ZLIB\0\0\0\0\0\0\0\0', 'latin1');
  header.writeBigUInt64BE(BigInt(sizeBytes), 4);
  return Buffer.concat([header, packed]);
}

describe('a compressed debug section', () => {
  it('is inflated, and takes its size of the memory for symbols', () => {
    const budget = new MemoryBudget(1000);
    expect(inflateSection(section(contents.length), budget)).toEqual(contents);
    expect(budget.leftBytes).toBe(1000 - contents.length);
  });

  it.each<{ title: string; bytes: Buffer; left?: number }>([
    { title: 'too short for its header', bytes: Buffer.from('ZLIB') },
    { title: 'without the sign of one', bytes: Buffer.concat([Buffer.from('ZLIC'), section(9).subarray(4)]) },
    { title: 'that holds more than it says', bytes: section(contents.length - 1) },
    { title: 'that holds less than it says', bytes: section(contents.length + 1) },
    { title: 'that is cut off', bytes: section(contents.length).subarray(0, 30) },
    { title: 'that is damaged', bytes: section(contents.length, Buffer.from('no stream at all')) },
    { title: 'that says that it holds an exabyte', bytes: section(2 ** 60) },
    { title: 'for which no memory is left', bytes: section(contents.length), left: 10 },
    { title: 'of zeros, a thousand times as large as it says', bytes: section(64, deflateSync(Buffer.alloc(64_000))) },
  ])('$title is empty, and takes nothing', ({ bytes, left = 1 << 20 }) => {
    const budget = new MemoryBudget(left);
    expect(inflateSection(bytes, budget)).toHaveLength(0);
    expect(budget.leftBytes).toBe(left);
  });
});
