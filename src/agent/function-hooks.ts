import {
  type Assembler, at, indexed, type Label, low32, type Memory, r8, r9, rax, rbx, rcx, rdx, relative, rsi, rsp, teb,
} from './assembler.ts'; // prettier-ignore
import {
  emitPassThrough, emitReadState, emitReturnAddress, type HookEnvironment, hookFrame, RESULT, saved, STATUS_INVALID_HANDLE,
  STATUS_OBJECT_TYPE_MISMATCH,
} from './hook-frame.ts'; // prettier-ignore
import type { FunctionRow } from './hook-table.ts';
import { header, MISUSE_CLOSE, MISUSE_USE } from './ledger-layout.ts';
import { emitNativeCall, tebField } from './stack-walk.ts';
import { type FramedFunction, framedFunction, type FrameShape } from './unwind-info.ts';

const WSAENOTSOCK = 10038;
const PAGE_EXECUTE_READWRITE = 0x40;

/**
 * Emits the hook of a Winsock function: a socket that it calls no socket (WSAENOTSOCK) was closed before, unless the value is
 * open; then it is something else.
 */
export function emitFunctionHook(
  assembler: Assembler,
  begin: Label,
  trampoline: Label,
  row: FunctionRow,
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

/** The functions of one DLL, and where the DLL must come to lie for their hooks to fit. */
export interface FunctionPatches {
  readonly moduleBase: bigint;
  /** Offsets from the PE header, and the 32 bits there, that together tell this DLL from every other. */
  readonly identity: readonly (readonly [offset: number, value: number])[];
  /** 3 x u64 each: address, the eight bytes that must be there, the eight bytes that take their place. */
  readonly table: Label;
  readonly count: number;
}

/**
 * Emits `void hookFunctions(void* base)`: if the DLL whose functions are to be hooked was mapped there, hooks them before
 * any of its code runs. What is not as expected stays as it is, and is counted.
 */
export function emitHookFunctions(
  assembler: Assembler,
  begin: Label,
  patches: FunctionPatches,
  environment: Pick<HookEnvironment, 'ledger' | 'nativeCall'>,
): FramedFunction {
  const frame: FrameShape = { pushes: [rbx, rsi], sizeBytes: 0x58 };
  return framedFunction(assembler, begin, frame, (epilogue) => {
    const [other, next, missed, counted, done] = assembler.labels('other', 'next', 'missed', 'counted', 'done');
    const address = at(rsp, 0x30);
    const size = at(rsp, 0x38);
    const original = at(rsp, 0x40);
    const ours = at(rsp, 0x48);
    const protect = (protection: number | Memory, before: Memory) => {
      assembler.mov(rax, at(rbx));
      assembler.mov(address, rax);
      assembler.movImmediate64(size, 8);
      assembler.mov(rcx, -1n);
      assembler.lea(rdx, address);
      assembler.lea(r8, size);
      assembler.mov(low32(r9), protection);
      assembler.lea(rax, before);
      assembler.mov(at(rsp, 0x20), rax);
      emitNativeCall(assembler, environment.nativeCall('NtProtectVirtualMemory'));
    };
    assembler.mov(low32(rax), at(rcx, 0x3c)); // LONG e_lfanew
    // One of these alone may be shared: reproducible builds give all their files the same time.
    for (const [offset, value] of patches.identity) {
      assembler.cmpImmediate32(indexed(rcx, rax, 1, offset), value | 0);
      assembler.j('ne', other);
    }
    assembler.lea(rbx, relative(patches.table));
    assembler.mov(low32(rsi), patches.count);
    assembler.mov(rax, patches.moduleBase);
    assembler.cmp(rax, rcx);
    assembler.mov(rax, environment.ledger);
    assembler.j('e', next);
    assembler.movImmediate32(at(rax, header.functionsMissed), patches.count);
    assembler.bind(other);
    epilogue();

    assembler.bind(next);
    assembler.test(low32(rsi), low32(rsi));
    assembler.j('e', done);
    assembler.mov(rax, at(rbx));
    assembler.mov(rax, at(rax));
    assembler.cmp(rax, at(rbx, 8));
    assembler.j('ne', missed);
    protect(PAGE_EXECUTE_READWRITE, original);
    assembler.test(low32(rax), low32(rax));
    assembler.j('s', missed);
    assembler.mov(rax, at(rbx));
    assembler.mov(rcx, at(rbx, 0x10));
    assembler.mov(at(rax), rcx); // one write, before the first call
    protect(original, ours);
    assembler.mov(rax, environment.ledger);
    assembler.lockInc32(at(rax, header.functionsHooked));
    assembler.jmp(counted);
    assembler.bind(missed);
    assembler.mov(rax, environment.ledger);
    assembler.lockInc32(at(rax, header.functionsMissed));
    assembler.bind(counted);
    assembler.add(rbx, 0x18);
    assembler.sub(low32(rsi), 1);
    assembler.jmp(next);
    assembler.bind(done);
    epilogue();
  });
}
