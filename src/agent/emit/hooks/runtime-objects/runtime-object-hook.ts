import type { Assembler } from '../../../asm/assembler.ts';
import { at, type Label } from '../../../asm/operands.ts';
import { r10, r11, r8, r9, rax, rcx, rdx, rsp } from '../../../asm/registers.ts';
import { runtimeObjectRow } from '../../../linkage/runtime-object-row.ts';
import { type FramedFunction, framedFunction, returnAddressOffset } from '../../abi/framed-function.ts';
import type { HookEnvironment } from '../hook-environment.ts';
import { emitReturn } from '../stop-there.ts';
import { emitJudgeResult, emitRecordCloses, emitSettleMisuse } from './after-call.ts';
import { emitBeforeClose, emitBeforeUse } from './before-call.ts';
import { emitRecordOpens } from './record-opens.ts';
import { ARGUMENTS, places, runtimeObjectFrame, STACK_ARGUMENT_COUNT_MAX } from './runtime-object-frame.ts';

/*
 * One hook serves all functions that open, close or work on runtime objects. A row of data for each function says what
 * it does.
 *
 * The hook finds out before the call whether a runtime object is closed, because a library may end the process over a
 * closed one. The answer is certain. Another thread may be opening the object anew, but no code can know it yet,
 * because every function that hands it out is hooked. The misuse counts when the call fails, or does not come back. The
 * same holds for an open object of another kind, which the function cannot close.
 *
 * The work of a library inside itself is not the program's doing: a call from the library's own module passes through.
 */

const argumentRegisters = [rcx, rdx, r8, r9] as const;

/** Emits the hook. A thunk jumps to it with the caller's arguments and stack. */
export function emitRuntimeObjectHook(asm: Assembler, begin: Label, environment: HookEnvironment): FramedFunction {
  return framedFunction(asm, begin, runtimeObjectFrame, (epilogue) => {
    const [passThrough, copied, done] = asm.labels('passThrough', 'copied', 'done');
    argumentRegisters.forEach((register, index) => asm.mov(at(rsp, ARGUMENTS + index * 8), register));
    asm.mov(places.trampoline, r11);
    asm.movImmediate64(places.row, 0);
    asm.movzx8(rax, at(r10, runtimeObjectRow.stackArguments));
    asm.mov(places.stackArguments, rax);
    asm.mov(rax, at(rsp, returnAddressOffset(runtimeObjectFrame)));
    asm.sub(rax, at(r10, runtimeObjectRow.moduleBase));
    asm.cmp(rax, at(r10, runtimeObjectRow.moduleSize));
    asm.j('b', passThrough);
    asm.mov(places.row, r10);
    for (const memory of [places.pending, places.strangeHandle, places.closing, places.descriptor])
      asm.movImmediate64(memory, 0);
    emitBeforeUse(asm, environment);
    emitBeforeClose(asm, environment);

    asm.bind(passThrough);
    // Behind the last one the stack may end: koffi calls a function at the very end of a stack of its own.
    for (let index = 0; index < STACK_ARGUMENT_COUNT_MAX; index++) {
      asm.cmp(places.stackArguments, index);
      asm.j('be', copied);
      asm.mov(rax, at(rsp, ARGUMENTS + (4 + index) * 8));
      asm.mov(at(rsp, 0x20 + index * 8), rax);
    }
    asm.bind(copied);
    argumentRegisters.forEach((register, index) => asm.mov(register, at(rsp, ARGUMENTS + index * 8)));
    asm.call(places.trampoline);
    asm.mov(places.result, rax);
    asm.cmp(places.row, 0);
    asm.j('e', done);
    emitJudgeResult(asm);
    emitSettleMisuse(asm, environment);
    // A call that replaces an object has opened the new one already. Closes come last, and find it opened anew.
    emitRecordOpens(asm, environment);
    emitRecordCloses(asm, environment);
    asm.bind(done);
    emitReturn(asm, environment, { frame: runtimeObjectFrame, result: places.result, epilogue });
  });
}
