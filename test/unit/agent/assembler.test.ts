import { describe, expect, test } from 'vitest';

import { Assembler } from '../../../src/agent/asm/assembler.ts';
import { absolute, at, indexed, teb } from '../../../src/agent/asm/operands.ts';
import {
  eax,
  ecx,
  edx,
  esi,
  r10,
  r10d,
  r11,
  r11d,
  r12,
  r13,
  r14,
  r15,
  r15d,
  r8,
  r8d,
  r9,
  r9d,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
  rsp,
} from '../../../src/agent/asm/registers.ts';
import { hex } from './hex.ts';

function assemble(emit: (a: Assembler) => void): string {
  const asm = new Assembler();
  emit(asm);
  return hex(asm.assemble().bytes);
}

/**
 * Every form that the agent uses, and the corners of each. Bytes and mnemonics were compared with GNU as and objdump
 * 2.40.
 */
const instructions: readonly (readonly [bytes: string, mnemonic: string, emit: (a: Assembler) => void])[] = [
  // Moves between registers and memory
  ['48 89 c8', 'mov rax, rcx', (a) => a.mov(rax, rcx)],
  ['49 89 e7', 'mov r15, rsp', (a) => a.mov(r15, rsp)],
  ['44 89 c8', 'mov eax, r9d', (a) => a.mov(eax, r9d)],
  ['41 89 d0', 'mov r8d, edx', (a) => a.mov(r8d, edx)],
  ['48 89 01', 'mov QWORD PTR [rcx], rax', (a) => a.mov(at(rcx), rax)],
  ['41 89 41 18', 'mov DWORD PTR [r9+0x18], eax', (a) => a.mov(at(r9, 0x18), eax)],
  ['48 8b 01', 'mov rax, QWORD PTR [rcx]', (a) => a.mov(rax, at(rcx))],
  ['4c 8b b3 98 00 00 00', 'mov r14, QWORD PTR [rbx+0x98]', (a) => a.mov(r14, at(rbx, 0x98))],
  ['8b 77 fc', 'mov esi, DWORD PTR [rdi-4]', (a) => a.mov(esi, at(rdi, -4))],
  // Every kind of address
  ['48 8b 04 24', 'mov rax, QWORD PTR [rsp]', (a) => a.mov(rax, at(rsp))],
  ['48 8b 44 24 7f', 'mov rax, QWORD PTR [rsp+0x7f]', (a) => a.mov(rax, at(rsp, 0x7f))],
  ['48 8b 84 24 80 00 00 00', 'mov rax, QWORD PTR [rsp+0x80]', (a) => a.mov(rax, at(rsp, 0x80))],
  ['48 8b 44 24 80', 'mov rax, QWORD PTR [rsp-0x80]', (a) => a.mov(rax, at(rsp, -0x80))],
  ['48 8b 84 24 7f ff ff ff', 'mov rax, QWORD PTR [rsp-0x81]', (a) => a.mov(rax, at(rsp, -0x81))],
  ['48 8b 45 00', 'mov rax, QWORD PTR [rbp+0x0]', (a) => a.mov(rax, at(rbp))],
  ['49 8b 45 00', 'mov rax, QWORD PTR [r13+0x0]', (a) => a.mov(rax, at(r13))],
  ['49 8b 04 24', 'mov rax, QWORD PTR [r12]', (a) => a.mov(rax, at(r12))],
  ['49 8b 44 24 10', 'mov rax, QWORD PTR [r12+0x10]', (a) => a.mov(rax, at(r12, 0x10))],
  ['49 8b 85 78 56 34 12', 'mov rax, QWORD PTR [r13+0x12345678]', (a) => a.mov(rax, at(r13, 0x12345678))],
  ['48 8b 04 11', 'mov rax, QWORD PTR [rcx+rdx*1]', (a) => a.mov(rax, indexed(rcx, rdx, 1))],
  ['4a 8b 04 d9', 'mov rax, QWORD PTR [rcx+r11*8]', (a) => a.mov(rax, indexed(rcx, r11, 8))],
  ['49 8b 84 81 00 50 00 00', 'mov rax, QWORD PTR [r9+rax*4+0x5000]', (a) => a.mov(rax, indexed(r9, rax, 4, 0x5000))],
  ['4a 8b 44 f4 20', 'mov rax, QWORD PTR [rsp+r14*8+0x20]', (a) => a.mov(rax, indexed(rsp, r14, 8, 0x20))],
  ['48 8b 44 4d 00', 'mov rax, QWORD PTR [rbp+rcx*2+0x0]', (a) => a.mov(rax, indexed(rbp, rcx, 2))],
  ['4b 8b 44 65 00', 'mov rax, QWORD PTR [r13+r12*2+0x0]', (a) => a.mov(rax, indexed(r13, r12, 2))],
  ['43 89 44 da f8', 'mov DWORD PTR [r10+r11*8-8], eax', (a) => a.mov(indexed(r10, r11, 8, -8), eax)],
  ['65 48 8b 04 25 60 00 00 00', 'mov rax, QWORD PTR gs:0x60', (a) => a.mov(rax, teb(0x60))],
  ['65 4c 8b 24 25 08 00 00 00', 'mov r12, QWORD PTR gs:0x8', (a) => a.mov(r12, teb(8))],
  ['65 89 04 25 68 00 00 00', 'mov DWORD PTR gs:0x68, eax', (a) => a.mov(teb(0x68), eax)],
  ['48 8b 04 25 14 00 fe 7f', 'mov rax, QWORD PTR ds:0x7ffe0014', (a) => a.mov(rax, absolute(0x7ffe0014))],
  ['4c 8b 1c 25 14 00 fe 7f', 'mov r11, QWORD PTR ds:0x7ffe0014', (a) => a.mov(r11, absolute(0x7ffe0014))],
  // Immediates
  ['b8 00 00 00 00', 'mov eax, 0x0', (a) => a.mov(rax, 0)],
  ['b9 ff ff ff ff', 'mov ecx, 0xffffffff', (a) => a.mov(rcx, 0xffff_ffff)],
  ['41 b8 01 00 00 00', 'mov r8d, 0x1', (a) => a.mov(r8d, 1)],
  ['41 b9 ff ff ff 7f', 'mov r9d, 0x7fffffff', (a) => a.mov(r9, 0x7fff_ffffn)],
  ['b8 ff ff ff ff', 'mov eax, 0xffffffff', (a) => a.mov(eax, -1)],
  ['48 c7 c2 ff ff ff ff', 'mov rdx, 0xffffffffffffffff', (a) => a.mov(rdx, -1n)],
  ['49 c7 c2 00 00 00 80', 'mov r10, 0xffffffff80000000', (a) => a.mov(r10, -0x8000_0000)],
  ['48 b8 88 77 66 55 44 33 22 11', 'movabs rax, 0x1122334455667788', (a) => a.mov(rax, 0x1122_3344_5566_7788n)],
  ['49 bf 15 7c 4a 7f b9 79 37 9e', 'movabs r15, 0x9e3779b97f4a7c15', (a) => a.mov(r15, 0x9e37_79b9_7f4a_7c15n)],
  ['48 b8 ff ff ff 7f ff ff ff ff', 'movabs rax, 0xffffffff7fffffff', (a) => a.mov(rax, -0x8000_0001n)],
  ['c7 41 7c 01 00 00 00', 'mov DWORD PTR [rcx+0x7c], 0x1', (a) => a.movImmediate32(at(rcx, 0x7c), 1)],
  ['41 c7 07 00 00 00 00', 'mov DWORD PTR [r15], 0x0', (a) => a.movImmediate32(at(r15), 0)],
  ['c7 00 ff ff ff ff', 'mov DWORD PTR [rax], 0xffffffff', (a) => a.movImmediate32(at(rax), 0xffff_ffff)],
  ['48 c7 44 24 20 30 00 00 00', 'mov QWORD PTR [rsp+0x20], 0x30', (a) => a.movImmediate64(at(rsp, 0x20), 0x30)],
  ['49 c7 02 00 00 00 00', 'mov QWORD PTR [r10], 0x0', (a) => a.movImmediate64(at(r10), 0)],
  [
    '48 c7 44 24 70 60 79 fe ff',
    'mov QWORD PTR [rsp+0x70], 0xfffffffffffe7960',
    (a) => a.movImmediate64(at(rsp, 0x70), -100_000),
  ],
  // Narrow reads
  ['0f b7 01', 'movzx eax, WORD PTR [rcx]', (a) => a.movzx16(rax, at(rcx))],
  ['45 0f b7 4c 24 02', 'movzx r9d, WORD PTR [r12+0x2]', (a) => a.movzx16(r9, at(r12, 2))],
  ['0f b6 41 03', 'movzx eax, BYTE PTR [rcx+0x3]', (a) => a.movzx8(rax, at(rcx, 3))],
  ['45 0f b6 45 00', 'movzx r8d, BYTE PTR [r13+0x0]', (a) => a.movzx8(r8, at(r13))],
  ['48 63 d2', 'movsxd rdx, edx', (a) => a.movsxd(rdx, edx)],
  ['4c 63 c8', 'movsxd r9, eax', (a) => a.movsxd(r9, eax)],
  ['49 63 40 04', 'movsxd rax, DWORD PTR [r8+0x4]', (a) => a.movsxd(rax, at(r8, 4))],
  // Addresses
  ['48 8d 54 24 70', 'lea rdx, [rsp+0x70]', (a) => a.lea(rdx, at(rsp, 0x70))],
  ['4c 8d 46 08', 'lea r8, [rsi+0x8]', (a) => a.lea(r8, at(rsi, 8))],
  ['4d 8d 94 01 00 50 00 00', 'lea r10, [r9+rax*1+0x5000]', (a) => a.lea(r10, indexed(r9, rax, 1, 0x5000))],
  ['4d 8d 44 c8 f8', 'lea r8, [r8+rcx*8-0x8]', (a) => a.lea(r8, indexed(r8, rcx, 8, -8))],
  // Arithmetic
  ['48 01 c1', 'add rcx, rax', (a) => a.add(rcx, rax)],
  ['49 83 c2 01', 'add r10, 0x1', (a) => a.add(r10, 1)],
  ['81 c0 34 12 00 00', 'add eax, 0x1234', (a) => a.add(eax, 0x1234)],
  ['48 83 c3 80', 'add rbx, 0xffffffffffffff80', (a) => a.add(rbx, -0x80)],
  ['48 03 44 24 40', 'add rax, QWORD PTR [rsp+0x40]', (a) => a.add(rax, at(rsp, 0x40))],
  ['4d 01 01', 'add QWORD PTR [r9], r8', (a) => a.add(at(r9), r8)],
  ['48 83 40 10 7f', 'add QWORD PTR [rax+0x10], 0x7f', (a) => a.add(at(rax, 0x10), 0x7f)],
  ['48 09 d0', 'or rax, rdx', (a) => a.or(rax, rdx)],
  ['83 ca 1a', 'or edx, 0x1a', (a) => a.or(edx, 0x1a)],
  ['81 ca 00 00 03 00', 'or edx, 0x30000', (a) => a.or(edx, 0x3_0000)],
  ['4c 0b 19', 'or r11, QWORD PTR [rcx]', (a) => a.or(r11, at(rcx))],
  ['09 41 08', 'or DWORD PTR [rcx+0x8], eax', (a) => a.or(at(rcx, 8), eax)],
  ['83 e0 01', 'and eax, 0x1', (a) => a.and(eax, 1)],
  ['81 e2 ff 3f 00 00', 'and edx, 0x3fff', (a) => a.and(edx, 0x3fff)],
  ['4d 21 c8', 'and r8, r9', (a) => a.and(r8, r9)],
  ['48 83 ec 28', 'sub rsp, 0x28', (a) => a.sub(rsp, 0x28)],
  ['48 81 ec 68 06 00 00', 'sub rsp, 0x668', (a) => a.sub(rsp, 0x668)],
  ['41 83 ea 01', 'sub r10d, 0x1', (a) => a.sub(r10d, 1)],
  ['48 29 d8', 'sub rax, rbx', (a) => a.sub(rax, rbx)],
  ['65 48 2b 04 25 10 00 00 00', 'sub rax, QWORD PTR gs:0x10', (a) => a.sub(rax, teb(0x10))],
  ['31 c0', 'xor eax, eax', (a) => a.xor(eax, eax)],
  ['45 31 ff', 'xor r15d, r15d', (a) => a.xor(r15d, r15d)],
  ['49 31 c5', 'xor r13, rax', (a) => a.xor(r13, rax)],
  ['48 83 f1 ff', 'xor rcx, 0xffffffffffffffff', (a) => a.xor(rcx, -1)],
  ['48 83 f9 ff', 'cmp rcx, 0xffffffffffffffff', (a) => a.cmp(rcx, -1)],
  ['48 81 f9 00 00 10 00', 'cmp rcx, 0x100000', (a) => a.cmp(rcx, 0x10_0000)],
  ['81 f9 08 00 00 c0', 'cmp ecx, 0xc0000008', (a) => a.cmp(ecx, 0xc000_0008 | 0)],
  ['41 81 f9 02 01 00 00', 'cmp r9d, 0x102', (a) => a.cmp(r9d, 0x102)],
  ['65 48 3b 1c 25 10 00 00 00', 'cmp rbx, QWORD PTR gs:0x10', (a) => a.cmp(rbx, teb(0x10))],
  ['48 83 bc 24 98 00 00 00 00', 'cmp QWORD PTR [rsp+0x98], 0x0', (a) => a.cmp(at(rsp, 0x98), 0)],
  ['48 83 bc 24 98 00 00 00 ff', 'cmp QWORD PTR [rsp+0x98], 0xffffffffffffffff', (a) => a.cmp(at(rsp, 0x98), -1)],
  [
    '4d 3b 84 c1 00 50 15 00',
    'cmp r8, QWORD PTR [r9+rax*8+0x155000]',
    (a) => a.cmp(r8, indexed(r9, rax, 8, 0x15_5000)),
  ],
  ['44 3b 52 0c', 'cmp r10d, DWORD PTR [rdx+0xc]', (a) => a.cmp(r10d, at(rdx, 12))],
  ['41 83 7a 38 00', 'cmp DWORD PTR [r10+0x38], 0x0', (a) => a.cmpImmediate32(at(r10, 0x38), 0)],
  [
    '81 7c 24 68 00 00 00 01',
    'cmp DWORD PTR [rsp+0x68], 0x1000000',
    (a) => a.cmpImmediate32(at(rsp, 0x68), 0x100_0000),
  ],
  [
    '81 7c 01 28 01 00 00 80',
    'cmp DWORD PTR [rcx+rax*1+0x28], 0x80000001',
    (a) => a.cmpImmediate32(indexed(rcx, rax, 1, 0x28), 0x8000_0001 | 0),
  ],
  ['48 85 c0', 'test rax, rax', (a) => a.test(rax, rax)],
  ['85 c9', 'test ecx, ecx', (a) => a.test(ecx, ecx)],
  ['4d 85 c9', 'test r9, r9', (a) => a.test(r9, r9)],
  ['4c 85 c1', 'test rcx, r8', (a) => a.test(rcx, r8)],
  ['f7 c2 00 00 00 20', 'test edx, 0x20000000', (a) => a.test(edx, 0x2000_0000)],
  ['41 f7 c2 01 00 00 00', 'test r10d, 0x1', (a) => a.test(r10d, 1)],
  ['49 f7 c3 07 00 00 00', 'test r11, 0x7', (a) => a.test(r11, 7)],
  ['4d 0f af ef', 'imul r13, r15', (a) => a.imul(r13, r15)],
  ['0f af c1', 'imul eax, ecx', (a) => a.imul(eax, ecx)],
  ['49 0f af 54 24 08', 'imul rdx, QWORD PTR [r12+0x8]', (a) => a.imul(rdx, at(r12, 8))],
  // Shifts
  ['48 c1 e1 06', 'shl rcx, 0x6', (a) => a.shl(rcx, 6)],
  ['c1 e2 15', 'shl edx, 0x15', (a) => a.shl(edx, 21)],
  ['49 c1 ea 2e', 'shr r10, 0x2e', (a) => a.shr(r10, 46)],
  ['c1 e8 10', 'shr eax, 0x10', (a) => a.shr(eax, 16)],
  ['48 c1 f8 3f', 'sar rax, 0x3f', (a) => a.sar(rax, 63)],
  ['41 c1 f8 15', 'sar r8d, 0x15', (a) => a.sar(r8d, 21)],
  // The stack
  ['53', 'push rbx', (a) => a.push(rbx)],
  ['55', 'push rbp', (a) => a.push(rbp)],
  ['41 54', 'push r12', (a) => a.push(r12)],
  ['41 57', 'push r15', (a) => a.push(r15)],
  ['5f', 'pop rdi', (a) => a.pop(rdi)],
  ['41 58', 'pop r8', (a) => a.pop(r8)],
  // With a lock
  ['f0 4c 0f b1 11', 'lock cmpxchg QWORD PTR [rcx], r10', (a) => a.lockCmpxchg(at(rcx), r10)],
  ['f0 45 0f b1 0f', 'lock cmpxchg DWORD PTR [r15], r9d', (a) => a.lockCmpxchg(at(r15), r9d)],
  [
    'f0 47 0f b1 9c 91 00 40 15 00',
    'lock cmpxchg DWORD PTR [r9+r10*4+0x154000], r11d',
    (a) => a.lockCmpxchg(indexed(r9, r10, 4, 0x15_4000), r11d),
  ],
  ['f0 49 0f c1 41 10', 'lock xadd QWORD PTR [r9+0x10], rax', (a) => a.lockXadd(at(r9, 0x10), rax)],
  ['f0 41 0f c1 42 70', 'lock xadd DWORD PTR [r10+0x70], eax', (a) => a.lockXadd(at(r10, 0x70), eax)],
  ['f0 ff 40 18', 'lock inc DWORD PTR [rax+0x18]', (a) => a.lockInc32(at(rax, 0x18))],
  ['f0 41 ff 46 2c', 'lock inc DWORD PTR [r14+0x2c]', (a) => a.lockInc32(at(r14, 0x2c))],
  ['f0 ff 48 38', 'lock dec DWORD PTR [rax+0x38]', (a) => a.lockDec32(at(rax, 0x38))],
  ['f0 41 ff 08', 'lock dec DWORD PTR [r8]', (a) => a.lockDec32(at(r8))],
  // Calls and jumps through registers and memory
  ['ff d0', 'call rax', (a) => a.call(rax)],
  ['41 ff d3', 'call r11', (a) => a.call(r11)],
  ['ff 50 08', 'call QWORD PTR [rax+0x8]', (a) => a.call(at(rax, 8))],
  ['41 ff 14 24', 'call QWORD PTR [r12]', (a) => a.call(at(r12))],
  ['ff 14 25 00 10 fe 7f', 'call QWORD PTR ds:0x7ffe1000', (a) => a.call(absolute(0x7ffe_1000))],
  ['ff e1', 'jmp rcx', (a) => a.jmp(rcx)],
  ['41 ff e2', 'jmp r10', (a) => a.jmp(r10)],
  ['c3', 'ret', (a) => a.ret()],
  ['f3 90', 'pause', (a) => a.pause()],
];

describe('an instruction is assembled byte for byte', () => {
  test.each(instructions)('%s  %s', (bytes, _mnemonic, emit) => {
    expect(assemble(emit)).toBe(bytes);
  });
});

describe('what does not exist or does not fit is refused', () => {
  test.each<[string, (a: Assembler) => void, RegExp]>([
    ['mov [rax], [rcx]', (a) => a.mov(at(rax), at(rcx)), /two memory operands/],
    ['mov [rax], 1 without a size', (a) => a.mov(at(rax), 1), /needs a size/],
    ['add [rax], [rcx]', (a) => a.add(at(rax), at(rcx)), /two memory operands/],
    ['an index of rsp', () => indexed(rax, rsp, 1), /rsp cannot be an index/],
    [
      'cmp rax, 0x80000000, which would be extended to a negative value',
      (a) => a.cmp(rax, 0x8000_0000),
      /does not fit in 32 bits/,
    ],
    ['test rax, 0x80000000', (a) => a.test(rax, 0x8000_0000), /does not fit in 32 bits/],
    ['mov qword ptr [rax], 0x80000000', (a) => a.movImmediate64(at(rax), 0x8000_0000), /does not fit in 32 bits/],
    ['a displacement of 2 GiB', (a) => a.mov(rax, at(rcx, 0x8000_0000)), /does not fit in 32 bits/],
    ['an absolute address above 2 GiB', (a) => a.mov(rax, absolute(0x1_7ffe_0014)), /does not fit in 32 bits/],
  ])('%s', (_what, emit, message) => {
    expect(() => emit(new Assembler())).toThrow(message);
  });
});
