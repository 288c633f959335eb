import { WORK_QUEUE_OFFSET } from '../../tables/request-functions.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label } from '../../asm/operands.ts';
import { eax, ebx, r8d, r9, rax, rbx, rcx, rdx, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { MEM_COMMIT, memoryInformation, PAGE_READWRITE } from '../abi/memory-information.ts';

/** `struct uv__work`: its function, and behind two pointers its place in the queue, which are two more. */
const work = { function: 0, next: WORK_QUEUE_OFFSET, previous: WORK_QUEUE_OFFSET + 8, sizeBytes: 40 } as const;

/** Behind the home space, and two stack arguments of NtQueryVirtualMemory. */
const INFORMATION = 0x30;
const workFrame: FrameShape = { pushes: [rbx], sizeBytes: INFORMATION + memoryInformation.sizeBytes };

/**
 * Emits `bool isBeingDone(uv__work* work)`: whether a thread of libuv's pool is doing a work. Such a work is in no
 * queue: its place in the queue leads to itself (`worker` in libuv's threadpool.c, so that `uv_cancel` can tell).
 *
 * A work that is done is the program's again, which may have freed its memory. So the memory is read only where the
 * kernel says that it is there. Nothing frees that of a work which is being done.
 */
export function emitIsBeingDone(asm: Assembler, begin: Label, { ntdllImport }: LinkedEnvironment): FramedFunction {
  return framedFunction(asm, begin, workFrame, (epilogue) => {
    const no = asm.label('no');
    asm.mov(rbx, rcx);
    asm.test(ebx, 7);
    asm.j('ne', no);
    asm.mov(rcx, -1n);
    asm.mov(rdx, rbx);
    asm.xor(r8d, r8d); // MemoryBasicInformation
    asm.lea(r9, at(rsp, INFORMATION));
    asm.movImmediate64(at(rsp, 0x20), memoryInformation.sizeBytes);
    asm.movImmediate64(at(rsp, 0x28), 0);
    asm.call(ntdllImport('NtQueryVirtualMemory'));
    asm.test(eax, eax);
    asm.j('ne', no);
    asm.cmpImmediate32(at(rsp, INFORMATION + memoryInformation.state), MEM_COMMIT);
    asm.j('ne', no);
    asm.cmpImmediate32(at(rsp, INFORMATION + memoryInformation.protect), PAGE_READWRITE);
    asm.j('ne', no);
    asm.mov(rax, at(rsp, INFORMATION + memoryInformation.baseAddress));
    asm.add(rax, at(rsp, INFORMATION + memoryInformation.regionSize));
    asm.sub(rax, work.sizeBytes);
    asm.cmp(rbx, rax);
    asm.j('a', no);
    asm.cmp(at(rbx, work.function), 0);
    asm.j('e', no);
    asm.lea(rdx, at(rbx, work.next));
    asm.cmp(rdx, at(rbx, work.next));
    asm.j('ne', no);
    asm.cmp(rdx, at(rbx, work.previous));
    asm.j('ne', no);
    asm.mov(eax, 1);
    epilogue();
    asm.bind(no);
    asm.xor(eax, eax);
    epilogue();
  });
}
