import { typeIndex } from '../hook-table.ts';
import { header, MAY_BE_INHERITABLE, PENDING_ACCEPT_COUNT, PENDING_ACCEPT_SIZE_BYTES } from '../ledger-layout.ts';
import type { LinkedEnvironment } from '../linkage.ts';
import { type Assembler, at, type Label, low32, r10, r11, r8, r9, rax, rcx, rdx, teb } from './assembler.ts';
import type { HookEnvironment } from './hook-frame.ts';
import { tebField } from './stack-walk.ts';
import { type FramedFunction, framedFunction, type FrameShape } from './unwind-info.ts';

// Wine's accept makes the new socket's handle in the server and delivers it later, into memory that the caller named.
// On Windows, accept opens the socket first, like any other.

/** CTL_CODE(FILE_DEVICE_NETWORK, 201, METHOD_BUFFERED, FILE_ANY_ACCESS), wine/include/wine/afd.h. */
export const IOCTL_AFD_WINE_ACCEPT = 0x12_0324;

/**
 * Emits `void noteAccept(HANDLE event, u32* handle, IO_STATUS_BLOCK* status)`: an accept of Wine's that is still pending. The
 * thread is about to wait for the event; {@link emitResolveAccept} then finds the handle. A leaf function.
 */
export function emitNoteAccept(assembler: Assembler, begin: Label, { words }: LinkedEnvironment): void {
  const [next, mine, free] = assembler.labels('next', 'mine', 'free');
  assembler.align(16);
  assembler.bind(begin);
  assembler.mov(r9, words.ledger);
  assembler.add(r9, header.pendingAcceptTable);
  assembler.mov(low32(r10), teb(tebField.threadId));
  assembler.mov(low32(r11), PENDING_ACCEPT_COUNT);
  assembler.bind(next);
  assembler.cmp(r10, at(r9));
  assembler.j('e', mine); // an earlier accept of this thread that was never waited for
  assembler.xor(low32(rax), low32(rax));
  assembler.lockCmpxchg(at(r9), r10);
  assembler.j('e', free);
  assembler.add(r9, PENDING_ACCEPT_SIZE_BYTES);
  assembler.sub(low32(r11), 1);
  assembler.j('ne', next);
  assembler.ret(); // all places taken: this accept's handle is found by the kernel's table alone
  assembler.bind(free);
  assembler.mov(rax, words.ledger);
  assembler.lockInc32(at(rax, header.pendingAccepts));
  assembler.bind(mine);
  assembler.mov(at(r9, 0x08), rcx);
  assembler.mov(at(r9, 0x10), rdx);
  assembler.mov(at(r9, 0x18), r8);
  assembler.ret();
}

/**
 * Emits `void resolveAccept(HANDLE waited for, u64 status of the wait, u64* returnAddress, u32 row)`: if this thread waited for a
 * pending accept, records the handle that it delivered.
 */
export function emitResolveAccept(assembler: Assembler, begin: Label, environment: Pick<HookEnvironment, 'words' | 'recordOpen'>): FramedFunction {
  const frame: FrameShape = { pushes: [], sizeBytes: 0x28 };
  return framedFunction(assembler, begin, frame, (epilogue) => {
    const [next, mine, done] = assembler.labels('next', 'mine', 'done');
    assembler.test(low32(rdx), low32(rdx)); // STATUS_SUCCESS: the event was set
    assembler.j('ne', done);
    assembler.mov(r10, environment.words.ledger);
    assembler.add(r10, header.pendingAcceptTable);
    assembler.mov(low32(rax), teb(tebField.threadId));
    assembler.mov(low32(r11), PENDING_ACCEPT_COUNT);
    assembler.bind(next);
    assembler.cmp(rax, at(r10));
    assembler.j('e', mine);
    assembler.add(r10, PENDING_ACCEPT_SIZE_BYTES);
    assembler.sub(low32(r11), 1);
    assembler.j('ne', next);
    assembler.bind(done);
    epilogue();
    assembler.bind(mine);
    assembler.cmp(rcx, at(r10, 0x08));
    assembler.j('ne', done);
    assembler.mov(rdx, at(r10, 0x18)); // IO_STATUS_BLOCK *
    assembler.mov(low32(r11), at(rdx)); // NTSTATUS Status
    assembler.mov(rdx, at(r10, 0x10));
    assembler.mov(low32(rcx), at(rdx)); // obj_handle_t
    assembler.movImmediate64(at(r10), 0);
    assembler.mov(rax, environment.words.ledger);
    assembler.lockDec32(at(rax, header.pendingAccepts));
    assembler.test(low32(r11), low32(r11));
    assembler.j('ne', done);
    assembler.mov(low32(rdx), low32(r9));
    assembler.or(low32(rdx), MAY_BE_INHERITABLE | (typeIndex('Socket') << 16));
    assembler.call(environment.recordOpen);
    epilogue();
  });
}
