import { header, moduleStates } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, type Memory, relative } from '../../asm/operands.ts';
import { eax, ecx, edi, edx, esi, r8, r9, r9d, rax, rbx, rcx, rdi, rdx, rsi, rsp } from '../../asm/registers.ts';
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
import { STATUS_DYNAMIC_CODE_BLOCKED } from '../abi/status.ts';

const PAGE_EXECUTE_READWRITE = 0x40;

/**
 * Emits `void hookFunctions(void* base)`: hooks the functions of the DLL that was just mapped there, if it is one of
 * the known ones, before any of its code runs. A function that is not as expected stays as it is, with all others of
 * its family (see {@link FamilyBits}). They are counted.
 */
export function emitHookFunctions(
  asm: Assembler,
  begin: Label,
  modules: readonly PatchTable[],
  environment: LinkedEnvironment,
): FramedFunction {
  const frame: FrameShape = { pushes: [rbx, rsi, rdi], sizeBytes: 0x50 };
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [compare, compareNext, asExpected, next, elsewhere, missed, counted, done, seen, count, blocked, notBefore] =
      asm.labels(
        'compare',
        'compareNext',
        'asExpected',
        'next',
        'elsewhere',
        'missed',
        'counted',
        'done',
        'seen',
        'count',
        'blocked',
        'notBefore',
      );
    const places = framePlaces(frame, 0x28, 'address', 'size', 'original', 'ours', 'isAgain');
    const { address, size, original, ours, isAgain } = places;
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
    modules.forEach(({ module, functions }, number) => {
      const other = asm.label('other');
      asm.lea(r8, relative(module));
      identityOffsets.forEach((offset, index) => {
        asm.mov(edx, indexed(rcx, rax, 1, offset));
        asm.cmp(edx, at(r8, patchedModule.identity + index * 4));
        asm.j('ne', other);
      });
      asm.lea(rbx, relative(functions));
      asm.mov(esi, at(r8, patchedModule.count));
      asm.mov(rdx, environment.linkSlots.ledger);
      asm.lea(r9, at(rdx, header.moduleStates + number * 4));
      asm.cmp(rcx, at(r8, patchedModule.base));
      asm.j('e', compare);
      asm.jmp(elsewhere);
      asm.bind(other);
    });
    epilogue();

    // rdx is the ledger, and r9 leads to the state of the module.
    asm.bind(elsewhere);
    asm.xor(eax, eax);
    asm.mov(ecx, moduleStates.elsewhere);
    asm.lockCmpxchg(at(r9), ecx);
    asm.j('ne', seen);
    asm.lockXadd(at(rdx, header.functionsMissed), esi);
    asm.bind(seen);
    epilogue();

    asm.bind(compare);
    asm.mov(eax, moduleStates.elsewhere);
    asm.mov(ecx, moduleStates.atItsPlace);
    asm.lockCmpxchg(at(r9), ecx);
    asm.j('ne', notBefore);
    asm.xor(ecx, ecx);
    asm.sub(ecx, esi);
    asm.lockXadd(at(rdx, header.functionsMissed), ecx); // it was not missed after all
    asm.xor(eax, eax);
    asm.bind(notBefore);
    asm.mov(isAgain, rax); // its state before, unless it was elsewhere
    asm.movImmediate32(at(r9), moduleStates.atItsPlace);
    asm.xor(edi, edi); // the families that cannot be followed
    asm.mov(edx, esi);
    asm.mov(r8, rbx);
    asm.bind(compareNext);
    asm.mov(rax, at(r8));
    asm.mov(rax, at(rax));
    asm.cmp(rax, at(r8, patchedFunction.original));
    asm.j('e', asExpected);
    asm.or(edi, at(r8, patchedFunction.needed));
    asm.bind(asExpected);
    asm.add(r8, PATCHED_FUNCTION_SIZE_BYTES);
    asm.sub(edx, 1);
    asm.j('ne', compareNext);

    asm.bind(next);
    asm.test(esi, esi);
    asm.j('e', done);
    asm.mov(rax, at(rbx));
    asm.mov(rax, at(rax));
    asm.cmp(rax, at(rbx, patchedFunction.original));
    asm.j('ne', missed);
    asm.mov(eax, at(rbx, patchedFunction.touched));
    asm.test(eax, edi);
    asm.j('ne', missed);
    protect(PAGE_EXECUTE_READWRITE, original);
    asm.cmp(eax, STATUS_DYNAMIC_CODE_BLOCKED);
    asm.j('e', blocked);
    asm.test(eax, eax);
    asm.j('s', missed);
    asm.mov(rax, at(rbx));
    asm.mov(rcx, at(rbx, patchedFunction.replacement));
    asm.mov(at(rax), rcx); // one write, before the first call
    protect(original, ours);
    asm.mov(ecx, header.functionsHooked);
    asm.jmp(count);
    asm.bind(blocked);
    asm.mov(ecx, header.functionsBlocked);
    asm.jmp(count);
    asm.bind(missed);
    asm.mov(ecx, header.functionsMissed);
    asm.bind(count);
    asm.cmp(isAgain, 0);
    asm.j('ne', counted);
    asm.mov(rax, environment.linkSlots.ledger);
    asm.lockInc32(indexed(rax, rcx, 1));
    asm.bind(counted);
    asm.add(rbx, PATCHED_FUNCTION_SIZE_BYTES);
    asm.sub(esi, 1);
    asm.jmp(next);
    asm.bind(done);
    epilogue();
  });
}
