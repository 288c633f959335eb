import { type HookRow, type OpenedHandle, typeIndex } from '../hook-table.ts';
import {
  header, MAY_BE_INHERITABLE, MISUSE_CLOSE, MISUSE_CLOSED_AS_HANDLE, MISUSE_USE, slot, STATE_CLOSING, STATE_QUARANTINED, wrapper,
} from '../ledger-layout.ts'; // prettier-ignore
import { type Assembler, at, type Label, low32, type Memory, r10, r11, r8, r9, rax, rcx, rdx, rsp } from './assembler.ts';
import { emitDuplicates } from './duplicate-hook.ts';
import {
  emitKeepRow, emitLoadOpened, emitLoadState, emitMisuse, emitPassThrough, emitReadState, emitRefusal, emitReportUses, emitReturnAddress,
  emitSaveArgument, emitSaveUses, emitUnlessQuarantined, type Hook, type HookBody, type HookEnvironment, hookFrame, RESULT, ROW, SAVE,
  saved, STATUS_INVALID_HANDLE, TRAMPOLINE,
} from './hook-frame.ts'; // prettier-ignore
import { emitMayBeInheritable, emitNoteChange, ObjectHandleFlagInformation } from './inherited-handles.ts';
import { emitSlotAddress, type Quarantine, THIS_PROCESS } from './recorder.ts';
import { SYSTEM_TIME } from './stack-walk.ts';
import { callerArgument, type FramedFunction, framedFunction, returnAddressOffset } from './unwind-info.ts';
import { IOCTL_AFD_WINE_ACCEPT } from './wine-accept.ts';
import { emitWrapperAddress } from './wrappers.ts';

const STATUS_HANDLE_NOT_CLOSABLE = 0xc000_0235 | 0;
const STATUS_ACCESS_DENIED = 0xc000_0022 | 0;
const STATUS_PENDING = 0x103;
const MEM_IMAGE = 0x100_0000;
const MAXIMUM_WAIT_OBJECTS = 64;

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
    emitters[row.role as OwnRole](beginBody(assembler, row, rowNumber, trampoline, environment, epilogue));
  });
}

function beginBody<RowNumber extends number | Memory>(
  assembler: Assembler,
  row: HookRow,
  rowNumber: RowNumber,
  trampoline: Label | Memory,
  environment: HookEnvironment,
  epilogue: () => void,
): HookBody & { readonly rowNumber: RowNumber } {
  return {
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
export function emitSharedHook(assembler: Assembler, begin: Label, row: HookRow, environment: HookEnvironment): FramedFunction {
  return framedFunction(assembler, begin, hookFrame, (epilogue) => {
    const body = beginBody(assembler, row, ROW, TRAMPOLINE, environment, epilogue);
    emitKeepRow(assembler);
    if (row.role === 'opens') {
      emitOpens(body, () => assembler.mov(low32(rdx), ROW));
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
    const { assembler, environment, rowNumber } = hook;
    assembler.mov(saved(6), r8); // POBJECT_ATTRIBUTES
    emitOpens(hook, ({ type }) => {
      assembler.mov(low32(rax), typeIndex(type));
      assembler.mov(rcx, saved(6));
      assembler.call(environment.isSocketPath);
      assembler.mov(low32(rdx), low32(rax));
      assembler.shl(low32(rdx), 16);
      assembler.or(low32(rdx), rowNumber);
    });
  },

  'creates-process'(hook) {
    const { assembler, environment, rowNumber } = hook;
    const began = saved(0);
    const changes = saved(1);
    assembler.mov(rax, SYSTEM_TIME);
    assembler.mov(began, rax);
    assembler.mov(rax, environment.words.ledger);
    assembler.mov(low32(rax), at(rax, header.inheritanceChanges));
    assembler.mov(changes, rax);
    // Before the handles of the new process are recorded: it cannot have inherited these.
    const noteInherited = () => {
      assembler.mov(rcx, began);
      assembler.mov(rdx, changes);
      emitReturnAddress(assembler);
      assembler.mov(low32(r9), rowNumber);
      assembler.call(environment.noteInherited);
    };
    emitOpens(hook, (opened) => assembler.mov(low32(rdx), callAndType(rowNumber, opened)), noteInherited);
  },

  closes(hook) {
    const { assembler, environment, rowNumber } = hook;
    const [failed, misused, done] = assembler.labels('failed', 'misused', 'done');
    assembler.mov(saved(0), rcx);
    if (environment.quarantine === undefined) emitReadState(hook, rcx, saved(1));
    else emitClaim(hook, environment.quarantine);
    emitNoteCloseHandle(hook);
    hook.passThrough();
    assembler.test(low32(rax), low32(rax));
    assembler.j('s', failed);
    assembler.mov(rcx, saved(0));
    assembler.mov(rdx, saved(1));
    emitReturnAddress(assembler);
    assembler.mov(low32(r9), rowNumber);
    assembler.call(environment.recordClose);
    if (environment.quarantine !== undefined) {
      assembler.mov(rcx, saved(0));
      assembler.call(environment.quarantine.enterQuarantine);
    }
    assembler.jmp(done);
    assembler.bind(failed);
    if (environment.quarantine !== undefined) emitGiveUpClaim(hook);
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

  waits(hook) {
    const { assembler, environment, rowNumber } = hook;
    const [noAccept] = assembler.labels('noAccept');
    emitSaveUses(hook);
    hook.passThrough();
    assembler.mov(r10, environment.words.ledger);
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
    const [refused, done] = assembler.labels('refused', 'done');
    assembler.mov(saved(0), rcx);
    assembler.mov(saved(1), rdx);
    hook.passThrough();
    // A type mismatch cannot be pinned on one of several handles.
    assembler.cmp(low32(rax), STATUS_INVALID_HANDLE);
    if (environment.quarantine === undefined) assembler.j('ne', done);
    else {
      assembler.j('e', refused);
      assembler.cmp(low32(rax), STATUS_ACCESS_DENIED); // what the sentinel says
      assembler.j('ne', done);
    }
    assembler.bind(refused);
    assembler.mov(rdx, saved(0));
    assembler.cmp(low32(rdx), MAXIMUM_WAIT_OBJECTS);
    assembler.j('a', done);
    assembler.mov(rcx, saved(1));
    assembler.call(environment.chooseHandle);
    assembler.mov(rcx, rax);
    if (environment.quarantine !== undefined) {
      const invalid = assembler.label('invalid');
      assembler.cmpImmediate32(RESULT, STATUS_INVALID_HANDLE);
      assembler.j('e', invalid);
      emitLoadState(hook, rcx);
      assembler.test(rax, rax);
      assembler.j('ns', done);
      assembler.mov(low32(rax), STATUS_INVALID_HANDLE);
      assembler.mov(RESULT, rax);
      assembler.bind(invalid);
    }
    assembler.mov(rax, RESULT);
    emitMisuse(hook, MISUSE_USE);
    assembler.bind(done);
    hook.return();
  },

  'controls-device'(hook) {
    const { assembler, environment, rowNumber } = hook;
    const [notAccept, pending, done] = assembler.labels('notAccept', 'pending', 'done');
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
    assembler.mov(low32(rdx), rowNumber | MAY_BE_INHERITABLE | (typeIndex('Socket') << 16));
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

  'sets-object'(hook) {
    const { assembler } = hook;
    const [pass] = assembler.labels('pass');
    emitSaveUses(hook);
    assembler.cmp(low32(rdx), ObjectHandleFlagInformation);
    assembler.j('ne', pass);
    emitNoteChange(hook, saved(0));
    assembler.bind(pass);
    hook.passThrough();
    emitReportUses(hook);
    hook.return();
  },

  exits(hook) {
    const { assembler, environment } = hook;
    const [gate, begins, pass] = assembler.labels('gate', 'begins', 'pass');
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
    assembler.mov(rcx, environment.words.ledger);
    assembler.movImmediate32(at(rcx, header.exiting), 1);
    assembler.add(rcx, header.exitingTime);
    assembler.call(environment.native('NtQuerySystemTime'));
    assembler.bind(pass);
    assembler.mov(rcx, saved(0));
    assembler.mov(rdx, saved(1));
    hook.passThrough();
    emitReportUses(hook);
    hook.return();
  },

  raises(hook) {
    const { assembler, environment } = hook;
    const [pass] = assembler.labels('pass');
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
    const [done] = assembler.labels('done');
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
    const [asked, done] = assembler.labels('asked', 'done');
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
    assembler.call(environment.native('NtQueryVirtualMemory'));
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

/**
 * Notes a socket, a registry key or a handle of a C runtime's descriptor that is about to be closed by CloseHandle: before the call, as its
 * value may be another object's after it. The value is in saved place 0, its state in 1. Keeps rcx.
 */
function emitNoteCloseHandle(hook: Hook): void {
  const { assembler, environment } = hook;
  const [note, fine] = assembler.labels('note', 'fine');
  assembler.mov(rax, saved(1));
  assembler.test(low32(rax), 1);
  assembler.j('e', fine);
  assembler.mov(rax, at(rsp, returnAddressOffset(hookFrame)));
  assembler.sub(rax, environment.words.closeHandle);
  assembler.cmp(rax, environment.words.closeHandleSizeBytes);
  assembler.j('a', fine);
  assembler.mov(r10, rcx);
  emitSlotAddress(assembler, r10, fine, environment);
  assembler.movzx16(rax, at(r10, slot.objectType));
  assembler.cmp(low32(rax), typeIndex('Socket'));
  assembler.j('e', note);
  assembler.cmp(low32(rax), typeIndex('Key'));
  assembler.j('e', note);
  emitWrapperAddress(assembler, rax, at(r10, slot.wrapper), fine, environment);
  assembler.cmp(at(rax, wrapper.handle), rcx);
  assembler.j('ne', fine);
  assembler.mov(rax, at(rax, slot.state));
  assembler.test(low32(rax), 1);
  assembler.j('e', fine);
  assembler.bind(note);
  assembler.xor(low32(rax), low32(rax));
  emitMisuse(hook, MISUSE_CLOSED_AS_HANDLE);
  assembler.mov(rcx, saved(0));
  assembler.bind(fine);
}

/** What a closer writes into a slot before its close. */
const CLAIM = STATE_QUARANTINED | STATE_CLOSING;

/**
 * With a quarantine the closer claims the slot before the kernel is asked, so that of two threads that close one handle one is
 * refused, and whoever is given the value meanwhile finds it quarantined. The value is in saved place 0; what its slot then holds is left
 * in 1. Keeps rcx.
 */
function emitClaim(hook: Hook, quarantine: Quarantine): void {
  const { assembler, environment } = hook;
  const [look, closing, taken, claimed] = assembler.labels('look', 'closing', 'taken', 'claimed');
  assembler.jmp(look);
  assembler.bind(taken);
  assembler.mov(r11, STATE_CLOSING);
  assembler.test(rax, r11);
  assembler.j('ne', closing);
  emitUnlessQuarantined(assembler, quarantine, saved(0), look);
  emitRefusal(hook, saved(0), MISUSE_CLOSE);
  assembler.bind(closing);
  assembler.mov(rax, saved(0));
  assembler.call(quarantine.awaitClose);
  assembler.bind(look);
  emitReadState(hook, saved(0), saved(1));
  assembler.test(rax, rax);
  assembler.j('s', taken);
  assembler.test(low32(rax), 1);
  assembler.j('e', claimed); // opened out of the recorder's sight, if at all: there is nothing to claim
  assembler.mov(r10, saved(0));
  emitSlotAddress(assembler, r10, claimed, environment);
  assembler.mov(r11, CLAIM);
  assembler.or(r11, rax);
  assembler.lockCmpxchg(at(r10, slot.state), r11);
  assembler.j('ne', look);
  assembler.mov(saved(1), r11);
  assembler.mov(r11, environment.words.ledger);
  assembler.mov(r11, at(r11, header.opens));
  assembler.mov(at(r10, slot.opensBefore), low32(r11));
  assembler.bind(claimed);
}

/** The close was refused: takes the claim back, if there is one. The result is in rax then. */
function emitGiveUpClaim({ assembler, environment }: Hook): void {
  const [exchange, unclaimed] = assembler.labels('exchange', 'unclaimed');
  assembler.cmp(saved(1), 0);
  assembler.j('ns', unclaimed);
  assembler.mov(r10, saved(0));
  emitSlotAddress(assembler, r10, unclaimed, environment);
  assembler.mov(rax, at(r10, slot.state));
  assembler.bind(exchange);
  assembler.mov(r11, ~CLAIM);
  assembler.and(r11, rax);
  assembler.lockCmpxchg(at(r10, slot.state), r11);
  assembler.j('ne', exchange);
  assembler.bind(unclaimed);
  assembler.mov(rax, RESULT);
}

/** A row's number, and the type of what its call opens, as recordOpen takes them. */
function callAndType(rowNumber: number, { type }: Pick<OpenedHandle, 'type'>): number {
  return rowNumber | (typeIndex(type) << 16);
}

/**
 * An opening call: saved places 0 to 2 hold the handles it works on, 3 its OBJECT_ATTRIBUTES, 4 and 5 where the new handles are stored.
 * `loadCallAndType` emits code that leaves {@link callAndType} in edx, `succeeded` code that runs before the new handles are recorded.
 */
function emitOpens(hook: HookBody, loadCallAndType: (opened: OpenedHandle) => void, succeeded: () => void = () => {}): void {
  const { assembler, row, environment } = hook;
  const [failed, done] = assembler.labels('failed', 'done');
  emitSaveUses(hook);
  if (row.attributes !== undefined) emitSaveArgument(assembler, row.attributes, saved(3));
  row.opens.forEach((opened, index) => emitSaveArgument(assembler, opened.argument, saved(4 + index)));
  hook.passThrough();
  assembler.test(low32(rax), low32(rax));
  assembler.j('s', failed);
  succeeded();
  row.opens.forEach((opened, index) => {
    loadCallAndType(opened);
    emitMayBeInheritable(hook, saved(3));
    emitLoadOpened(hook, saved(4 + index), saved(6));
    emitReturnAddress(assembler);
    assembler.call(environment.recordOpen);
  });
  if (row.uses.length > 0) assembler.jmp(done);
  assembler.bind(failed);
  emitReportUses(hook);
  assembler.bind(done);
  hook.return();
}
