import { header } from '../ledger-layout.ts';
import type { LinkedEnvironment } from '../linkage.ts';
import { identityOffsets, patchedFunction, patchedModule, type PatchTable } from '../patch-table.ts';
import { type Assembler, at, indexed, type Label, low32, type Memory, r8, r9, rax, rbx, rcx, rdx, relative, rsi, rsp } from './assembler.ts';
import { type FramedFunction, framedFunction, type FrameShape } from './unwind-info.ts';

const PAGE_EXECUTE_READWRITE = 0x40;

/**
 * Emits `void hookFunctions(void* base)`: if a DLL whose functions are to be hooked was mapped there, hooks them before
 * any of its code runs. What is not as expected stays as it is, and is counted.
 */
export function emitHookFunctions(
  assembler: Assembler,
  begin: Label,
  modules: readonly PatchTable[],
  environment: LinkedEnvironment,
): FramedFunction {
  const frame: FrameShape = { pushes: [rbx, rsi], sizeBytes: 0x58 };
  return framedFunction(assembler, begin, frame, (epilogue) => {
    const [compare, compareNext, next, elsewhere, missed, counted, done] = assembler.labels(
      'compare', 'compareNext', 'next', 'elsewhere', 'missed', 'counted', 'done',
    ); // prettier-ignore
    const address = at(rsp, 0x30);
    const size = at(rsp, 0x38);
    const original = at(rsp, 0x40);
    const ours = at(rsp, 0x48);
    const protect = (protection: number | Memory, before: Memory) => {
      assembler.mov(rax, at(rbx));
      assembler.mov(address, rax);
      assembler.movImmediate64(size, 8);
      assembler.mov(rcx, -1n);
      assembler.lea(rdx, address);
      assembler.lea(r8, size);
      assembler.mov(low32(r9), protection);
      assembler.lea(rax, before);
      assembler.mov(at(rsp, 0x20), rax);
      assembler.call(environment.native('NtProtectVirtualMemory'));
    };
    assembler.mov(low32(rax), at(rcx, 0x3c)); // LONG e_lfanew
    for (const { module, functions } of modules) {
      const other = assembler.label('other');
      assembler.lea(r8, relative(module));
      identityOffsets.forEach((offset, index) => {
        assembler.mov(low32(rdx), indexed(rcx, rax, 1, offset));
        assembler.cmp(low32(rdx), at(r8, patchedModule.identity + index * 4));
        assembler.j('ne', other);
      });
      assembler.lea(rbx, relative(functions));
      assembler.mov(low32(rsi), at(r8, patchedModule.count));
      assembler.cmp(rcx, at(r8, patchedModule.base));
      assembler.j('e', compare);
      assembler.jmp(elsewhere);
      assembler.bind(other);
    }
    epilogue();

    assembler.bind(elsewhere);
    assembler.mov(rax, environment.words.ledger);
    assembler.mov(low32(rdx), low32(rsi));
    assembler.lockXadd(at(rax, header.functionsMissed), low32(rdx));
    epilogue();

    // All or none: what is opened by a function that is not hooked would seem closed to another one that is.
    assembler.bind(compare);
    assembler.mov(low32(rdx), low32(rsi));
    assembler.mov(r8, rbx);
    assembler.bind(compareNext);
    assembler.mov(rax, at(r8));
    assembler.mov(rax, at(rax));
    assembler.cmp(rax, at(r8, patchedFunction.original));
    assembler.j('ne', elsewhere);
    assembler.add(r8, patchedFunction.sizeBytes);
    assembler.sub(low32(rdx), 1);
    assembler.j('ne', compareNext);

    assembler.bind(next);
    assembler.test(low32(rsi), low32(rsi));
    assembler.j('e', done);
    protect(PAGE_EXECUTE_READWRITE, original);
    assembler.test(low32(rax), low32(rax));
    assembler.j('s', missed);
    assembler.mov(rax, at(rbx));
    assembler.mov(rcx, at(rbx, patchedFunction.replacement));
    assembler.mov(at(rax), rcx); // one write, before the first call
    protect(original, ours);
    assembler.mov(rax, environment.words.ledger);
    assembler.lockInc32(at(rax, header.functionsHooked));
    assembler.jmp(counted);
    assembler.bind(missed);
    assembler.mov(rax, environment.words.ledger);
    assembler.lockInc32(at(rax, header.functionsMissed));
    assembler.bind(counted);
    assembler.add(rbx, patchedFunction.sizeBytes);
    assembler.sub(low32(rsi), 1);
    assembler.jmp(next);
    assembler.bind(done);
    epilogue();
  });
}
