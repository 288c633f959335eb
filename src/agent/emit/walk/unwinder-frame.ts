import { at, type Memory } from '../../asm/operands.ts';
import { r12, r13, r14, r15, rbp, rbx, rdi, rsi, rsp } from '../../asm/registers.ts';
import type { FrameShape } from '../abi/framed-function.ts';
import { context } from './context.ts';

/*
 * The frame of `walkWithUnwinder`. Its stages share these registers, and each of them keeps those that it does not set:
 *
 * rdi  where the frames go
 * esi  how many there are so far, at least 1
 * r14  the ledger
 * r15  the place of this thread's mark among the walkers, or 0
 *
 * For each step from a frame to its caller:
 *
 * rbx  the frame's rsp
 * rbp  its rbp
 * r12  its function's RUNTIME_FUNCTION
 * r13  the address in it
 *
 * The CONTEXT has the frame's registers before the step, and the caller's after it.
 */

/** Offsets from rsp. */
export const walk = {
  // 0x00 home space, 0x20 four stack arguments of RtlVirtualUnwind
  imageBase: 0x40,
  handlerData: 0x48,
  establisherFrame: 0x50,
  lastError: 0x58,
  memoryInformation: 0x60, // MEMORY_BASIC_INFORMATION
  contextPointers: 0x90, // KNONVOLATILE_CONTEXT_POINTERS, 0x100 bytes
  context: 0x190, // 16-byte aligned
} as const;

export const unwinderFrame: FrameShape = {
  pushes: [rbx, rbp, rsi, rdi, r12, r13, r14, r15],
  sizeBytes: walk.context + context.sizeBytes + 8,
};

/** Where the unwinder says from where it took the caller's rbp: PDWORD64 IntegerContext[5]. */
export const savedRbpPointer: Memory = at(rsp, walk.contextPointers + 0x80 + 5 * 8);

/** A field of the CONTEXT. */
export function contextField(offset: number): Memory {
  return at(rsp, walk.context + offset);
}
