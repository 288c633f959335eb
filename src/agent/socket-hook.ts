import { type Assembler, type Label, low32, r9, rax, rcx, rdx, teb } from './assembler.ts';
import type { SocketFunction } from './function-table.ts';
import {
  emitPassThrough, emitReadState, emitReturnAddress, type HookEnvironment, hookFrame, RESULT, saved, STATUS_INVALID_HANDLE,
  STATUS_OBJECT_TYPE_MISMATCH,
} from './hook-frame.ts'; // prettier-ignore
import { MISUSE_CLOSE, MISUSE_USE } from './ledger-layout.ts';
import { tebField } from './stack-walk.ts';
import { type FramedFunction, framedFunction } from './unwind-info.ts';

const WSAENOTSOCK = 10038;

/**
 * Emits the hook of a Winsock function: a socket that it calls no socket (WSAENOTSOCK) was closed before, unless the value is
 * open; then it is something else.
 */
export function emitSocketHook(
  assembler: Assembler,
  begin: Label,
  trampoline: Label,
  row: SocketFunction,
  rowNumber: number,
  environment: HookEnvironment,
): FramedFunction {
  return framedFunction(assembler, begin, hookFrame, (epilogue) => {
    const [closed, done] = assembler.labels('closed', 'done');
    assembler.mov(saved(0), rcx);
    emitPassThrough(assembler, trampoline, row.argumentCount);
    assembler.cmp(low32(rax), -1); // SOCKET_ERROR, INVALID_SOCKET
    assembler.j('ne', done);
    assembler.mov(low32(rcx), teb(tebField.lastErrorValue));
    assembler.cmp(low32(rcx), WSAENOTSOCK);
    assembler.j('ne', done);
    emitReadState({ assembler, environment }, saved(0), saved(1));
    assembler.mov(low32(r9), STATUS_INVALID_HANDLE);
    assembler.test(low32(rax), 1);
    assembler.j('e', closed);
    assembler.mov(low32(r9), STATUS_OBJECT_TYPE_MISMATCH);
    assembler.bind(closed);
    assembler.mov(rcx, saved(0));
    assembler.mov(low32(rdx), rowNumber | ((row.role === 'closes-socket' ? MISUSE_CLOSE : MISUSE_USE) << 16));
    emitReturnAddress(assembler);
    assembler.call(environment.recordMisuse);
    assembler.bind(done);
    assembler.mov(rax, RESULT);
    epilogue();
  });
}
