import type { DwarfSections } from '../../../src/symbols/dwarf/unit-headers.ts';

/** The base that the linker gave the files of these tests. */
export const IMAGE_BASE = 0x1_4000_0000;

export const u16 = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff];
export const u32 = (value: number): number[] => [...u16(value), ...u16(value >>> 16)];
export const u64 = (value: number): number[] => [...u32(value % 2 ** 32), ...u32(Math.floor(value / 2 ** 32))];
export const text = (value: string): number[] => [...Buffer.from(`${value}\0`)];
export const address = (rva: number): number[] => u64(IMAGE_BASE + rva);

/** The same bytes many times. */
export function repeated(bytes: readonly number[], count: number): Buffer {
  return Buffer.alloc(bytes.length * count, Buffer.from(bytes));
}

/** A unit of a debug section: its length, and what it holds. */
export function withLength(...parts: readonly (readonly number[] | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([Buffer.from(u32(body.length)), body]);
}

/** Debug sections of which most are empty. */
export function sectionsOf(some: Partial<DwarfSections>): DwarfSections {
  const none = Buffer.alloc(0);
  return {
    ...{ line: none, lineStrings: none, strings: none, info: none, abbreviations: none },
    ...{ stringOffsets: none, addresses: none, ranges: none, rangeLists: none },
    ...some,
  };
}

/** A sequence of numbers that look random, the same in every run. */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => (state = (state * 48_271) % 2_147_483_647) % below;
}
