import { MAXIMUM_FRAMES } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, teb } from '../../asm/operands.ts';
import {
  eax,
  ebp,
  ebx,
  edx,
  esi,
  r12,
  r13,
  r14,
  r15,
  r8,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rsi,
  rsp,
} from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { emitQueryMemory, MEM_COMMIT, memoryInformation, PAGE_READWRITE } from '../abi/memory-information.ts';
import { tebField } from '../abi/teb.ts';

const walk = {
  // 0x00 home space, 0x20 two stack arguments of NtQueryVirtualMemory
  memoryInformation: 0x30, // MEMORY_BASIC_INFORMATION
} as const;
const goFrame: FrameShape = {
  pushes: [rbx, rbp, rsi, rdi, r12, r13, r14, r15],
  sizeBytes: walk.memoryInformation + memoryInformation.sizeBytes + 8,
};
/** The frame pointer of the caller, and the return address. */
const LINK_SIZE_BYTES = 16;
/**
 * How often a chain may lead to another stack. A call of the system leads from the thread's stack to the goroutine's; a
 * callback from the system leads back.
 */
const STACKS_MAX = 8;

/**
 * Emits `u32 walkGoFrames(u64* frames, u32 count, u64 framePointer)`: adds the callers of a function of Go by their
 * frame pointers, and returns how many frames there are now.
 *
 * Go's functions of assembly have no unwind data, and before Go 1.22 none of its functions has any. Every call of the
 * system goes through `runtime.asmcgocall`, which leaves the goroutine's stack for the thread's. But each function of
 * Go keeps the frame pointer of its caller at rbp, and the return address above it, and those few of assembly that do
 * not leave rbp alone. So the chain leads from one stack to the other.
 *
 * A goroutine's stack is heap memory that the TEB does not know. A frame pointer is followed only where the kernel
 * says that it lies in committed memory for reading and writing, and one frame is above the other. Nothing frees the
 * memory meanwhile: the thread is in a call of the system, and the runtime moves no stack of such a goroutine. A return
 * address that lies outside of the program's Go code ends the walk.
 *
 * https://go.dev/src/runtime/asm_amd64.s, https://go.dev/src/cmd/compile/abi-internal.md (Stack layout)
 */
export function emitWalkGoFrames(asm: Assembler, begin: Label, environment: LinkedEnvironment): FramedFunction {
  const { linkSlots } = environment;
  return framedFunction(asm, begin, goFrame, (epilogue) => {
    const [next, read, otherStack, done] = asm.labels('next', 'read', 'otherStack', 'done');
    asm.mov(rdi, rcx); // frames
    asm.mov(esi, edx);
    asm.mov(rbx, r8); // the frame pointer
    asm.mov(r12, teb(tebField.stackLimit)); // the lowest frame pointer that may follow
    asm.mov(r13, teb(tebField.stackBase));
    asm.sub(r13, LINK_SIZE_BYTES); // the highest
    asm.mov(r14, linkSlots.goCode);
    asm.mov(r15, linkSlots.goCodeSizeBytes);
    asm.mov(ebp, STACKS_MAX);

    asm.bind(next);
    asm.test(ebx, 7);
    asm.j('ne', done);
    asm.cmp(rbx, r12);
    asm.j('b', otherStack);
    asm.cmp(rbx, r13);
    asm.j('a', otherStack);
    asm.bind(read);
    asm.mov(rax, at(rbx, 8));
    asm.mov(rcx, rax);
    asm.sub(rcx, r14);
    asm.cmp(rcx, r15);
    asm.j('ae', done);
    asm.mov(indexed(rdi, rsi, 8), rax);
    asm.add(esi, 1);
    asm.cmp(esi, MAXIMUM_FRAMES);
    asm.j('ae', done);
    asm.lea(r12, at(rbx, LINK_SIZE_BYTES));
    asm.mov(rbx, at(rbx));
    asm.jmp(next);

    asm.bind(otherStack);
    asm.test(rbx, rbx);
    asm.j('e', done);
    asm.sub(ebp, 1);
    asm.j('s', done);
    emitQueryMemory(asm, environment, rbx, walk.memoryInformation);
    asm.test(eax, eax);
    asm.j('ne', done);
    asm.cmpImmediate32(at(rsp, walk.memoryInformation + memoryInformation.state), MEM_COMMIT);
    asm.j('ne', done);
    asm.cmpImmediate32(at(rsp, walk.memoryInformation + memoryInformation.protect), PAGE_READWRITE);
    asm.j('ne', done);
    asm.mov(r12, rbx);
    asm.mov(r13, at(rsp, walk.memoryInformation + memoryInformation.baseAddress));
    asm.add(r13, at(rsp, walk.memoryInformation + memoryInformation.regionSize));
    asm.sub(r13, LINK_SIZE_BYTES);
    asm.cmp(rbx, r13);
    asm.j('be', read);

    asm.bind(done);
    asm.mov(eax, esi);
    epilogue();
  });
}
