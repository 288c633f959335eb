import { header } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, type Memory, relative } from '../../asm/operands.ts';
import { eax, edx, esi, r8, r9d, rax, rbx, rcx, rdx, rsi, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import {
  identityOffsets,
  PATCHED_FUNCTION_SIZE_BYTES,
  patchedFunction,
  patchedModule,
  type PatchTable,
} from '../../linkage/patch-table.ts';
import { framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';

const PAGE_EXECUTE_READWRITE = 0x40;

/**
 * Emits `void hookFunctions(void* base)`: hooks the functions of the DLL that was just mapped there, if it is one of
 * the known ones, before any of its code runs. A DLL that is not as expected stays as it is, and its functions are
 * counted.
 */
export function emitHookFunctions(
  asm: Assembler,
  begin: Label,
  modules: readonly PatchTable[],
  environment: LinkedEnvironment,
): FramedFunction {
  const frame: FrameShape = { pushes: [rbx, rsi], sizeBytes: 0x58 };
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [compare, compareNext, next, elsewhere, missed, counted, done] = asm.labels(
      'compare',
      'compareNext',
      'next',
      'elsewhere',
      'missed',
      'counted',
      'done',
    );
    const { address, size, original, ours } = framePlaces(frame, 0x30, 'address', 'size', 'original', 'ours');
    const protect = (protection: number | Memory, before: Memory) => {
      asm.mov(rax, at(rbx));
      asm.mov(address, rax);
      asm.movImmediate64(size, 8);
      asm.mov(rcx, -1n);
      asm.lea(rdx, address);
      asm.lea(r8, size);
      asm.mov(r9d, protection);
      asm.lea(rax, before);
      asm.mov(at(rsp, 0x20), rax);
      asm.call(environment.ntdllImport('NtProtectVirtualMemory'));
    };
    asm.mov(eax, at(rcx, 0x3c)); // LONG e_lfanew
    for (const { module, functions } of modules) {
      const other = asm.label('other');
      asm.lea(r8, relative(module));
      identityOffsets.forEach((offset, index) => {
        asm.mov(edx, indexed(rcx, rax, 1, offset));
        asm.cmp(edx, at(r8, patchedModule.identity + index * 4));
        asm.j('ne', other);
      });
      asm.lea(rbx, relative(functions));
      asm.mov(esi, at(r8, patchedModule.count));
      asm.cmp(rcx, at(r8, patchedModule.base));
      asm.j('e', compare);
      asm.jmp(elsewhere);
      asm.bind(other);
    }
    epilogue();

    asm.bind(elsewhere);
    asm.mov(rax, environment.linkSlots.ledger);
    asm.mov(edx, esi);
    asm.lockXadd(at(rax, header.functionsMissed), edx);
    epilogue();

    // All functions are hooked or none: an object from a function without a hook would seem closed to the others.
    asm.bind(compare);
    asm.mov(edx, esi);
    asm.mov(r8, rbx);
    asm.bind(compareNext);
    asm.mov(rax, at(r8));
    asm.mov(rax, at(rax));
    asm.cmp(rax, at(r8, patchedFunction.original));
    asm.j('ne', elsewhere);
    asm.add(r8, PATCHED_FUNCTION_SIZE_BYTES);
    asm.sub(edx, 1);
    asm.j('ne', compareNext);

    asm.bind(next);
    asm.test(esi, esi);
    asm.j('e', done);
    protect(PAGE_EXECUTE_READWRITE, original);
    asm.test(eax, eax);
    asm.j('s', missed);
    asm.mov(rax, at(rbx));
    asm.mov(rcx, at(rbx, patchedFunction.replacement));
    asm.mov(at(rax), rcx); // one write, before the first call
    protect(original, ours);
    asm.mov(rax, environment.linkSlots.ledger);
    asm.lockInc32(at(rax, header.functionsHooked));
    asm.jmp(counted);
    asm.bind(missed);
    asm.mov(rax, environment.linkSlots.ledger);
    asm.lockInc32(at(rax, header.functionsMissed));
    asm.bind(counted);
    asm.add(rbx, PATCHED_FUNCTION_SIZE_BYTES);
    asm.sub(esi, 1);
    asm.jmp(next);
    asm.bind(done);
    epilogue();
  });
}
