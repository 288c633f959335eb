import type { HookRow, OpenedHandle } from '../../tables/hook-row.ts';
import { typeIndex } from '../../tables/object-types.ts';
import {
  header,
  MAY_BE_INHERITABLE,
  MISUSE_CLOSE,
  MISUSE_CLOSED_AS_HANDLE,
  MISUSE_USE,
  runtimeObject,
  slot,
  STATE_CLOSING,
  STATE_QUARANTINED,
} from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, type Memory } from '../../asm/operands.ts';
import { eax, ecx, edx, r10, r11, r11d, r8, r8d, r9, r9d, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import { SYSTEM_TIME } from '../walk/stack-walk.ts';
import { callerArgument, type FramedFunction, framedFunction, returnAddressOffset } from '../walk/unwind-info.ts';
import { emitMayBeInheritable, emitNoteChange, ObjectHandleFlagInformation } from '../recorder/inherited-handles.ts';
import { emitSlotAddress, type Quarantine, THIS_PROCESS } from '../recorder/recorder.ts';
import { emitRuntimeObjectAddress } from '../recorder/runtime-objects.ts';
import { emitDuplicates } from './duplicate-hook.ts';
import {
  emitKeepRow,
  emitLoadOpened,
  emitLoadState,
  emitMisuse,
  emitPassThrough,
  emitReadState,
  emitRefusal,
  emitReportUses,
  emitReturnAddress,
  emitSaveArgument,
  emitSaveUses,
  emitUnlessQuarantined,
  type Hook,
  type HookBody,
  type HookEnvironment,
  hookFrame,
  RESULT,
  ROW,
  SAVE,
  saved,
  STATUS_INVALID_HANDLE,
  TRAMPOLINE,
} from './hook-frame.ts';
import { IOCTL_AFD_WINE_ACCEPT } from './wine-accept.ts';

const STATUS_HANDLE_NOT_CLOSABLE = 0xc000_0235 | 0;
const STATUS_ACCESS_DENIED = 0xc000_0022 | 0;
const STATUS_PENDING = 0x103;
const MEM_IMAGE = 0x100_0000;
const MAXIMUM_WAIT_OBJECTS = 64;

/**
 * Emits the hook of one row, entered by a jump from the stub's head with the caller's registers and stack.
 *
 * Every register and stack argument reaches the trampoline as the caller gave it, and the result reaches the caller as
 * the kernel gave it.
 */
export function emitHook(
  asm: Assembler,
  begin: Label,
  trampoline: Label,
  row: HookRow,
  rowNumber: number,
  environment: HookEnvironment,
): FramedFunction {
  return framedFunction(asm, begin, hookFrame, (epilogue) => {
    emitters[row.role as OwnRole](beginBody(asm, row, rowNumber, trampoline, environment, epilogue));
  });
}

function beginBody<RowNumber extends number | Memory>(
  asm: Assembler,
  row: HookRow,
  rowNumber: RowNumber,
  trampoline: Label | Memory,
  environment: HookEnvironment,
  epilogue: () => void,
): HookBody & { readonly rowNumber: RowNumber } {
  return {
    asm,
    row,
    rowNumber,
    environment,
    passThrough: () => emitPassThrough(asm, trampoline, row.argumentCount),
    return() {
      asm.mov(rax, RESULT);
      epilogue();
    },
  };
}

/** Rows of these roles are many and alike; the others' hooks are their own. */
type SharedRole = 'opens' | 'uses';
type OwnRole = Exclude<HookRow['role'], SharedRole>;

/** What rows have in common whose hooks share a body; absent where a hook is its row's own. */
export function sharedShape({ role, argumentCount, uses, opens, attributes }: HookRow): string | undefined {
  if (role !== 'opens' && role !== 'uses') return undefined;
  return `${role} ${opens.map(({ argument }) => argument)}, uses ${uses}, of ${argumentCount} arguments, attributes ${attributes}`;
}

/** What {@link emitThunk} tells the body of a {@link sharedShape} of its row. */
export function sharedRow({ opens }: HookRow, rowNumber: number): number {
  return callAndType(rowNumber, opens[0] ?? { type: 'Unknown' });
}

/** Emits the body that the hooks of one {@link sharedShape} lead to, by way of {@link emitThunk}. */
export function emitSharedHook(
  asm: Assembler,
  begin: Label,
  row: HookRow,
  environment: HookEnvironment,
): FramedFunction {
  return framedFunction(asm, begin, hookFrame, (epilogue) => {
    const body = beginBody(asm, row, ROW, TRAMPOLINE, environment, epilogue);
    emitKeepRow(asm);
    if (row.role === 'opens') {
      emitOpens(body, () => asm.mov(edx, ROW));
      return;
    }
    emitSaveUses(body);
    body.passThrough();
    emitReportUses(body);
    body.return();
  });
}

const emitters: Record<OwnRole, (hook: Hook) => void> = {
  'opens-file'(hook) {
    const { asm, environment, rowNumber } = hook;
    asm.mov(saved(6), r8); // POBJECT_ATTRIBUTES
    emitOpens(hook, ({ type }) => {
      asm.mov(eax, typeIndex(type));
      asm.mov(rcx, saved(6));
      asm.call(environment.fileOrSocketType);
      asm.mov(edx, eax);
      asm.shl(edx, 16);
      asm.or(edx, rowNumber);
    });
  },

  'creates-process'(hook) {
    const { asm, environment, rowNumber } = hook;
    const began = saved(0);
    const changes = saved(1);
    asm.mov(rax, SYSTEM_TIME);
    asm.mov(began, rax);
    asm.mov(rax, environment.linkSlots.ledger);
    asm.mov(eax, at(rax, header.inheritanceChanges));
    asm.mov(changes, rax);
    // Before the handles of the new process are recorded: it cannot have inherited these.
    const noteInherited = () => {
      asm.mov(rcx, began);
      asm.mov(rdx, changes);
      emitReturnAddress(asm);
      asm.mov(r9d, rowNumber);
      asm.call(environment.noteInherited);
    };
    emitOpens(hook, (opened) => asm.mov(edx, callAndType(rowNumber, opened)), noteInherited);
  },

  closes(hook) {
    const { asm, environment, rowNumber } = hook;
    const [failed, misused, done] = asm.labels('failed', 'misused', 'done');
    asm.mov(saved(0), rcx);
    if (environment.quarantine === undefined) emitReadState(hook, rcx, saved(1));
    else emitClaim(hook, environment.quarantine);
    emitNoteCloseHandle(hook);
    hook.passThrough();
    asm.test(eax, eax);
    asm.j('s', failed);
    asm.mov(rcx, saved(0));
    asm.mov(rdx, saved(1));
    emitReturnAddress(asm);
    asm.mov(r9d, rowNumber);
    asm.call(environment.recordClose);
    if (environment.quarantine !== undefined) {
      asm.mov(rcx, saved(0));
      asm.call(environment.quarantine.enterQuarantine);
    }
    asm.jmp(done);
    asm.bind(failed);
    if (environment.quarantine !== undefined) emitGiveUpClaim(hook);
    asm.cmp(eax, STATUS_INVALID_HANDLE);
    asm.j('e', misused);
    asm.cmp(eax, STATUS_HANDLE_NOT_CLOSABLE);
    asm.j('ne', done);
    asm.bind(misused);
    asm.mov(rcx, saved(0));
    emitMisuse(hook, MISUSE_CLOSE);
    asm.bind(done);
    hook.return();
  },

  duplicates: emitDuplicates,

  waits(hook) {
    const { asm, environment, rowNumber } = hook;
    const [noAccept] = asm.labels('noAccept');
    emitSaveUses(hook);
    hook.passThrough();
    asm.mov(r10, environment.linkSlots.ledger);
    asm.cmpImmediate32(at(r10, header.pendingAccepts), 0);
    asm.j('e', noAccept);
    asm.mov(rcx, saved(0));
    asm.mov(rdx, rax);
    emitReturnAddress(asm);
    asm.mov(r9d, rowNumber);
    asm.call(environment.resolveAccept);
    asm.mov(rax, RESULT);
    asm.bind(noAccept);
    emitReportUses(hook);
    hook.return();
  },

  'waits-many'(hook) {
    const { asm, environment } = hook;
    const [refused, done] = asm.labels('refused', 'done');
    asm.mov(saved(0), rcx);
    asm.mov(saved(1), rdx);
    hook.passThrough();
    // A type mismatch cannot be pinned on one of several handles.
    asm.cmp(eax, STATUS_INVALID_HANDLE);
    if (environment.quarantine === undefined) asm.j('ne', done);
    else {
      asm.j('e', refused);
      asm.cmp(eax, STATUS_ACCESS_DENIED); // what the sentinel says
      asm.j('ne', done);
    }
    asm.bind(refused);
    asm.mov(rdx, saved(0));
    asm.cmp(edx, MAXIMUM_WAIT_OBJECTS);
    asm.j('a', done);
    asm.mov(rcx, saved(1));
    asm.call(environment.findUnknownHandle);
    asm.mov(rcx, rax);
    if (environment.quarantine !== undefined) {
      const invalid = asm.label('invalid');
      asm.cmpImmediate32(RESULT, STATUS_INVALID_HANDLE);
      asm.j('e', invalid);
      emitLoadState(hook, rcx);
      asm.test(rax, rax);
      asm.j('ns', done);
      asm.mov(eax, STATUS_INVALID_HANDLE);
      asm.mov(RESULT, rax);
      asm.bind(invalid);
    }
    asm.mov(rax, RESULT);
    emitMisuse(hook, MISUSE_USE);
    asm.bind(done);
    hook.return();
  },

  'controls-device'(hook) {
    const { asm, environment, rowNumber } = hook;
    const [notAccept, pending, done] = asm.labels('notAccept', 'pending', 'done');
    emitSaveUses(hook);
    hook.passThrough();
    asm.cmpImmediate32(callerArgument(hookFrame, 5), IOCTL_AFD_WINE_ACCEPT);
    asm.j('ne', notAccept);
    asm.cmp(eax, STATUS_PENDING);
    asm.j('e', pending);
    asm.test(eax, eax);
    asm.j('ne', notAccept);
    asm.mov(rcx, callerArgument(hookFrame, 8)); // obj_handle_t *
    asm.mov(ecx, at(rcx));
    asm.mov(edx, rowNumber | MAY_BE_INHERITABLE | (typeIndex('Socket') << 16));
    emitReturnAddress(asm);
    asm.call(environment.recordOpen);
    asm.jmp(done);
    asm.bind(pending);
    asm.mov(rcx, saved(1)); // the event that the caller is going to wait for
    asm.mov(rdx, callerArgument(hookFrame, 8));
    asm.mov(r8, callerArgument(hookFrame, 4));
    asm.call(environment.noteAccept);
    asm.jmp(done);
    asm.bind(notAccept);
    emitReportUses(hook);
    asm.bind(done);
    hook.return();
  },

  'sets-object'(hook) {
    const { asm } = hook;
    const [pass] = asm.labels('pass');
    emitSaveUses(hook);
    asm.cmp(edx, ObjectHandleFlagInformation);
    asm.j('ne', pass);
    emitNoteChange(hook, saved(0));
    asm.bind(pass);
    hook.passThrough();
    emitReportUses(hook);
    hook.return();
  },

  exits(hook) {
    const { asm, environment } = hook;
    const [gate, begins, pass] = asm.labels('gate', 'begins', 'pass');
    asm.mov(saved(0), rcx);
    asm.mov(saved(1), rdx);
    asm.cmp(rcx, -1);
    asm.j('e', gate);
    asm.test(rcx, rcx);
    asm.j('e', begins);
    asm.call(environment.isThisProcess);
    asm.cmp(eax, THIS_PROCESS);
    asm.j('ne', pass);
    asm.bind(gate);
    asm.mov(rcx, saved(1));
    asm.call(environment.exitGate);
    asm.jmp(pass);
    asm.bind(begins); // NULL ends the other threads: the first step of an orderly exit
    asm.mov(rcx, environment.linkSlots.ledger);
    asm.movImmediate32(at(rcx, header.exiting), 1);
    asm.add(rcx, header.exitingTime);
    asm.call(environment.ntdllImport('NtQuerySystemTime'));
    asm.bind(pass);
    asm.mov(rcx, saved(0));
    asm.mov(rdx, saved(1));
    hook.passThrough();
    emitReportUses(hook);
    hook.return();
  },

  raises(hook) {
    const { asm, environment } = hook;
    const [pass] = asm.labels('pass');
    asm.mov(saved(0), rcx);
    asm.mov(saved(1), rdx);
    asm.mov(saved(2), r8);
    asm.mov(eax, r8d); // BOOLEAN FirstChance
    asm.and(eax, 0xff);
    asm.j('ne', pass);
    asm.mov(ecx, at(rcx)); // NTSTATUS ExceptionCode becomes the exit code
    asm.call(environment.exitGate);
    asm.bind(pass);
    asm.mov(rcx, saved(0));
    asm.mov(rdx, saved(1));
    asm.mov(r8, saved(2));
    hook.passThrough();
    hook.return();
  },

  maps(hook) {
    const { asm, environment } = hook;
    const [done] = asm.labels('done');
    emitSaveUses(hook);
    asm.mov(saved(2), r8); // PVOID *BaseAddress
    hook.passThrough();
    emitReportUses(hook);
    asm.mov(rax, RESULT);
    asm.test(eax, eax);
    asm.j('s', done);
    asm.cmp(saved(1), -1); // only what is mapped into this very process
    asm.j('ne', done);
    asm.mov(rcx, saved(2));
    asm.mov(rcx, at(rcx));
    asm.call(environment.noteImage);
    asm.bind(done);
    hook.return();
  },

  unmaps(hook) {
    const { asm, environment } = hook;
    const [asked, done] = asm.labels('asked', 'done');
    asm.mov(saved(0), rcx);
    asm.mov(saved(1), rdx);
    asm.mov(saved(2), r8);
    asm.mov(eax, MEM_IMAGE);
    asm.cmp(rcx, -1);
    asm.j('ne', asked); // perhaps a real handle to this process: forget to be on the safe side
    asm.xor(r8d, r8d); // MemoryBasicInformation
    asm.lea(r9, at(rsp, SAVE - 0x30)); // MEMORY_BASIC_INFORMATION, above this call's two stack arguments
    asm.movImmediate64(at(rsp, 0x20), 0x30);
    asm.movImmediate64(at(rsp, 0x28), 0);
    asm.movImmediate64(at(rsp, SAVE - 0x08), 0);
    asm.call(environment.ntdllImport('NtQueryVirtualMemory'));
    asm.mov(eax, at(rsp, SAVE - 0x30 + 0x28)); // DWORD Type
    asm.bind(asked);
    asm.mov(saved(3), rax);
    asm.mov(rcx, saved(0));
    asm.mov(rdx, saved(1));
    asm.mov(r8, saved(2));
    hook.passThrough();
    asm.test(eax, eax);
    asm.j('s', done);
    asm.cmpImmediate32(saved(3), MEM_IMAGE);
    asm.j('ne', done);
    asm.call(environment.clearWalkCache);
    asm.bind(done);
    hook.return();
  },
};

/**
 * Notes a socket, a registry key or a handle of a C runtime's descriptor that is about to be closed by CloseHandle:
 * before the call, as its value may be another object's after it. The value is in saved place 0, its state in 1. Keeps
 * rcx.
 */
function emitNoteCloseHandle(hook: Hook): void {
  const { asm, environment } = hook;
  const [note, fine] = asm.labels('note', 'fine');
  asm.mov(rax, saved(1));
  asm.test(eax, 1);
  asm.j('e', fine);
  asm.mov(rax, at(rsp, returnAddressOffset(hookFrame)));
  asm.sub(rax, environment.linkSlots.closeHandle);
  asm.cmp(rax, environment.linkSlots.closeHandleSizeBytes);
  asm.j('a', fine);
  asm.mov(r10, rcx);
  emitSlotAddress(asm, r10, fine, environment);
  asm.movzx16(rax, at(r10, slot.objectType));
  asm.cmp(eax, typeIndex('Socket'));
  asm.j('e', note);
  asm.cmp(eax, typeIndex('Key'));
  asm.j('e', note);
  emitRuntimeObjectAddress(asm, rax, at(r10, slot.runtimeObject), fine, environment);
  asm.cmp(at(rax, runtimeObject.handle), rcx);
  asm.j('ne', fine);
  asm.mov(rax, at(rax, slot.state));
  asm.test(eax, 1);
  asm.j('e', fine);
  asm.bind(note);
  asm.xor(eax, eax);
  emitMisuse(hook, MISUSE_CLOSED_AS_HANDLE);
  asm.mov(rcx, saved(0));
  asm.bind(fine);
}

/** What a closer writes into a slot before its close. */
const CLAIM = STATE_QUARANTINED | STATE_CLOSING;

/**
 * With a quarantine the closer claims the slot before the kernel is asked, so that of two threads that close one handle
 * one is refused, and whoever is given the value meanwhile finds it quarantined. The value is in saved place 0; what
 * its slot then holds is left in 1. Keeps rcx.
 */
function emitClaim(hook: Hook, quarantine: Quarantine): void {
  const { asm, environment } = hook;
  const [look, closing, taken, claimed] = asm.labels('look', 'closing', 'taken', 'claimed');
  asm.jmp(look);
  asm.bind(taken);
  asm.mov(r11, STATE_CLOSING);
  asm.test(rax, r11);
  asm.j('ne', closing);
  emitUnlessQuarantined(asm, quarantine, saved(0), look);
  emitRefusal(hook, saved(0), MISUSE_CLOSE);
  asm.bind(closing);
  asm.mov(rax, saved(0));
  asm.call(quarantine.awaitClose);
  asm.bind(look);
  emitReadState(hook, saved(0), saved(1));
  asm.test(rax, rax);
  asm.j('s', taken);
  asm.test(eax, 1);
  asm.j('e', claimed); // opened out of the recorder's sight, if at all: there is nothing to claim
  asm.mov(r10, saved(0));
  emitSlotAddress(asm, r10, claimed, environment);
  asm.mov(r11, CLAIM);
  asm.or(r11, rax);
  asm.lockCmpxchg(at(r10, slot.state), r11);
  asm.j('ne', look);
  asm.mov(saved(1), r11);
  asm.mov(r11, environment.linkSlots.ledger);
  asm.mov(r11, at(r11, header.opens));
  asm.mov(at(r10, slot.opensBefore), r11d);
  asm.bind(claimed);
}

/** The close was refused: takes the claim back, if there is one. The result is in rax then. */
function emitGiveUpClaim({ asm, environment }: Hook): void {
  const [exchange, unclaimed] = asm.labels('exchange', 'unclaimed');
  asm.cmp(saved(1), 0);
  asm.j('ns', unclaimed);
  asm.mov(r10, saved(0));
  emitSlotAddress(asm, r10, unclaimed, environment);
  asm.mov(rax, at(r10, slot.state));
  asm.bind(exchange);
  asm.mov(r11, ~CLAIM);
  asm.and(r11, rax);
  asm.lockCmpxchg(at(r10, slot.state), r11);
  asm.j('ne', exchange);
  asm.bind(unclaimed);
  asm.mov(rax, RESULT);
}

/** A row's number, and the type of what its call opens, as recordOpen takes them. */
function callAndType(rowNumber: number, { type }: Pick<OpenedHandle, 'type'>): number {
  return rowNumber | (typeIndex(type) << 16);
}

/**
 * An opening call: saved places 0 to 2 hold the handles it works on, 3 its OBJECT_ATTRIBUTES, 4 and 5 where the new
 * handles are stored. `loadCallAndType` emits code that leaves {@link callAndType} in edx, `succeeded` code that runs
 * before the new handles are recorded.
 */
function emitOpens(
  hook: HookBody,
  loadCallAndType: (opened: OpenedHandle) => void,
  succeeded: () => void = () => {},
): void {
  const { asm, row, environment } = hook;
  const [failed, done] = asm.labels('failed', 'done');
  emitSaveUses(hook);
  if (row.attributes !== undefined) emitSaveArgument(asm, row.attributes, saved(3));
  row.opens.forEach((opened, index) => emitSaveArgument(asm, opened.argument, saved(4 + index)));
  hook.passThrough();
  asm.test(eax, eax);
  asm.j('s', failed);
  succeeded();
  row.opens.forEach((opened, index) => {
    loadCallAndType(opened);
    emitMayBeInheritable(hook, saved(3));
    emitLoadOpened(hook, saved(4 + index), saved(6));
    emitReturnAddress(asm);
    asm.call(environment.recordOpen);
  });
  if (row.uses.length > 0) asm.jmp(done);
  asm.bind(failed);
  emitReportUses(hook);
  asm.bind(done);
  hook.return();
}
