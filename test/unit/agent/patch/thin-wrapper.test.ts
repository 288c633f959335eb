import { describe, expect, it } from 'vitest';

import { THIN_WRAPPER_SIZE_BYTES, wrappedFunction } from '../../../../src/agent/patch/thin-wrapper.ts';

const address = 0x7ff8_1000_0000n;
const wrapped = 0x7ff9_0000_1230n;

/** Code as the text says, in hexadecimal, with breakpoints behind. */
function code(text: string): Uint8Array {
  const bytes = new Uint8Array(THIN_WRAPPER_SIZE_BYTES).fill(0xcc);
  bytes.set(text.split(' ').map((byte) => parseInt(byte, 16)));
  return bytes;
}

/** The slot lies 0x1000 bytes behind the code. */
const readPointer = (place: bigint): bigint | undefined => (place === address + 0x1000n ? wrapped : undefined);

describe('a function that only calls another one is', () => {
  it.each([
    ['gcc’s, in Wine 8', '48 8d a4 24 00 00 00 00 48 83 ec 28 ff 15 ee 0f 00 00 0f b6 c0 48 83 c4 28 c3'],
    ['one of Microsoft’s compiler', '48 83 ec 28 ff 15 f6 0f 00 00 0f b6 c0 48 83 c4 28 c3'],
    [
      'one with a filled-up call',
      '48 83 ec 28 48 ff 15 f5 0f 00 00 0f 1f 44 00 00 0f b6 c0 48 83 c4 28 c3', // call; nop dword ptr [rax + rax]
    ],
  ])('%s', (_, text) => {
    expect(wrappedFunction(code(text), address, readPointer)).toBe(wrapped);
  });
});

describe('a function does more that', () => {
  it.each([
    ['changes its argument', '48 83 ec 28 8b c9 ff 15 f4 0f 00 00 0f b6 c0 48 83 c4 28 c3'], // mov ecx, ecx
    ['changes the result', '48 83 ec 28 ff 15 f6 0f 00 00 0f b6 c0 34 01 48 83 c4 28 c3'], // xor al, 1
    ['returns another width', '48 83 ec 28 ff 15 f6 0f 00 00 48 83 c4 28 c3'],
    ['calls a function of its own', '48 83 ec 28 e8 f7 0f 00 00 0f b6 c0 48 83 c4 28 c3'],
    ['looks itself', '83 f9 40 73 0b 8b c1 0f b6 80 74 02 fe 7f c3'], // cmp ecx, 64; jae; …
    ['jumps', '48 ff 25 f9 0f 00 00 cc'],
    ['calls by a slot that cannot be read', '48 83 ec 28 ff 15 00 00 00 00 0f b6 c0 48 83 c4 28 c3'],
  ])('%s', (_, text) => {
    expect(wrappedFunction(code(text), address, readPointer)).toBeUndefined();
  });
});
