import {
  type Assembler, at, indexed, type Label, low32, type Memory, r10, r11, r8, r9, rax, rbx, rcx, rdx, type Register, relative, rsi, rsp, teb,
} from './assembler.ts'; // prettier-ignore
import { type FunctionRow, type HookRow, objectTypes, type ObjectType } from './hook-table.ts';
import {
  header, IMAGE_COUNT, IMAGE_SIZE_BYTES, image, type LedgerLayout, PENDING_ACCEPT_COUNT, PENDING_ACCEPT_SIZE_BYTES, slot, WALK_CACHE_COUNT,
} from './ledger-layout.ts'; // prettier-ignore
import { emitSlotAddress, MISUSE_CLOSE, MISUSE_USE, PROCESS_UNKNOWN, THIS_PROCESS } from './recorder.ts';
import { emitNativeCall, tebField } from './stack-walk.ts';
import { callerArgument, type FramedFunction, framedFunction, type FrameShape, returnAddressOffset } from './unwind-info.ts';

/** What hooks call; all of it is emitted once. */
export interface HookEnvironment {
  readonly ledger: bigint;
  readonly layout: LedgerLayout;
  readonly walkCache: bigint;
  readonly recordOpen: Label;
  readonly recordClose: Label;
  readonly recordMisuse: Label;
  readonly chooseHandle: Label;
  readonly isThisProcess: Label;
  readonly exitGate: Label;
  readonly isSocketPath: Label;
  readonly noteAccept: Label;
  readonly resolveAccept: Label;
  readonly forgetWalks: Label;
  readonly noteImage: Label;
  readonly hookFunctions: Label;
  nativeCall(name: string): Label | bigint;
}

const STATUS_INVALID_HANDLE = 0xc000_0008 | 0;
const STATUS_OBJECT_TYPE_MISMATCH = 0xc000_0024 | 0;
const STATUS_HANDLE_NOT_CLOSABLE = 0xc000_0235 | 0;
const STATUS_PENDING = 0x103;
const WSAENOTSOCK = 10038;
const DUPLICATE_CLOSE_SOURCE = 1;
const MEM_IMAGE = 0x100_0000;
const MAXIMUM_WAIT_OBJECTS = 64;
/** CTL_CODE(FILE_DEVICE_NETWORK, 201, METHOD_BUFFERED, FILE_ANY_ACCESS), wine/include/wine/afd.h. */
const IOCTL_AFD_WINE_ACCEPT = 0x12_0324;

/** Home space, stack arguments of the widest call (NtCreateTokenEx: 17), eight places of our own. */
const SAVE = 0x20 + 13 * 8;
const hookFrame: FrameShape = { pushes: [], sizeBytes: SAVE + 8 * 8 };
const saved = (index: number): Memory => at(rsp, SAVE + index * 8);
const RESULT = saved(7);

const typeIndex = (type: ObjectType): number => objectTypes.indexOf(type);

/**
 * Emits the hook of one row, entered by a jump from the stub's head with the caller's registers and stack.
 *
 * Every register and stack argument reaches the trampoline as the caller gave it, and the result reaches the caller as the
 * kernel gave it.
 */
export function emitHook(
  assembler: Assembler,
  begin: Label,
  trampoline: Label,
  row: HookRow,
  rowNumber: number,
  environment: HookEnvironment,
): FramedFunction {
  return framedFunction(assembler, begin, hookFrame, (epilogue) => {
    const hook: Hook = {
      assembler,
      row,
      rowNumber,
      environment,
      passThrough: () => emitPassThrough(assembler, trampoline, row.argumentCount),
      return() {
        assembler.mov(rax, RESULT);
        epilogue();
      },
    };
    emitters[row.role](hook);
  });
}

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
    const [closed, done] = labels(assembler, 'closed', 'done');
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

/** Copies the stack arguments, makes the call, keeps its result. Clobbers rax before the call. */
function emitPassThrough(assembler: Assembler, trampoline: Label, argumentCount: number): void {
  for (let index = 4; index < argumentCount; index++) {
    assembler.mov(rax, callerArgument(hookFrame, index));
    assembler.mov(at(rsp, 0x20 + (index - 4) * 8), rax);
  }
  assembler.call(trampoline);
  assembler.mov(RESULT, rax);
}

interface Hook {
  readonly assembler: Assembler;
  readonly row: HookRow;
  readonly rowNumber: number;
  readonly environment: HookEnvironment;
  /** Copies the stack arguments, makes the call, keeps its result; eax holds the status. */
  passThrough(): void;
  /** Returns the kept result. */
  return(): void;
}

const emitters: Record<HookRow['role'], (hook: Hook) => void> = {
  opens(hook) {
    emitOpens(hook, () => {});
  },

  'opens-file'(hook) {
    const { assembler, environment } = hook;
    assembler.mov(saved(6), r8); // POBJECT_ATTRIBUTES
    emitOpens(hook, () => {
      assembler.mov(rcx, saved(6));
      assembler.call(environment.isSocketPath);
    });
  },

  closes(hook) {
    const { assembler, environment, rowNumber } = hook;
    const [failed, misused, done] = labels(assembler, 'failed', 'misused', 'done');
    assembler.mov(saved(0), rcx);
    emitReadState(hook, rcx, saved(1));
    hook.passThrough();
    assembler.test(low32(rax), low32(rax));
    assembler.j('s', failed);
    assembler.mov(rcx, saved(0));
    assembler.mov(rdx, saved(1));
    emitReturnAddress(assembler);
    assembler.mov(low32(r9), rowNumber);
    assembler.call(environment.recordClose);
    assembler.jmp(done);
    assembler.bind(failed);
    assembler.cmp(low32(rax), STATUS_INVALID_HANDLE);
    assembler.j('e', misused);
    assembler.cmp(low32(rax), STATUS_HANDLE_NOT_CLOSABLE);
    assembler.j('ne', done);
    assembler.bind(misused);
    assembler.mov(rcx, saved(0));
    emitMisuse(hook, MISUSE_CLOSE);
    assembler.bind(done);
    hook.return();
  },

  duplicates: emitDuplicates,

  uses(hook) {
    emitSaveUses(hook);
    hook.passThrough();
    emitReportUses(hook);
    hook.return();
  },

  waits(hook) {
    const { assembler, environment, rowNumber } = hook;
    const [noAccept] = labels(assembler, 'noAccept');
    emitSaveUses(hook);
    hook.passThrough();
    assembler.mov(r10, environment.ledger);
    assembler.cmpImmediate32(at(r10, header.pendingAccepts), 0);
    assembler.j('e', noAccept);
    assembler.mov(rcx, saved(0));
    assembler.mov(rdx, rax);
    emitReturnAddress(assembler);
    assembler.mov(low32(r9), rowNumber);
    assembler.call(environment.resolveAccept);
    assembler.mov(rax, RESULT);
    assembler.bind(noAccept);
    emitReportUses(hook);
    hook.return();
  },

  'waits-many'(hook) {
    const { assembler, environment } = hook;
    const [done] = labels(assembler, 'done');
    assembler.mov(saved(0), rcx);
    assembler.mov(saved(1), rdx);
    hook.passThrough();
    // A type mismatch cannot be pinned on one of several handles.
    assembler.cmp(low32(rax), STATUS_INVALID_HANDLE);
    assembler.j('ne', done);
    assembler.mov(rdx, saved(0));
    assembler.cmp(low32(rdx), MAXIMUM_WAIT_OBJECTS);
    assembler.j('a', done);
    assembler.mov(rcx, saved(1));
    assembler.call(environment.chooseHandle);
    assembler.mov(rcx, rax);
    assembler.mov(rax, RESULT);
    emitMisuse(hook, MISUSE_USE);
    assembler.bind(done);
    hook.return();
  },

  'controls-device'(hook) {
    const { assembler, environment, rowNumber } = hook;
    const [notAccept, pending, done] = labels(assembler, 'notAccept', 'pending', 'done');
    emitSaveUses(hook);
    hook.passThrough();
    assembler.cmpImmediate32(callerArgument(hookFrame, 5), IOCTL_AFD_WINE_ACCEPT);
    assembler.j('ne', notAccept);
    assembler.cmp(low32(rax), STATUS_PENDING);
    assembler.j('e', pending);
    assembler.test(low32(rax), low32(rax));
    assembler.j('ne', notAccept);
    assembler.mov(rcx, callerArgument(hookFrame, 8)); // obj_handle_t *
    assembler.mov(low32(rcx), at(rcx));
    assembler.mov(low32(rdx), rowNumber | (typeIndex('Socket') << 16));
    emitReturnAddress(assembler);
    assembler.call(environment.recordOpen);
    assembler.jmp(done);
    assembler.bind(pending);
    assembler.mov(rcx, saved(1)); // the event that the caller is going to wait for
    assembler.mov(rdx, callerArgument(hookFrame, 8));
    assembler.mov(r8, callerArgument(hookFrame, 4));
    assembler.call(environment.noteAccept);
    assembler.jmp(done);
    assembler.bind(notAccept);
    emitReportUses(hook);
    assembler.bind(done);
    hook.return();
  },

  exits(hook) {
    const { assembler, environment } = hook;
    const [gate, begins, pass] = labels(assembler, 'gate', 'begins', 'pass');
    assembler.mov(saved(0), rcx);
    assembler.mov(saved(1), rdx);
    assembler.cmp(rcx, -1);
    assembler.j('e', gate);
    assembler.test(rcx, rcx);
    assembler.j('e', begins);
    assembler.call(environment.isThisProcess);
    assembler.cmp(low32(rax), THIS_PROCESS);
    assembler.j('ne', pass);
    assembler.bind(gate);
    assembler.mov(rcx, saved(1));
    assembler.call(environment.exitGate);
    assembler.jmp(pass);
    assembler.bind(begins); // NULL ends the other threads: the first step of an orderly exit
    assembler.mov(rcx, environment.ledger);
    assembler.movImmediate32(at(rcx, header.exiting), 1);
    assembler.add(rcx, header.exitingTime);
    emitNativeCall(assembler, environment.nativeCall('NtQuerySystemTime'));
    assembler.bind(pass);
    assembler.mov(rcx, saved(0));
    assembler.mov(rdx, saved(1));
    hook.passThrough();
    emitReportUses(hook);
    hook.return();
  },

  raises(hook) {
    const { assembler, environment } = hook;
    const [pass] = labels(assembler, 'pass');
    assembler.mov(saved(0), rcx);
    assembler.mov(saved(1), rdx);
    assembler.mov(saved(2), r8);
    assembler.mov(low32(rax), low32(r8)); // BOOLEAN FirstChance
    assembler.and(low32(rax), 0xff);
    assembler.j('ne', pass);
    assembler.mov(low32(rcx), at(rcx)); // NTSTATUS ExceptionCode becomes the exit code
    assembler.call(environment.exitGate);
    assembler.bind(pass);
    assembler.mov(rcx, saved(0));
    assembler.mov(rdx, saved(1));
    assembler.mov(r8, saved(2));
    hook.passThrough();
    hook.return();
  },

  maps(hook) {
    const { assembler, environment } = hook;
    const [done] = labels(assembler, 'done');
    emitSaveUses(hook);
    assembler.mov(saved(2), r8); // PVOID *BaseAddress
    hook.passThrough();
    emitReportUses(hook);
    assembler.mov(rax, RESULT);
    assembler.test(low32(rax), low32(rax));
    assembler.j('s', done);
    assembler.cmp(saved(1), -1); // only what is mapped into this very process
    assembler.j('ne', done);
    assembler.mov(rcx, saved(2));
    assembler.mov(rcx, at(rcx));
    assembler.call(environment.noteImage);
    assembler.bind(done);
    hook.return();
  },

  unmaps(hook) {
    const { assembler, environment } = hook;
    const [asked, done] = labels(assembler, 'asked', 'done');
    assembler.mov(saved(0), rcx);
    assembler.mov(saved(1), rdx);
    assembler.mov(saved(2), r8);
    assembler.mov(low32(rax), MEM_IMAGE);
    assembler.cmp(rcx, -1);
    assembler.j('ne', asked); // perhaps a real handle to this process: forget to be on the safe side
    assembler.xor(low32(r8), low32(r8)); // MemoryBasicInformation
    assembler.lea(r9, at(rsp, SAVE - 0x30)); // MEMORY_BASIC_INFORMATION, above this call's two stack arguments
    assembler.movImmediate64(at(rsp, 0x20), 0x30);
    assembler.movImmediate64(at(rsp, 0x28), 0);
    assembler.movImmediate64(at(rsp, SAVE - 0x08), 0);
    emitNativeCall(assembler, environment.nativeCall('NtQueryVirtualMemory'));
    assembler.mov(low32(rax), at(rsp, SAVE - 0x30 + 0x28)); // DWORD Type
    assembler.bind(asked);
    assembler.mov(saved(3), rax);
    assembler.mov(rcx, saved(0));
    assembler.mov(rdx, saved(1));
    assembler.mov(r8, saved(2));
    hook.passThrough();
    assembler.test(low32(rax), low32(rax));
    assembler.j('s', done);
    assembler.cmpImmediate32(saved(3), MEM_IMAGE);
    assembler.j('ne', done);
    assembler.call(environment.forgetWalks);
    assembler.bind(done);
    hook.return();
  },
};

function labels<const Names extends readonly string[]>(assembler: Assembler, ...names: Names): { [K in keyof Names]: Label } {
  return names.map((name) => assembler.label(name)) as { [K in keyof Names]: Label };
}

const argumentRegisters = [rcx, rdx, r8, r9] as const;

function argument(index: number): Register | Memory {
  return argumentRegisters[index] ?? callerArgument(hookFrame, index);
}

/** Copies argument `index` of the call into a saved place; at the hook's entry only. Clobbers rax. */
function emitSaveArgument(assembler: Assembler, index: number, place: Memory): void {
  const source = argument(index);
  if (source.kind === 'register') return assembler.mov(place, source);
  assembler.mov(rax, source);
  assembler.mov(place, rax);
}

/** The handles that the call works on, in saved places 0, 1, 2. */
function emitSaveUses(hook: Hook): void {
  hook.row.uses.forEach((index, place) => emitSaveArgument(hook.assembler, index, saved(place)));
}

/** `r8 = address of the return address the hook was entered with`. */
function emitReturnAddress(assembler: Assembler): void {
  assembler.lea(r8, at(rsp, returnAddressOffset(hookFrame)));
}

/** Records the misuse of the value in rcx; eax holds the status. */
function emitMisuse(hook: Hook, kind: typeof MISUSE_CLOSE | typeof MISUSE_USE): void {
  const { assembler, rowNumber, environment } = hook;
  assembler.mov(low32(r9), low32(rax));
  assembler.mov(low32(rdx), rowNumber | (kind << 16));
  emitReturnAddress(assembler);
  assembler.call(environment.recordMisuse);
}

/** If the call was refused because of a handle, records which. eax holds the status. */
function emitReportUses(hook: Hook): void {
  const { assembler, row, environment } = hook;
  if (row.uses.length === 0) return;
  const [refused, fine, choose] = labels(assembler, 'refused', 'fine', 'choose');
  assembler.cmp(low32(rax), STATUS_INVALID_HANDLE);
  assembler.j('e', choose);
  assembler.cmp(low32(rax), STATUS_OBJECT_TYPE_MISMATCH);
  assembler.j('ne', fine);
  assembler.mov(rcx, saved(0)); // the object that the call works on
  assembler.jmp(refused);
  assembler.bind(choose);
  assembler.mov(rcx, saved(0));
  if (row.uses.length > 1) {
    assembler.lea(rcx, saved(0));
    assembler.mov(low32(rdx), row.uses.length);
    assembler.call(environment.chooseHandle);
    assembler.mov(rcx, rax);
    assembler.mov(rax, RESULT);
  }
  assembler.bind(refused);
  emitMisuse(hook, MISUSE_USE);
  assembler.bind(fine);
}

/** The slot's state of the value in `value`, 0 where it has no slot, into `place`. Clobbers rax, r11. */
function emitReadState(hook: Pick<Hook, 'assembler' | 'environment'>, value: Register | Memory, place: Memory): void {
  const { assembler, environment } = hook;
  const [none, read] = labels(assembler, 'none', 'read');
  assembler.mov(rax, value);
  emitSlotAddress(assembler, rax, r11, none, environment);
  assembler.mov(rax, at(rax, slot.state));
  assembler.jmp(read);
  assembler.bind(none);
  assembler.xor(low32(rax), low32(rax));
  assembler.bind(read);
  assembler.mov(place, rax);
}

/**
 * An opening call: saved places 0 to 2 hold the handles it works on, 4 and 5 where the new handles are stored.
 * `chooseType` may emit code that leaves another type's index in eax.
 */
function emitOpens(hook: Hook, chooseType: () => void): void {
  const { assembler, row, rowNumber, environment } = hook;
  const [failed, done] = labels(assembler, 'failed', 'done');
  emitSaveUses(hook);
  row.opens.forEach((opened, index) => emitSaveArgument(assembler, opened.argument, saved(4 + index)));
  hook.passThrough();
  assembler.test(low32(rax), low32(rax));
  assembler.j('s', failed);
  row.opens.forEach((opened, index) => {
    assembler.mov(low32(rax), typeIndex(opened.type));
    chooseType();
    assembler.mov(low32(rdx), low32(rax));
    assembler.shl(low32(rdx), 16);
    assembler.or(low32(rdx), rowNumber);
    assembler.mov(rcx, saved(4 + index));
    assembler.mov(rcx, at(rcx));
    emitReturnAddress(assembler);
    assembler.call(environment.recordOpen);
  });
  if (row.uses.length > 0) assembler.jmp(done);
  assembler.bind(failed);
  emitReportUses(hook);
  assembler.bind(done);
  hook.return();
}

/**
 * NtDuplicateObject(SourceProcess, SourceHandle, TargetProcess, *TargetHandle, access, attributes, options): what it opens
 * in this process is recorded as opened, what it closes here as closed.
 */
function emitDuplicates(hook: Hook): void {
  const { assembler, environment, rowNumber } = hook;
  const sourceProcess = saved(0);
  const sourceHandle = saved(1);
  const targetProcess = saved(2);
  const targetHandle = saved(3);
  const sourceState = saved(4);
  const sourceIsOurs = saved(5);
  const sourceType = saved(6);
  const options = callerArgument(hookFrame, 6);
  const [refused, typed, notPseudo, failed, blameTarget, misused, done, closed, notClosed] = labels(
    assembler, 'refused', 'typed', 'notPseudo', 'failed', 'blameTarget', 'misused', 'done', 'closed', 'notClosed',
  ); // prettier-ignore

  assembler.mov(sourceProcess, rcx);
  assembler.mov(sourceHandle, rdx);
  assembler.mov(targetProcess, r8);
  assembler.mov(targetHandle, r9);
  emitReadState(hook, rdx, sourceState);

  // The type of a duplicate is that of its source, which the pseudo handles of process and thread tell themselves.
  assembler.mov(low32(rax), typeIndex('Process'));
  assembler.cmp(rdx, -1);
  assembler.j('e', typed);
  assembler.mov(low32(rax), typeIndex('Thread'));
  assembler.cmp(rdx, -2);
  assembler.j('e', typed);
  assembler.xor(low32(rax), low32(rax));
  assembler.mov(r10, rdx);
  emitSlotAddress(assembler, r10, r11, notPseudo, environment);
  assembler.mov(low32(rax), at(r10, slot.openedCall));
  assembler.shr(low32(rax), 16);
  assembler.bind(notPseudo);
  assembler.bind(typed);
  assembler.mov(sourceType, rax);

  hook.passThrough();
  assembler.mov(rcx, sourceProcess);
  assembler.call(environment.isThisProcess);
  assembler.mov(sourceIsOurs, rax);
  assembler.mov(rax, RESULT);
  assembler.test(low32(rax), low32(rax));
  assembler.j('s', failed);

  assembler.mov(rax, options);
  assembler.test(low32(rax), DUPLICATE_CLOSE_SOURCE);
  assembler.j('e', notClosed);
  assembler.mov(rax, sourceIsOurs);
  assembler.cmp(low32(rax), THIS_PROCESS);
  assembler.j('ne', notClosed);
  assembler.mov(rcx, sourceHandle);
  assembler.mov(rdx, sourceState);
  emitReturnAddress(assembler);
  assembler.mov(low32(r9), rowNumber);
  assembler.call(environment.recordClose);
  assembler.bind(notClosed);

  assembler.cmp(targetHandle, 0);
  assembler.j('e', done);
  assembler.mov(rcx, targetProcess);
  assembler.call(environment.isThisProcess);
  assembler.cmp(low32(rax), THIS_PROCESS);
  assembler.j('ne', done);
  assembler.xor(low32(rdx), low32(rdx)); // a source in another process: its type is not known here
  assembler.mov(rax, sourceIsOurs);
  assembler.cmp(low32(rax), THIS_PROCESS);
  assembler.j('ne', closed);
  assembler.mov(rdx, sourceType);
  assembler.shl(low32(rdx), 16);
  assembler.bind(closed);
  assembler.or(low32(rdx), rowNumber);
  assembler.mov(rcx, targetHandle);
  assembler.mov(rcx, at(rcx));
  emitReturnAddress(assembler);
  assembler.call(environment.recordOpen);
  assembler.jmp(done);

  // DUPLICATE_CLOSE_SOURCE closes the source even when the call fails (documented for DuplicateHandle); Wine does so when
  // there is no target process, and then says STATUS_INVALID_HANDLE. Whether it did is asked of the kernel.
  assembler.bind(failed);
  assembler.mov(rax, options);
  assembler.test(low32(rax), DUPLICATE_CLOSE_SOURCE);
  assembler.j('e', refused);
  assembler.mov(rax, sourceIsOurs);
  assembler.cmp(low32(rax), THIS_PROCESS);
  assembler.j('ne', refused);
  assembler.mov(rax, sourceState);
  assembler.test(low32(rax), 1);
  assembler.j('e', refused);
  assembler.mov(rcx, sourceHandle);
  assembler.xor(low32(rdx), low32(rdx)); // ObjectBasicInformation
  assembler.lea(r8, at(rsp, 0x30)); // PUBLIC_OBJECT_BASIC_INFORMATION, among this hook's stack arguments
  assembler.mov(low32(r9), 0x38);
  assembler.movImmediate64(at(rsp, 0x20), 0);
  emitNativeCall(assembler, environment.nativeCall('NtQueryObject'));
  assembler.cmp(low32(rax), STATUS_INVALID_HANDLE);
  assembler.j('ne', done);
  assembler.mov(rcx, sourceHandle);
  assembler.mov(rdx, sourceState);
  emitReturnAddress(assembler);
  assembler.mov(low32(r9), rowNumber);
  assembler.call(environment.recordClose);
  assembler.jmp(done);

  // Refused because of a handle: of the source process, of the target process, or the source itself.
  assembler.bind(refused);
  assembler.mov(rax, RESULT);
  assembler.cmp(low32(rax), STATUS_INVALID_HANDLE);
  assembler.j('ne', done);
  assembler.mov(rcx, sourceProcess);
  assembler.mov(rax, sourceIsOurs);
  assembler.cmp(low32(rax), PROCESS_UNKNOWN);
  assembler.j('e', misused);
  assembler.cmp(low32(rax), THIS_PROCESS);
  assembler.j('ne', blameTarget);
  assembler.mov(rcx, sourceHandle);
  assembler.mov(rax, options);
  assembler.test(low32(rax), DUPLICATE_CLOSE_SOURCE);
  assembler.mov(rax, RESULT);
  assembler.j('e', misused);
  emitMisuse(hook, MISUSE_CLOSE);
  assembler.jmp(done);
  assembler.bind(blameTarget);
  assembler.mov(rcx, targetProcess);
  assembler.call(environment.isThisProcess);
  assembler.cmp(low32(rax), PROCESS_UNKNOWN);
  assembler.j('ne', done);
  assembler.mov(rcx, targetProcess);
  assembler.bind(misused);
  assembler.mov(rax, RESULT);
  emitMisuse(hook, MISUSE_USE);
  assembler.bind(done);
  hook.return();
}

/**
 * Emits `u32 isSocketPath(OBJECT_ATTRIBUTES*)`: the type index of `Socket` for a path that begins with `\Device\Afd`, else of
 * `File`. Called after the kernel has accepted the structure. A leaf function.
 */
export function emitIsSocketPath(assembler: Assembler, begin: Label): void {
  const [file] = labels(assembler, 'file');
  assembler.align(16);
  assembler.bind(begin);
  assembler.test(rcx, rcx);
  assembler.j('e', file);
  assembler.mov(rcx, at(rcx, 0x10)); // PUNICODE_STRING ObjectName
  assembler.test(rcx, rcx);
  assembler.j('e', file);
  assembler.movzx16(rax, at(rcx)); // USHORT Length
  assembler.cmp(low32(rax), '\\Device\\Afd'.length * 2);
  assembler.j('b', file);
  assembler.mov(rcx, at(rcx, 8)); // PWSTR Buffer
  for (const [start, text] of [[0, '\\Dev'], [4, 'ice\\'], [7, '\\Afd']] as const) { // prettier-ignore
    assembler.mov(rax, Buffer.from(text, 'utf16le').readBigUInt64LE());
    assembler.cmp(rax, at(rcx, start * 2));
    assembler.j('ne', file);
  }
  assembler.mov(low32(rax), typeIndex('Socket'));
  assembler.ret();
  assembler.bind(file);
  assembler.mov(low32(rax), typeIndex('File'));
  assembler.ret();
}

/**
 * Emits `void noteAccept(HANDLE event, u32* handle, IO_STATUS_BLOCK* status)`: an accept of Wine's that is still pending. The
 * thread is about to wait for the event; {@link emitResolveAccept} then finds the handle. A leaf function.
 */
export function emitNoteAccept(assembler: Assembler, begin: Label, ledger: bigint): void {
  const [next, mine, free] = labels(assembler, 'next', 'mine', 'free');
  assembler.align(16);
  assembler.bind(begin);
  assembler.mov(r9, ledger);
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
  assembler.mov(rax, ledger);
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
export function emitResolveAccept(assembler: Assembler, begin: Label, environment: Pick<HookEnvironment, 'ledger' | 'recordOpen'>): FramedFunction {
  const frame: FrameShape = { pushes: [], sizeBytes: 0x28 };
  return framedFunction(assembler, begin, frame, (epilogue) => {
    const [next, mine, done] = labels(assembler, 'next', 'mine', 'done');
    assembler.test(low32(rdx), low32(rdx)); // STATUS_SUCCESS: the event was set
    assembler.j('ne', done);
    assembler.mov(r10, environment.ledger);
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
    assembler.mov(rax, environment.ledger);
    assembler.lockDec32(at(rax, header.pendingAccepts));
    assembler.test(low32(r11), low32(r11));
    assembler.j('ne', done);
    assembler.mov(low32(rdx), low32(r9));
    assembler.or(low32(rdx), typeIndex('Socket') << 16);
    assembler.call(environment.recordOpen);
    epilogue();
  });
}

/** Emits `void forgetWalks()`: empties the walk cache. A leaf function. */
export function emitForgetWalks(assembler: Assembler, begin: Label, walkCache: bigint): void {
  const [next] = labels(assembler, 'next');
  assembler.align(16);
  assembler.bind(begin);
  assembler.mov(rcx, walkCache);
  assembler.xor(low32(rax), low32(rax));
  assembler.lea(rdx, at(rcx, WALK_CACHE_COUNT * 8));
  assembler.bind(next);
  assembler.mov(at(rcx), rax);
  assembler.add(rcx, 8);
  assembler.cmp(rcx, rdx);
  assembler.j('b', next);
  assembler.ret();
}

/** Emits `void noteImage(void* base)`: if an image was mapped there, notes its place, size and path. */
export function emitNoteImage(
  assembler: Assembler,
  begin: Label,
  environment: Pick<HookEnvironment, 'ledger' | 'layout' | 'nativeCall' | 'hookFunctions'>,
): FramedFunction {
  const frame: FrameShape = { pushes: [], sizeBytes: 0x78 };
  const base = at(rsp, 0x30);
  const place = at(rsp, 0x38);
  const information = 0x40; // MEMORY_BASIC_INFORMATION, 0x30 bytes
  const MemoryBasicInformation = 0;
  const MemoryMappedFilenameInformation = 2;
  return framedFunction(assembler, begin, frame, (epilogue) => {
    const [done] = labels(assembler, 'done');
    const query = (informationClass: number, sizeBytes: number) => {
      assembler.mov(rcx, -1n);
      assembler.mov(rdx, base);
      assembler.mov(low32(r8), informationClass);
      assembler.movImmediate64(at(rsp, 0x20), sizeBytes);
      assembler.movImmediate64(at(rsp, 0x28), 0);
      emitNativeCall(assembler, environment.nativeCall('NtQueryVirtualMemory'));
      assembler.test(low32(rax), low32(rax));
    };
    assembler.mov(base, rcx);
    assembler.lea(r9, at(rsp, information));
    query(MemoryBasicInformation, 0x30);
    assembler.j('s', done);
    assembler.cmpImmediate32(at(rsp, information + 0x28), MEM_IMAGE); // DWORD Type
    assembler.j('ne', done);
    assembler.mov(r10, environment.ledger);
    assembler.mov(low32(rax), 1);
    assembler.lockXadd(at(r10, header.imageCount), low32(rax));
    assembler.cmp(low32(rax), IMAGE_COUNT);
    assembler.j('ae', done);
    assembler.shl(rax, Math.log2(IMAGE_SIZE_BYTES));
    assembler.lea(rax, indexed(r10, rax, 1, environment.layout.imagesOffset));
    assembler.mov(place, rax);
    assembler.lea(r9, at(rax, image.path));
    query(MemoryMappedFilenameInformation, IMAGE_SIZE_BYTES - image.path);
    assembler.j('s', done);
    // The headers of a mapped image were checked by the kernel.
    assembler.mov(rcx, base);
    assembler.mov(r10, place);
    assembler.mov(low32(rax), at(rcx, 0x3c)); // LONG e_lfanew
    assembler.mov(low32(rax), indexed(rcx, rax, 1, 0x50)); // DWORD OptionalHeader.SizeOfImage
    assembler.mov(at(r10, image.sizeBytes), low32(rax));
    assembler.mov(at(r10, image.base), rcx);
    assembler.call(environment.hookFunctions);
    assembler.bind(done);
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

const PAGE_EXECUTE_READWRITE = 0x40;

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
    const [other, next, missed, counted, done] = labels(assembler, 'other', 'next', 'missed', 'counted', 'done');
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
