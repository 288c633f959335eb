import type { SocketFunction } from '../../../tables/function-table.ts';
import { MISUSE_CLOSE, MISUSE_USE, MISUSE_WRONG_CLOSER } from '../../../ledger/misuse.ts';
import type { Assembler } from '../../../asm/assembler.ts';
import { type Label, teb } from '../../../asm/operands.ts';
import { eax, ecx, rcx } from '../../../asm/registers.ts';
import { type FramedFunction, framedFunction } from '../../abi/framed-function.ts';
import { STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH } from '../../abi/status.ts';
import { tebField } from '../../abi/teb.ts';
import type { HookEnvironment } from '../hook-environment.ts';
import { emitKeepRow, emitPassThrough, hookFrame, RESULT, ROW, sharedPlaces, TRAMPOLINE } from '../hook-frame.ts';
import { emitMisuse, emitReadState } from '../hook-steps.ts';
import { emitReturn } from '../stop-there.ts';

const WSAENOTSOCK = 10038;

/** Winsock functions of the same shape share the body of their hooks. */
export function sharedSocketShape({ role, argumentCount }: SocketFunction): string {
  return `${role}, ${argumentCount} arguments`;
}

/**
 * Emits the body of the hooks of the Winsock functions of one {@link sharedSocketShape}. When a function returns
 * WSAENOTSOCK, the socket was closed before, or never was one. If the value is open, it is another object's.
 */
export function emitSocketHook(
  asm: Assembler,
  begin: Label,
  row: SocketFunction,
  environment: HookEnvironment,
): FramedFunction {
  return framedFunction(asm, begin, hookFrame, (epilogue) => {
    const [closed, done] = asm.labels('closed', 'done');
    const [ifClosed, ifOpen] =
      row.role === 'closes-socket'
        ? ([MISUSE_CLOSE, MISUSE_WRONG_CLOSER] as const)
        : ([MISUSE_USE, MISUSE_USE] as const);
    const { socket, state } = sharedPlaces('socket', 'state');
    emitKeepRow(asm);
    asm.mov(socket, rcx);
    emitPassThrough(asm, TRAMPOLINE, row.argumentCount);
    asm.cmp(eax, -1); // SOCKET_ERROR, INVALID_SOCKET
    asm.j('ne', done);
    asm.mov(ecx, teb(tebField.lastErrorValue));
    asm.cmp(ecx, WSAENOTSOCK);
    asm.j('ne', done);
    emitReadState({ asm, environment }, socket, state);
    asm.mov(rcx, socket);
    asm.test(eax, 1);
    asm.j('e', closed);
    asm.mov(eax, STATUS_OBJECT_TYPE_MISMATCH);
    emitMisuse({ asm, rowNumber: ROW, environment }, ifOpen);
    asm.jmp(done);
    asm.bind(closed);
    asm.mov(eax, STATUS_INVALID_HANDLE);
    emitMisuse({ asm, rowNumber: ROW, environment }, ifClosed);
    asm.bind(done);
    emitReturn(asm, environment, { frame: hookFrame, result: RESULT, epilogue });
  });
}
