import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { BlockFile } from '../../../src/symbols/block-file.ts';
import { MemoryBudget } from '../../../src/symbols/memory-budget.ts';

const BLOCK = 0x1_0000;
const content = Buffer.from(Array.from({ length: 3 * BLOCK + 100 }, (_, index) => (index * 7 + (index >> 8)) & 0xff));
let directory: string;
let path: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'unclosed-blocks-'));
  path = join(directory, 'file');
  writeFileSync(path, content);
});

afterAll(() => rmSync(directory, { recursive: true }));

test.each([
  ['nothing', 5, 0],
  ['the first byte', 0, 1],
  ['a part of a block', 100, 200],
  ['a whole block', BLOCK, BLOCK],
  ['the end of one block and the beginning of the next', BLOCK - 3, 6],
  ['several blocks', 10, 2 * BLOCK + 5],
  ['the last block, which is short', 3 * BLOCK + 1, 99],
])('%s is read as it is, once and again', (_name, offset, sizeBytes) => {
  using file = new BlockFile(openSync(path, 'r'), new MemoryBudget());
  for (let round = 0; round < 2; round++) {
    expect(file.read(offset, sizeBytes)?.equals(content.subarray(offset, offset + sizeBytes))).toBe(true);
  }
});

test.each([
  ['behind the end', 3 * BLOCK + 1, 100],
  ['before the beginning', -1, 4],
  ['of a size that is none', 0, Number.NaN],
  ['of gigabytes', 0, 2 ** 40],
])('what is %s is not there', (_name, offset, sizeBytes) => {
  using file = new BlockFile(openSync(path, 'r'), new MemoryBudget());
  expect(file.read(offset, sizeBytes)).toBeUndefined();
});

test('parts that are larger than a block find room in the budget or are not read, and blocks are read in any case', () => {
  const budget = new MemoryBudget(3 * BLOCK);
  using file = new BlockFile(openSync(path, 'r'), budget);
  expect(file.read(0, 2 * BLOCK)?.length).toBe(2 * BLOCK);
  expect(file.read(1, 2 * BLOCK)).toBeUndefined();
  for (let index = 0; index < 3; index++) expect(file.read(index * BLOCK + 5, 100)?.length).toBe(100);
  expect(budget.leftBytes).toBe(0);
});

test('of a directory nothing can be read', () => {
  using file = new BlockFile(openSync(directory, 'r'), new MemoryBudget());
  expect(file.read(0, 1)).toBeUndefined();
});
