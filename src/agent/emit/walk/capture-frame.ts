import { MAXIMUM_FRAMES } from '../../ledger/layout.ts';
import { r12, r13, r14, r15, rbp, rbx, rdi, rsi } from '../../asm/registers.ts';
import type { FrameShape } from '../abi/framed-function.ts';

/** The answer of the stack pool when it needs more memory before it takes another stack. */
export const POOL_MUST_GROW = 0xffff_ffff;

const BUFFER_SIZE_BYTES = MAXIMUM_FRAMES * 8;

/** The frame of `captureStack`. It keeps every non-volatile register where `walkWithUnwinder` finds it. */
export const captureFrame: FrameShape = {
  pushes: [rbx, rbp, rsi, rdi, r12, r13, r14, r15],
  sizeBytes: 0x38 + 2 * BUFFER_SIZE_BYTES,
};
/** Offset of the return addresses that were found. */
export const FRAMES = 0x20;
/** Offset of those that the unwinder finds, in checked mode. */
export const CHECK_FRAMES: number = FRAMES + BUFFER_SIZE_BYTES;
/** Offset of the type that the call opened, which must outlast a walk with the unwinder. */
export const OPENED_TYPE: number = CHECK_FRAMES + BUFFER_SIZE_BYTES;
