import { expect, test } from 'vitest';

import { PageReader } from '../../../src/process/environment/page-reader.ts';

const PAGE = 0x1000;

/** Memory of which only some pages can be read, and the parts that were asked for. */
function memoryOf(...pages: readonly number[]) {
  const asked: string[] = [];
  const reader = new PageReader((address, sizeBytes) => {
    const begin = Number(address);
    asked.push(`${begin / PAGE}+${sizeBytes / PAGE}`);
    const isReadable = (at: number): boolean => pages.includes(Math.floor(at / PAGE));
    for (let at = begin; at < begin + sizeBytes; at += PAGE) if (!isReadable(at)) return undefined;
    return Buffer.alloc(sizeBytes, 7);
  });
  return { reader, asked };
}

test('pages that lie together are read together, and once', () => {
  const { reader, asked } = memoryOf(4, 5, 6, 7);
  for (const at of [4, 7, 5, 6]) expect(reader.read(BigInt(at * PAGE), 8)).toHaveLength(8);
  expect(reader.read(BigInt(5 * PAGE - 4), 8)).toHaveLength(8);
  expect(asked).toEqual(['4+4']);
});

test('a page whose neighbours cannot be read is read alone', () => {
  const { reader, asked } = memoryOf(5);
  expect(reader.read(BigInt(5 * PAGE + 8), PAGE - 8)).toHaveLength(PAGE - 8);
  expect(reader.read(BigInt(5 * PAGE + 8), 1)).toHaveLength(1);
  expect(asked).toEqual(['4+4', '5+1']);
});

test('a part that reaches into a page that cannot be read is absent', () => {
  const { reader } = memoryOf(5);
  expect(reader.read(BigInt(5 * PAGE + 8), PAGE)).toBeUndefined();
  expect(reader.read(BigInt(5 * PAGE - 1), 2)).toBeUndefined();
  expect(reader.readPointer(BigInt(6 * PAGE))).toBeUndefined();
});

test('a long part is read by itself', () => {
  const { reader, asked } = memoryOf(4, 5, 6, 7, 8);
  expect(reader.read(BigInt(4 * PAGE), 5 * PAGE)).toHaveLength(5 * PAGE);
  expect(asked).toEqual(['4+5']);
});
