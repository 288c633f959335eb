import { describe, expect, test } from 'vitest';

import { copyPrologue, holdsAddress, JUMP_SIZE_BYTES, movePrologue } from '../../../../src/agent/patch/prologue.ts';
import { seededRandom } from '../random.ts';

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(' '), (byte) => parseInt(byte, 16));
}

const module = { base: 0x1_8000_0000n, end: 0x1_8002_9000n };
const address = 0x1_8000_8eb0n;

function sizeOf(code: Uint8Array): number | undefined {
  return movePrologue(code, address, module)?.sizeBytes;
}

/** Beginnings of functions, instruction by instruction; those that are moved are before the bar. */
const movable: readonly (readonly [compiler: string, code: string])[] = [
  // Wine 8.0 (Debian 12), ws2_32.dll, read by objdump
  ['gcc: bind', '41 57, 41 56, 41 55 | 41 54'], // push r15; push r14; push r13
  ['gcc: closesocket', '56, 53, 48 83 ec 38 | 48 89 cb'], // push rsi; push rbx; sub rsp, 38h
  ['gcc: accept', '41 54, 55, 57, 56 | 53'], // push r12; push rbp; push rdi; push rsi
  ['gcc: WSAEventSelect', '55, 57, 56, 53, 48 83 ec 78 | 48 8d 35 01 37 00 00'], // push x 4; sub rsp, 78h
  ['gcc: ioctlsocket', '48 83 ec 68, 41 b9 04 00 00 00 | 48 8d 44 24 5c'], // sub rsp, 68h; mov r9d, 4
  ['gcc: recv', '48 83 ec 78, 48 8d 44 24 5c | 44 89 4c 24 5c'], // sub rsp, 78h; lea rax, [rsp+5ch]
  ['gcc: recvfrom', '48 83 ec 78, 48 8b 84 24 a8 00 00 00 | 48 89 44 24 30'], // sub rsp, 78h; mov rax, [rsp+0a8h]
  ['gcc: sendto', '48 83 ec 78, 8b 84 24 a8 00 00 00 | 89 44 24 30'], // sub rsp, 78h; mov eax, [rsp+0a8h]
  ['gcc: send', '48 83 ec 78, 44 89 4c 24 20 | 4c 8d 4c 24 5c'], // sub rsp, 78h; mov [rsp+20h], r9d
  // The beginnings that Microsoft's compiler gives to functions
  ['msvc: saves in the home space', '48 89 5c 24 08 | 48 89 6c 24 10'], // mov [rsp+8], rbx
  ['msvc: keeps the stack pointer in rax', '48 8b c4, 48 89 58 08 | 48 89 68 10'], // mov rax, rsp; mov [rax+8], rbx
  ['msvc: keeps the stack pointer in r11', '4c 8b dc, 49 89 5b 08 | 57'], // mov r11, rsp; mov [r11+8], rbx
  ['msvc: a push with an empty prefix', '40 53, 48 83 ec 20 | 8b d9'], // push rbx; sub rsp, 20h
  ['msvc: a large frame', '48 81 ec 88 01 00 00 | 48 8b 05'], // sub rsp, 188h
  // push rbp; push r14; lea rbp, [rsp-47h]
  ['msvc: two pushes and a frame pointer', '40 55, 41 56, 48 8d 6c 24 b9 | 48'],
  ['msvc: hot-patchable', '8b ff, 55, 8b ec | 51'], // mov edi, edi; push rbp; mov ebp, esp
  ['msvc: clears first', '33 c0, 45 33 c9 | 48 83 ec 28'], // xor eax, eax; xor r9d, r9d
  ['msvc: tests its argument', '48 85 c9, 48 8b c1 | 74 05'], // test rcx, rcx; mov rax, rcx
  ['with control-flow enforcement', 'f3 0f 1e fa, 48 83 ec 28 | e8'], // endbr64; sub rsp, 28h
  ['msvc: tests a flag', 'f6 41 18 40, 0f b6 c2 | 74 05'], // test byte ptr [rcx+18h], 40h; movzx eax, dl
  ['msvc: compares its arguments', '3b ca, 80 79 18 00 | 75 05'], // cmp ecx, edx; cmp byte ptr [rcx+18h], 0
  ['msvc: keeps a byte', '88 54 24 10, 84 d2 | 74 05'], // mov [rsp+10h], dl; test dl, dl
  ['msvc: keeps a short', '66 89 4c 24 08 | c3'], // mov [rsp+8], cx
  ['msvc: reads its guard', '48 83 ec 28, 48 8b 05 10 20 00 00 | 48 33 c4'], // sub rsp, 28h; mov rax, [rip+2010h]
  ['a vector', '0f 29 74 24 20 | c3'], // movaps [rsp+20h], xmm6
  ['a constant', '68 00 01 00 00 | c3'], // push 100h
  ['a division', 'f7 f1, 83 c4 08 | c3'], // div ecx; add esp, 8
  // Every form of an address
  ['a 64-bit immediate', '48 b8 11 22 33 44 55 66 77 88 | c3'], // mov rax, 8877665544332211h
  ['an immediate to memory', 'c7 44 24 20 01 00 00 00 | c3'], // mov dword ptr [rsp+20h], 1
  ['a wide immediate to memory', '48 c7 44 24 40 00 00 00 00 | c3'], // mov qword ptr [rsp+40h], 0
  ['an absolute address', '8b 04 25 08 03 fe 7f | c3'], // mov eax, [7ffe0308h]
  ['a scaled index without a base', '48 8b 04 cd 00 10 00 00 | c3'], // mov rax, [rcx*8+1000h]
  ['a large displacement', '8b 81 00 10 00 00 | c3'], // mov eax, [rcx+1000h]
  ['a comparison with memory', '48 83 79 10 00 | 74'], // cmp qword ptr [rcx+10h], 0
];

describe('a function that begins as compilers begin functions can be hooked', () => {
  test.each(movable)('%s: %s', (_compiler, code) => {
    const moved = code.split(' | ')[0]!.replaceAll(',', '');
    const whole = bytes(code.replaceAll(',', '').replace(' |', ''));
    expect(sizeOf(Uint8Array.of(...whole, 0xcc, 0xcc, 0xcc, 0xcc))).toBe(bytes(moved).length);
  });
});

describe('a function is left as it is when it begins with', () => {
  test.each([
    ['a jump, being hooked already', 'e9 11 22 33 44 48 83 ec 28'],
    ['an indirect jump, being an import', 'ff 25 10 20 00 00 cc cc'],
    ['a call', 'e8 11 22 33 44 48 83 c4 28'],
    ['a condition too early', '48 85 c9 74 10 48 8b 01'], // test rcx, rcx; je
    ['its end', 'c3 cc cc cc cc cc'],
    ['less than a jump and its end', '33 c0 c3 cc cc cc'], // xor eax, eax; ret
    ['a short jump that leaves no room', 'eb 10 90 90 90 90'],
    ['a short jump behind it that leaves no room', '33 d2 eb 10 90 90'], // xor edx, edx; jmp
    ['a jump into the replaced bytes', '33 d2 66 90 eb fc 90'], // xor edx, edx; xchg ax, ax; jmp -4
    ['a call behind it', '48 83 ec 28 e8 11 22 33 44'], // sub rsp, 28h; call
    ['a vector instruction of a later time', 'c5 f8 77 c3 cc cc'], // vzeroupper
    ['a breakpoint', 'cc 83 ec 28 48 89 cb'],
    ['a transaction', 'c7 f8 10 00 00 00 c3'], // xbegin: relative to itself
  ])('%s', (_what, code) => {
    expect(sizeOf(bytes(code))).toBeUndefined();
  });

  test('fewer bytes than its instructions have', () => {
    for (const [, code] of movable) {
      const moved = bytes(code.split(' | ')[0]!.replaceAll(',', ''));
      for (let size = 0; size < moved.length; size++) expect(sizeOf(moved.subarray(0, size)), code).toBeUndefined();
    }
  });
});

describe('a hooked function goes on', () => {
  test('behind the instructions that were moved', () => {
    expect(movePrologue(bytes('56 53 48 83 ec 38 48 89 cb'), address, module)).toEqual({
      sizeBytes: 6,
      continuesAt: address + 6n,
      distances: [],
    });
  });

  test('where it jumps to, when it is nothing but a jump to another function of its module', () => {
    const code = bytes('e9 bb b5 ff ff 90 90 90'); // Wine 10.0 (Debian 13), gcc: WSASendTo
    expect(movePrologue(code, address, module)).toEqual({
      sizeBytes: 0,
      continuesAt: 0x1_8000_4470n,
      distances: [],
    });
  });

  test('where it jumps to after its first instructions', () => {
    // xor edx, edx; jmp
    expect(movePrologue(bytes('33 d2 e9 00 01 00 00 cc'), address, module)).toEqual({
      sizeBytes: 2,
      continuesAt: address + 0x107n,
      distances: [],
    });
  });

  test.each([
    ['by a hook of other software: its jump leaves the module', 'e9 00 00 00 40 90 90 90'],
    ['by a hook below the module', 'e9 00 00 00 c0 90 90 90'],
    ['nowhere: its jump is cut off', 'e9 bb b5 ff'],
    ['to an unknown place', 'ff 25 10 20 00 00 cc cc'],
  ])('%s: it is left as it is', (_what, code) => {
    expect(movePrologue(bytes(code), address, module)).toBeUndefined();
  });
});

test('any bytes give no size, or one that makes room for a jump and can be read', () => {
  const random = seededRandom(0x9e37);
  for (let round = 0; round < 20_000; round++) {
    const code = Uint8Array.from({ length: 1 + random.below(24) }, () => random.below(256));
    const moved = movePrologue(code, address, module);
    if (moved === undefined) continue;
    if (moved.continuesAt === address + BigInt(moved.sizeBytes))
      expect(moved.sizeBytes).toBeGreaterThanOrEqual(JUMP_SIZE_BYTES);
    expect(moved.sizeBytes).toBeLessThanOrEqual(code.length);
  }
});

describe('a copy of the moved part', () => {
  test('leads to the same operands', () => {
    const code = bytes('40 53 83 3d 10 20 00 00 00 48 8d 0d 00 01 00 00'); // push rbx; cmp [rip+2010h], 0; lea
    const moved = movePrologue(code, address, module)!;
    expect(moved.sizeBytes).toBe(9);
    // The operand lies at address + 9 + 2010h, and the copy 1000h below.
    expect(copyPrologue(code, moved, address, address - 0x1000n)).toEqual(bytes('40 53 83 3d 10 30 00 00 00'));
  });

  test('leaves the code that it is made of as it is, even in a Buffer', () => {
    const code = Buffer.from('488b0510200000c3', 'hex');
    copyPrologue(code, movePrologue(code, address, module)!, address, address - 0x1000n);
    expect(code.toString('hex')).toBe('488b0510200000c3');
  });

  test('is refused where an operand is out of reach', () => {
    const code = bytes('48 8b 05 10 20 00 00 c3');
    const moved = movePrologue(code, address, module)!;
    expect(() => copyPrologue(code, moved, address, address + 0x1_0000_0000n)).toThrow('out of reach');
  });

  test.each([
    ['48 b8 11 22 33 44 55 66 77 88', true], // mov rax, imm64
    ['48 83 ec 28 48 b8 11 22 33 44 55 66 77 88', true],
    ['48 89 5c 24 08', false],
  ])('of %s may hold an address: %s', (text, holds) => {
    const code = bytes(text);
    expect(holdsAddress(code, movePrologue(code, address, module)!)).toBe(holds);
  });
});
