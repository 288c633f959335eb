import { request, REQUEST_SIZE_BYTES, WORK_SHIFT } from '../../../ledger/request.ts';
import { type RequestFunction, requestFunctions } from '../../../tables/request-functions.ts';
import type { Assembler } from '../../../asm/assembler.ts';
import { at, indexed, type Label, teb } from '../../../asm/operands.ts';
import { eax, ecx, edx, r8d, r9, rax, rcx, rdx, r8, rsp } from '../../../asm/registers.ts';
import { callerArgument, type FramedFunction, framedFunction, returnAddressOffset } from '../../abi/framed-function.ts';
import { tebField } from '../../abi/teb.ts';
import { emitRequestPair } from '../../walk/append-request.ts';
import { HASH_MULTIPLIER } from '../../walk/stack-hash.ts';
import type { HookEnvironment } from '../hook-environment.ts';
import { emitKeepRow, emitPassThrough, emitReturnAddress, hookFrame, RESULT, ROW, TRAMPOLINE } from '../hook-frame.ts';

/*
 * A thread of libuv's pool opens a file for whoever asked for it, and its stack does not show who. So the hook of a
 * function that hands work to the pool notes the stack of its call by the address of the work. The pool's thread has
 * that address on its stack while it does the work, and the stacks that it records go on with the one that was noted
 * (walk/append-request.ts).
 */

const ARGUMENT_COUNT = Math.max(...requestFunctions.map(({ argumentCount }) => argumentCount));

/** The table has this in place of an address while a thread writes an entry. */
const BEING_WRITTEN = 1;

/** The second entry of a pair. */
const earlier = REQUEST_SIZE_BYTES;

/** A row's data in 32 bits. */
export function workAndCallback({ work, workOffset, callbackArgument }: RequestFunction): number {
  return workOffset | (callbackArgument << CALLBACK_SHIFT) | (work << ROW_WORK_SHIFT);
}

const CALLBACK_SHIFT = 16;
const ROW_WORK_SHIFT = 24;

/**
 * Emits the body of the hooks of all {@link requestFunctions}. The stack is noted before the call, for the pool may
 * begin the work before the call returns.
 */
export function emitRequestHook(asm: Assembler, begin: Label, environment: HookEnvironment): FramedFunction {
  return framedFunction(asm, begin, hookFrame, (epilogue) => {
    const [pass, write] = asm.labels('pass', 'write');
    // The home space of a function's caller is the function's own.
    const registers = [rcx, rdx, r8, r9] as const;
    emitKeepRow(asm);
    registers.forEach((register, index) => asm.mov(callerArgument(hookFrame, index), register));
    asm.mov(rax, ROW);
    asm.shr(eax, CALLBACK_SHIFT);
    asm.and(eax, 0xff);
    asm.cmp(indexed(rsp, rax, 8, returnAddressOffset(hookFrame) + 8), 0);
    asm.j('e', pass);
    emitReturnAddress(asm);
    asm.mov(rcx, r8);
    asm.xor(edx, edx);
    asm.call(environment.captureStack);
    asm.mov(r8d, eax); // 0 where there is no room for it: what is there of an earlier work must go all the same
    asm.mov(rcx, ROW);
    asm.shr(ecx, ROW_WORK_SHIFT);
    asm.shl(ecx, WORK_SHIFT);
    asm.or(r8d, ecx);
    asm.mov(rdx, ROW);
    asm.and(edx, 0xffff);
    asm.add(rdx, callerArgument(hookFrame, 1));
    asm.mov(rcx, HASH_MULTIPLIER);
    emitRequestPair(asm, r9, rdx, rcx, environment);
    // Two threads may ask at once for works that have one pair: the second goes without.
    asm.mov(rax, at(r9, request.work));
    asm.cmp(rax, BEING_WRITTEN);
    asm.j('e', pass);
    asm.mov(ecx, BEING_WRITTEN);
    asm.lockCmpxchg(at(r9, request.work), rcx);
    asm.j('ne', pass);
    asm.cmp(rax, rdx);
    asm.j('e', write); // the same place in memory, and another work
    asm.movImmediate64(at(r9, earlier + request.work), BEING_WRITTEN);
    asm.mov(rcx, at(r9, request.stack)); // with the thread's id
    asm.mov(at(r9, earlier + request.stack), rcx);
    asm.mov(at(r9, earlier + request.work), rax);
    asm.bind(write);
    asm.mov(at(r9, request.stack), r8d);
    asm.mov(eax, teb(tebField.threadId));
    asm.mov(at(r9, request.threadId), eax);
    asm.mov(at(r9, request.work), rdx);

    asm.bind(pass);
    registers.forEach((register, index) => asm.mov(register, callerArgument(hookFrame, index)));
    emitPassThrough(asm, TRAMPOLINE, ARGUMENT_COUNT);
    asm.mov(rax, RESULT);
    epilogue();
  });
}
