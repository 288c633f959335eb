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

const frame: FrameShape = { pushes: [rbx, rsi, rdi], sizeBytes: 0x50 };
const places = framePlaces(frame, 0x28, 'address', 'size', 'original', 'ours', 'isAgain');
/** Arguments of NtProtectVirtualMemory. */
const { address, size, original, ours } = places;
/** Not 0 for a DLL that has been mapped at its place before: its functions are counted already. */
const { isAgain } = places;

/*
 * The stages share these registers:
 *
 * rbx  the table's row of the next function
 * esi  how many functions are left
 * edi  the families that cannot be followed
 *
 * The stages before the first function also have the ledger in rdx, and the address of the module's state in r9.
 */

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
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [elsewhere, atItsPlace, next, done] = asm.labels('elsewhere', 'atItsPlace', 'next', 'done');
    asm.mov(eax, at(rcx, 0x3c)); // LONG e_lfanew
    for (const [number, { module, functions }] of modules.entries()) {
      const other = asm.label('other');
      emitUnlessModule(asm, module, other);
      asm.lea(rbx, relative(functions));
      asm.mov(esi, at(r8, patchedModule.count));
      asm.mov(rdx, environment.linkSlots.ledger);
      asm.lea(r9, at(rdx, header.moduleStates + number * 4));
      asm.cmp(rcx, at(r8, patchedModule.base));
      asm.j('e', atItsPlace);
      asm.jmp(elsewhere);
      asm.bind(other);
    }
    epilogue();

    asm.bind(elsewhere);
    emitCountElsewhere(asm);
    epilogue();

    asm.bind(atItsPlace);
    emitNotePlace(asm);
    emitFindLostFamilies(asm);
    asm.bind(next);
    asm.test(esi, esi);
    asm.j('e', done);
    emitHookFunction(asm, environment);
    emitCountFunction(asm, environment);
    asm.add(rbx, PATCHED_FUNCTION_SIZE_BYTES);
    asm.sub(esi, 1);
    asm.jmp(next);
    asm.bind(done);
    epilogue();
  });
}

/**
 * Jumps to `other` unless the DLL at rcx is this module, whose table it leaves in r8. The offset of the DLL's headers
 * is in rax. Clobbers rdx.
 */
function emitUnlessModule(asm: Assembler, module: Label, other: Label): void {
  asm.lea(r8, relative(module));
  for (const [index, offset] of identityOffsets.entries()) {
    asm.mov(edx, indexed(rcx, rax, 1, offset));
    asm.cmp(edx, at(r8, patchedModule.identity + index * 4));
    asm.j('ne', other);
  }
}

/** Counts the functions of a module that is mapped at an address of its own, once. Clobbers rax, rcx, rsi. */
function emitCountElsewhere(asm: Assembler): void {
  const seen = asm.label('seen');
  asm.xor(eax, eax);
  asm.mov(ecx, moduleStates.elsewhere);
  asm.lockCmpxchg(at(r9), ecx);
  asm.j('ne', seen);
  asm.lockXadd(at(rdx, header.functionsMissed), esi);
  asm.bind(seen);
}

/** Notes that the module is at its place, and keeps its state before in `isAgain`. Clobbers rax, rcx. */
function emitNotePlace(asm: Assembler): void {
  const notElsewhere = asm.label('notElsewhere');
  asm.mov(eax, moduleStates.elsewhere);
  asm.mov(ecx, moduleStates.atItsPlace);
  asm.lockCmpxchg(at(r9), ecx);
  asm.j('ne', notElsewhere);
  asm.xor(ecx, ecx);
  asm.sub(ecx, esi);
  asm.lockXadd(at(rdx, header.functionsMissed), ecx); // it was not missed after all
  asm.xor(eax, eax);
  asm.bind(notElsewhere);
  asm.mov(isAgain, rax);
  asm.movImmediate32(at(r9), moduleStates.atItsPlace);
}

/** Collects in edi the families of which a function does not begin as expected. Clobbers rax, rdx, r8. */
function emitFindLostFamilies(asm: Assembler): void {
  const [compare, asExpected] = asm.labels('compare', 'asExpected');
  asm.xor(edi, edi);
  asm.mov(edx, esi);
  asm.mov(r8, rbx);
  asm.bind(compare);
  asm.mov(rax, at(r8));
  asm.mov(rax, at(rax));
  asm.cmp(rax, at(r8, patchedFunction.original));
  asm.j('e', asExpected);
  asm.or(edi, at(r8, patchedFunction.needed));
  asm.bind(asExpected);
  asm.add(r8, PATCHED_FUNCTION_SIZE_BYTES);
  asm.sub(edx, 1);
  asm.j('ne', compare);
}

/**
 * Hooks the function, unless it is not as expected or touches a family that is lost. Leaves in rcx the field of the
 * ledger's header that counts what came of it. Clobbers the other volatile registers.
 */
function emitHookFunction(asm: Assembler, environment: LinkedEnvironment): void {
  const [blocked, missed, tried] = asm.labels('blocked', 'missed', 'tried');
  asm.mov(rax, at(rbx));
  asm.mov(rax, at(rax));
  asm.cmp(rax, at(rbx, patchedFunction.original));
  asm.j('ne', missed);
  asm.mov(eax, at(rbx, patchedFunction.touched));
  asm.test(eax, edi);
  asm.j('ne', missed);
  emitProtect(asm, PAGE_EXECUTE_READWRITE, original, environment);
  asm.cmp(eax, STATUS_DYNAMIC_CODE_BLOCKED);
  asm.j('e', blocked);
  asm.test(eax, eax);
  asm.j('s', missed);
  asm.mov(rax, at(rbx));
  asm.mov(rcx, at(rbx, patchedFunction.replacement));
  asm.mov(at(rax), rcx); // one write, before the first call
  emitProtect(asm, original, ours, environment);
  asm.mov(ecx, header.functionsHooked);
  asm.jmp(tried);
  asm.bind(blocked);
  asm.mov(ecx, header.functionsBlocked);
  asm.jmp(tried);
  asm.bind(missed);
  asm.mov(ecx, header.functionsMissed);
  asm.bind(tried);
}

/**
 * Changes the protection of the function's first bytes, and leaves the one before in `before`. eax holds the NTSTATUS.
 */
function emitProtect(
  asm: Assembler,
  protection: number | Memory,
  before: Memory,
  { ntdllImport }: LinkedEnvironment,
): void {
  asm.mov(rax, at(rbx));
  asm.mov(address, rax);
  asm.movImmediate64(size, 8);
  asm.mov(rcx, -1n);
  asm.lea(rdx, address);
  asm.lea(r8, size);
  asm.mov(r9d, protection);
  asm.lea(rax, before);
  asm.mov(at(rsp, 0x20), rax);
  asm.call(ntdllImport('NtProtectVirtualMemory'));
}

/** Adds 1 to the field of the ledger's header whose offset is in rcx, unless the module was there before. */
function emitCountFunction(asm: Assembler, { linkSlots }: LinkedEnvironment): void {
  const counted = asm.label('counted');
  asm.cmp(isAgain, 0);
  asm.j('ne', counted);
  asm.mov(rax, linkSlots.ledger);
  asm.lockInc32(indexed(rax, rcx, 1));
  asm.bind(counted);
}
