import { describe, expect, it } from 'vitest';

import { JUMP_FORM_SIZE_BYTES, jumpTarget } from '../../../../src/agent/patch/jump-target.ts';

const address = 0x7ff8_1000_0000n;
const far = 0x7ff9_0000_1230n;

/** Code that begins as the text says, in hexadecimal, and goes on with breakpoints. */
function code(text: string): Uint8Array {
  const bytes = new Uint8Array(JUMP_FORM_SIZE_BYTES).fill(0xcc);
  bytes.set(text.split(' ').map((byte) => parseInt(byte, 16)));
  return bytes;
}

/** The pointer `far` lies 0x1006 bytes behind the code. */
const read = (place: bigint, sizeBytes: number): Uint8Array | undefined =>
  place === address + 0x1006n && sizeBytes === 8 ? new Uint8Array(BigUint64Array.of(far).buffer) : undefined;

describe('a hook leads elsewhere by', () => {
  it.each<[title: string, text: string, target: bigint]>([
    ['jmp rel32', 'e9 fb 0f 00 00', address + 0x1000n],
    ['jmp rel8', 'eb f9', address - 5n],
    ['jmp [rip + disp32]', 'ff 25 00 10 00 00', far],
    ['jmp [rip + disp32] with a wide prefix', '48 ff 25 ff 0f 00 00', far],
    ['mov rax, imm64; jmp rax', '48 b8 30 12 00 00 f9 7f 00 00 ff e0', far],
    ['mov r11, imm64; jmp r11', '49 bb 30 12 00 00 f9 7f 00 00 41 ff e3', far],
    ['push rax; mov rax, imm64; xchg [rsp], rax; ret', '50 48 b8 30 12 00 00 f9 7f 00 00 48 87 04 24 c3', far],
    ['push imm32; mov [rsp+4], imm32; ret', '68 30 12 00 00 c7 44 24 04 f9 7f 00 00 c3', far],
    ['push imm32; ret', '68 30 12 00 70 c3', 0x7000_1230n],
    ['a jump behind mov r10, rcx', '4c 8b d1 e9 f8 0f 00 00', address + 0x1000n],
  ])('%s', (_, text, target) => {
    expect(jumpTarget(code(text), address, read)).toBe(target);
  });
});

describe('a function is not hooked that begins with', () => {
  it.each([
    ['a system call', '4c 8b d1 b8 48 00 00 00 f6 04 25 08 03 fe 7f 01'],
    ['a frame', '48 83 ec 28 48 8b 05'],
    ['a constant', '48 b8 30 12 00 00 f9 7f 00 00 c3'],
    ['a pushed number', '68 30 12 00 00 48 83 ec 28'],
    ['a jump through a pointer that cannot be read', 'ff 25 00 20 00 00'],
  ])('%s', (_, text) => {
    expect(jumpTarget(code(text), address, read)).toBeUndefined();
  });
});
