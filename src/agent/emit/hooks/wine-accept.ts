import { typeIndex } from '../../tables/object-types.ts';
import {
  header,
  MAY_BE_INHERITABLE,
  PENDING_ACCEPT_COUNT,
  PENDING_ACCEPT_SIZE_BYTES,
  pendingAccept,
} from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, teb } from '../../asm/operands.ts';
import { eax, ecx, edx, r10, r10d, r11d, r8, r9, r9d, rax, rcx, rdx } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { tebField } from '../abi/teb.ts';

// On Wine the server makes the handle of an accepted socket and delivers it later, into memory that the caller named.
// On Windows, accept first opens the socket like any other.

/** CTL_CODE(FILE_DEVICE_NETWORK, 201, METHOD_BUFFERED, FILE_ANY_ACCESS), wine/include/wine/afd.h. */
export const IOCTL_AFD_WINE_ACCEPT = 0x12_0324;

/**
 * Emits `void noteAccept(HANDLE event, u32* handle, IO_STATUS_BLOCK* status)`: notes an accept of Wine's that is
 * still pending. The thread is about to wait for the event, and {@link emitResolveAccept} then finds the handle. A leaf
 * function.
 */
export function emitNoteAccept(asm: Assembler, begin: Label, { linkSlots }: LinkedEnvironment): void {
  const [next, mine, free] = asm.labels('next', 'mine', 'free');
  asm.align(16);
  asm.bind(begin);
  asm.mov(r9, linkSlots.ledger);
  asm.add(r9, header.pendingAcceptTable);
  asm.mov(r10d, teb(tebField.threadId));
  asm.mov(r11d, PENDING_ACCEPT_COUNT);
  asm.bind(next);
  asm.cmp(r10, at(r9, pendingAccept.threadId));
  asm.j('e', mine); // an earlier accept of this thread that was never waited for
  asm.xor(eax, eax);
  asm.lockCmpxchg(at(r9, pendingAccept.threadId), r10);
  asm.j('e', free);
  asm.add(r9, PENDING_ACCEPT_SIZE_BYTES);
  asm.sub(r11d, 1);
  asm.j('ne', next);
  asm.ret(); // no entry is free: the report will have this handle from the kernel's table alone
  asm.bind(free);
  asm.mov(rax, linkSlots.ledger);
  asm.lockInc32(at(rax, header.pendingAccepts));
  asm.bind(mine);
  asm.mov(at(r9, pendingAccept.event), rcx);
  asm.mov(at(r9, pendingAccept.handleAddress), rdx);
  asm.mov(at(r9, pendingAccept.statusAddress), r8);
  asm.ret();
}

/**
 * Emits `void resolveAccept(HANDLE waited for, u64 status of the wait, u64* returnAddress, u32 row)`: if this thread
 * waited for a pending accept, records the handle that it delivered.
 */
export function emitResolveAccept(
  asm: Assembler,
  begin: Label,
  environment: LinkedEnvironment & { readonly recordOpen: Label },
): FramedFunction {
  const frame: FrameShape = { pushes: [], sizeBytes: 0x28 };
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [next, mine, done] = asm.labels('next', 'mine', 'done');
    asm.test(edx, edx); // STATUS_SUCCESS: the event was set
    asm.j('ne', done);
    asm.mov(r10, environment.linkSlots.ledger);
    asm.add(r10, header.pendingAcceptTable);
    asm.mov(eax, teb(tebField.threadId));
    asm.mov(r11d, PENDING_ACCEPT_COUNT);
    asm.bind(next);
    asm.cmp(rax, at(r10, pendingAccept.threadId));
    asm.j('e', mine);
    asm.add(r10, PENDING_ACCEPT_SIZE_BYTES);
    asm.sub(r11d, 1);
    asm.j('ne', next);
    asm.bind(done);
    epilogue();
    asm.bind(mine);
    asm.cmp(rcx, at(r10, pendingAccept.event));
    asm.j('ne', done);
    asm.mov(rdx, at(r10, pendingAccept.statusAddress)); // IO_STATUS_BLOCK *
    asm.mov(r11d, at(rdx)); // NTSTATUS Status
    asm.mov(rdx, at(r10, pendingAccept.handleAddress));
    asm.mov(ecx, at(rdx)); // obj_handle_t
    asm.movImmediate64(at(r10, pendingAccept.threadId), 0);
    asm.mov(rax, environment.linkSlots.ledger);
    asm.lockDec32(at(rax, header.pendingAccepts));
    asm.test(r11d, r11d);
    asm.j('ne', done);
    asm.mov(edx, r9d);
    asm.or(edx, MAY_BE_INHERITABLE | (typeIndex('Socket') << 16));
    asm.call(environment.recordOpen);
    epilogue();
  });
}
