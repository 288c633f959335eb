import { typeIndex } from '../../tables/object-types.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label } from '../../asm/operands.ts';
import { eax, rax, rcx } from '../../asm/registers.ts';

/**
 * Emits `u32 fileOrSocketType(OBJECT_ATTRIBUTES*)`: the type index of `Socket` for a path that begins with
 * `\Device\Afd`, and else that of `File`. The kernel has accepted the structure before. A leaf function.
 */
export function emitFileOrSocketType(asm: Assembler, begin: Label): void {
  const file = asm.label('file');
  asm.align(16);
  asm.bind(begin);
  asm.test(rcx, rcx);
  asm.j('e', file);
  asm.mov(rcx, at(rcx, 0x10)); // PUNICODE_STRING ObjectName
  asm.test(rcx, rcx);
  asm.j('e', file);
  asm.movzx16(rax, at(rcx)); // USHORT Length
  asm.cmp(eax, '\\Device\\Afd'.length * 2);
  asm.j('b', file);
  asm.mov(rcx, at(rcx, 8)); // PWSTR Buffer
  for (const [start, text] of [
    [0, '\\Dev'],
    [4, 'ice\\'],
    [7, '\\Afd'],
  ] as const) {
    asm.mov(rax, Buffer.from(text, 'utf16le').readBigUInt64LE());
    asm.cmp(rax, at(rcx, start * 2));
    asm.j('ne', file);
  }
  asm.mov(eax, typeIndex('Socket'));
  asm.ret();
  asm.bind(file);
  asm.mov(eax, typeIndex('File'));
  asm.ret();
}
