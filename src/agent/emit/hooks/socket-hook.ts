import type { SocketFunction } from '../../tables/function-table.ts';
import { MISUSE_CLOSE, MISUSE_USE } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { type Label, teb } from '../../asm/operands.ts';
import { eax, ecx, rax, rcx } from '../../asm/registers.ts';
import { tebField } from '../walk/stack-walk.ts';
import { type FramedFunction, framedFunction } from '../walk/unwind-info.ts';
import {
  emitKeepRow,
  emitMisuse,
  emitPassThrough,
  emitReadState,
  type HookEnvironment,
  hookFrame,
  RESULT,
  ROW,
  saved,
  STATUS_INVALID_HANDLE,
  STATUS_OBJECT_TYPE_MISMATCH,
  TRAMPOLINE,
} from './hook-frame.ts';

const WSAENOTSOCK = 10038;

/** What Winsock functions have in common whose hooks are the same. */
export function sharedSocketShape({ role, argumentCount }: SocketFunction): string {
  return `${role}, ${argumentCount} arguments`;
}

/**
 * Emits the body of the hooks of the Winsock functions of one {@link sharedSocketShape}: a socket that one of them
 * calls no socket (WSAENOTSOCK) was closed before, unless the value is open; then it is something else.
 */
export function emitSocketHook(
  asm: Assembler,
  begin: Label,
  row: SocketFunction,
  environment: HookEnvironment,
): FramedFunction {
  return framedFunction(asm, begin, hookFrame, (epilogue) => {
    const [closed, done] = asm.labels('closed', 'done');
    emitKeepRow(asm);
    asm.mov(saved(0), rcx);
    emitPassThrough(asm, TRAMPOLINE, row.argumentCount);
    asm.cmp(eax, -1); // SOCKET_ERROR, INVALID_SOCKET
    asm.j('ne', done);
    asm.mov(ecx, teb(tebField.lastErrorValue));
    asm.cmp(ecx, WSAENOTSOCK);
    asm.j('ne', done);
    emitReadState({ asm, environment }, saved(0), saved(1));
    asm.test(eax, 1);
    asm.mov(eax, STATUS_INVALID_HANDLE);
    asm.j('e', closed);
    asm.mov(eax, STATUS_OBJECT_TYPE_MISMATCH);
    asm.bind(closed);
    asm.mov(rcx, saved(0));
    emitMisuse({ asm, rowNumber: ROW, environment }, row.role === 'closes-socket' ? MISUSE_CLOSE : MISUSE_USE);
    asm.bind(done);
    asm.mov(rax, RESULT);
    epilogue();
  });
}
