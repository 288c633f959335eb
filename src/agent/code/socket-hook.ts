import type { SocketFunction } from '../function-table.ts';
import { MISUSE_CLOSE, MISUSE_USE } from '../ledger-layout.ts';
import { type Assembler, type Label, low32, rax, rcx, teb } from './assembler.ts';
import {
  emitKeepRow, emitMisuse, emitPassThrough, emitReadState, type HookEnvironment, hookFrame, RESULT, ROW, saved, STATUS_INVALID_HANDLE,
  STATUS_OBJECT_TYPE_MISMATCH, TRAMPOLINE,
} from './hook-frame.ts'; // prettier-ignore
import { tebField } from './stack-walk.ts';
import { type FramedFunction, framedFunction } from './unwind-info.ts';

const WSAENOTSOCK = 10038;

/** What Winsock functions have in common whose hooks are the same. */
export function sharedSocketShape({ role, argumentCount }: SocketFunction): string {
  return `${role}, ${argumentCount} arguments`;
}

/**
 * Emits the body of the hooks of the Winsock functions of one {@link sharedSocketShape}: a socket that one of them calls no socket
 * (WSAENOTSOCK) was closed before, unless the value is open; then it is something else.
 */
export function emitSocketHook(assembler: Assembler, begin: Label, row: SocketFunction, environment: HookEnvironment): FramedFunction {
  return framedFunction(assembler, begin, hookFrame, (epilogue) => {
    const [closed, done] = assembler.labels('closed', 'done');
    emitKeepRow(assembler);
    assembler.mov(saved(0), rcx);
    emitPassThrough(assembler, TRAMPOLINE, row.argumentCount);
    assembler.cmp(low32(rax), -1); // SOCKET_ERROR, INVALID_SOCKET
    assembler.j('ne', done);
    assembler.mov(low32(rcx), teb(tebField.lastErrorValue));
    assembler.cmp(low32(rcx), WSAENOTSOCK);
    assembler.j('ne', done);
    emitReadState({ assembler, environment }, saved(0), saved(1));
    assembler.test(low32(rax), 1);
    assembler.mov(low32(rax), STATUS_INVALID_HANDLE);
    assembler.j('e', closed);
    assembler.mov(low32(rax), STATUS_OBJECT_TYPE_MISMATCH);
    assembler.bind(closed);
    assembler.mov(rcx, saved(0));
    emitMisuse({ assembler, rowNumber: ROW, environment }, row.role === 'closes-socket' ? MISUSE_CLOSE : MISUSE_USE);
    assembler.bind(done);
    assembler.mov(rax, RESULT);
    epilogue();
  });
}
