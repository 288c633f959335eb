import { describe, expect, test } from 'vitest';

import { ownerOfHead } from '../../../../src/agent/patch/foreign-head.ts';
import { movePrologue } from '../../../../src/agent/patch/prologue.ts';
import { hotpatchedFunctions, jumpsOfOthers, microsoftPrologues } from './windows-functions.ts';

const module = { base: 0x1_8000_0000n, end: 0x1_8002_9000n };
const address = 0x1_8000_8eb0n;
const OUTSIDE = 0x1_7000_0000n;

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(' '), (byte) => parseInt(byte, 16));
}

/** Reads from pieces of code, each at its distance from the function. */
function memory(pieces: Readonly<Record<number, string>>) {
  return (from: bigint, sizeBytes: number): Uint8Array | undefined => {
    for (const [distance, text] of Object.entries(pieces)) {
      const code = bytes(text);
      const at = Number(from - address) - Number(distance);
      if (at >= 0 && at + sizeBytes <= code.length) return code.subarray(at, at + sizeBytes);
    }
    return undefined;
  };
}

function ownerOf(pieces: Readonly<Record<number, string>>): string {
  return ownerOfHead(bytes(pieces[0]!), address, module, memory(pieces));
}

function jumpTo(target: bigint, from: bigint): string {
  const distance = new Uint8Array(Int32Array.of(Number(target - from - 5n)).buffer);
  return ['e9', ...Array.from(distance, (byte) => byte.toString(16).padStart(2, '0'))].join(' ');
}

describe('a function that Windows has patched', () => {
  test.each(hotpatchedFunctions)('is known by its jumps: $what', ({ pieces }) => {
    expect(ownerOf(pieces)).toBe('hotpatch');
  });

  test.each<[string, Readonly<Record<number, string>>]>([
    ['leads through another pointer', { 0: 'eb f9', [-5]: 'e9 00 10 00 00', 4096: 'ff 25 f0 0f 00 00' }],
    ['leads to code', { 0: 'eb f9', [-5]: 'e9 00 10 00 00', 4096: '48 83 ec 28 90 90' }],
    ['leads where nothing can be read', { 0: 'eb f9', [-5]: 'e9 00 10 00 00' }],
    ['has no long jump in its padding', { 0: 'eb f9', [-5]: 'cc cc cc cc cc' }],
  ])('is none when it %s', (_what, pieces) => {
    expect(ownerOf(pieces)).not.toBe('hotpatch');
  });
});

describe('a jump at a function’s beginning', () => {
  test.each(jumpsOfOthers)('is that of other software: $what', ({ code }) => {
    expect(ownerOf({ 0: code })).toBe('foreign');
  });

  test('is that of other software when it leaves the module, by way of the padding, too', () => {
    expect(ownerOf({ 0: jumpTo(OUTSIDE, address) })).toBe('foreign');
    expect(ownerOf({ 0: 'eb f9', [-5]: jumpTo(OUTSIDE, address - 5n) })).toBe('foreign');
  });

  test('is the function’s own when it stays in the module', () => {
    expect(ownerOf({ 0: jumpTo(address + 0x100n, address) })).toBe('own');
    expect(ownerOf({ 0: 'eb 10', 18: '48 83 ec 28 90' })).toBe('own');
  });
});

describe('a function of Windows with its own code', () => {
  test.each(microsoftPrologues)('is known as that, and can be moved: $name', ({ code, movedBytes }) => {
    expect(ownerOf({ 0: code })).toBe('own');
    expect(movePrologue(bytes(code), address, module)?.sizeBytes).toBe(movedBytes);
  });
});
