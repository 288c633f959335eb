import { at } from '../../asm/operands.ts';
import { eax, r8, r8d, r9, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import { MEM_IMAGE, memoryInformation } from '../abi/memory-information.ts';
import type { Hook } from './hook-environment.ts';
import { hookPlaces, PLACES_OFFSET, RESULT, usedHandles } from './hook-frame.ts';
import { emitReportUses, emitSaveUses } from './hook-steps.ts';

/** Emits the hook of a call that maps sections. */
export function emitMaps(hook: Hook): void {
  const { asm, environment } = hook;
  const [done] = asm.labels('done');
  const { baseAddress } = hookPlaces('section', 'process', 'baseAddress'); // behind the two handles in use
  emitSaveUses(hook);
  asm.mov(baseAddress, r8); // PVOID *BaseAddress
  hook.passThrough();
  emitReportUses(hook);
  asm.mov(rax, RESULT);
  asm.test(eax, eax);
  asm.j('s', done);
  asm.cmp(usedHandles[1], -1); // only what is mapped into this very process
  asm.j('ne', done);
  asm.mov(rcx, baseAddress);
  asm.mov(rcx, at(rcx));
  asm.call(environment.noteImage);
  asm.bind(done);
  hook.return();
}

/** MEMORY_BASIC_INFORMATION, above the stack arguments of the call that fills it in. */
const information = PLACES_OFFSET - memoryInformation.sizeBytes;

/** Emits the hook of a call that unmaps them. */
export function emitUnmaps(hook: Hook): void {
  const { asm, environment } = hook;
  const [asked, done] = asm.labels('asked', 'done');
  const { process, baseAddress, flags, mappedType } = hookPlaces('process', 'baseAddress', 'flags', 'mappedType');
  asm.mov(process, rcx);
  asm.mov(baseAddress, rdx);
  asm.mov(flags, r8);
  asm.mov(eax, MEM_IMAGE);
  asm.cmp(rcx, -1);
  asm.j('ne', asked); // it may be a real handle to this process: clear the cache to be on the safe side
  asm.xor(r8d, r8d); // MemoryBasicInformation
  asm.lea(r9, at(rsp, information));
  asm.movImmediate64(at(rsp, 0x20), memoryInformation.sizeBytes);
  asm.movImmediate64(at(rsp, 0x28), 0);
  asm.movImmediate64(at(rsp, information + memoryInformation.type), 0);
  asm.call(environment.ntdllImport('NtQueryVirtualMemory'));
  asm.mov(eax, at(rsp, information + memoryInformation.type));
  asm.bind(asked);
  asm.mov(mappedType, rax);
  asm.mov(rcx, process);
  asm.mov(rdx, baseAddress);
  asm.mov(r8, flags);
  hook.passThrough();
  asm.test(eax, eax);
  asm.j('s', done);
  asm.cmpImmediate32(mappedType, MEM_IMAGE);
  asm.j('ne', done);
  asm.call(environment.clearWalkCache);
  asm.bind(done);
  hook.return();
}
