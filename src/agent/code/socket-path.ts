import { typeIndex } from '../hook-table.ts';
import { type Assembler, at, type Label, low32, rax, rcx } from './assembler.ts';

/**
 * Emits `u32 isSocketPath(OBJECT_ATTRIBUTES*)`: the type index of `Socket` for a path that begins with `\Device\Afd`, else of
 * `File`. Called after the kernel has accepted the structure. A leaf function.
 */
export function emitIsSocketPath(assembler: Assembler, begin: Label): void {
  const file = assembler.label('file');
  assembler.align(16);
  assembler.bind(begin);
  assembler.test(rcx, rcx);
  assembler.j('e', file);
  assembler.mov(rcx, at(rcx, 0x10)); // PUNICODE_STRING ObjectName
  assembler.test(rcx, rcx);
  assembler.j('e', file);
  assembler.movzx16(rax, at(rcx)); // USHORT Length
  assembler.cmp(low32(rax), '\\Device\\Afd'.length * 2);
  assembler.j('b', file);
  assembler.mov(rcx, at(rcx, 8)); // PWSTR Buffer
  for (const [start, text] of [[0, '\\Dev'], [4, 'ice\\'], [7, '\\Afd']] as const) { // prettier-ignore
    assembler.mov(rax, Buffer.from(text, 'utf16le').readBigUInt64LE());
    assembler.cmp(rax, at(rcx, start * 2));
    assembler.j('ne', file);
  }
  assembler.mov(low32(rax), typeIndex('Socket'));
  assembler.ret();
  assembler.bind(file);
  assembler.mov(low32(rax), typeIndex('File'));
  assembler.ret();
}
