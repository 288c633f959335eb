import { typeIndex } from '../../tables/object-types.ts';
import { MAY_BE_INHERITABLE, slot } from '../../ledger/layout.ts';
import { CLOSED_ELSEWHERE, OPENED_ELSEWHERE } from '../../ledger/elsewhere.ts';
import { MISUSE_CLOSE, MISUSE_USE } from '../../ledger/misuse.ts';
import { at, type Label } from '../../asm/operands.ts';
import { eax, edx, r10, r8, r9, r9d, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import { callerArgument } from '../abi/framed-function.ts';
import { STATUS_INVALID_HANDLE } from '../abi/status.ts';
import { emitWithKind } from '../recorder/elsewhere.ts';
import { OBJ_INHERIT } from '../recorder/inheritable.ts';
import type { Quarantine } from '../recorder/recorder-environment.ts';
import { emitSlotAddress } from '../recorder/slot-address.ts';
import { PROCESS_UNKNOWN, THIS_PROCESS } from '../recorder/this-process.ts';
import type { Hook } from './hook-environment.ts';
import { emitReturnAddress, hookFrame, hookPlaces, RESULT } from './hook-frame.ts';
import { emitLoadOpened, emitMisuse, emitReadState, emitRefusal, emitUnlessQuarantined } from './hook-steps.ts';

const DUPLICATE_CLOSE_SOURCE = 1;
const DUPLICATE_SAME_ATTRIBUTES = 4;

const { sourceProcess, sourceHandle, targetProcess, targetHandle, sourceState, sourceIsOurs, sourceType } = hookPlaces(
  'sourceProcess',
  'sourceHandle',
  'targetProcess',
  'targetHandle',
  'sourceState',
  'sourceIsOurs',
  'sourceType',
);
const attributes = callerArgument(hookFrame, 5); // ULONG HandleAttributes
const options = callerArgument(hookFrame, 6); // ULONG Options

/**
 * NtDuplicateObject(SourceProcess, SourceHandle, TargetProcess, *TargetHandle, access, attributes, options):
 * records what the call opens in this process, and what it closes here; and what it opens and closes in another one.
 */
export function emitDuplicates(hook: Hook): void {
  const { asm, environment } = hook;
  const [failed, refused, done] = asm.labels('failed', 'refused', 'done');
  asm.mov(sourceProcess, rcx);
  asm.mov(sourceHandle, rdx);
  asm.mov(targetProcess, r8);
  asm.mov(targetHandle, r9);
  emitReadState(hook, rdx, sourceState);
  if (environment.quarantine !== undefined) emitRefuseQuarantinedSource(hook, environment.quarantine);
  emitFindSourceType(hook);
  hook.passThrough();
  asm.mov(rcx, sourceProcess);
  asm.call(environment.isThisProcess);
  asm.mov(sourceIsOurs, rax);
  asm.mov(rax, RESULT);
  asm.test(eax, eax);
  asm.j('s', failed);
  emitNoteClosed(hook);
  emitNoteOpened(hook);
  if (environment.quarantine !== undefined) {
    // This comes last, because the duplicate was opened before its source was closed.
    emitUnlessClosingOurs(hook, done);
    asm.mov(rcx, sourceHandle);
    asm.call(environment.quarantine.enterQuarantine);
  }
  asm.jmp(done);
  asm.bind(failed);
  emitUnlessClosedAllTheSame(hook, refused, done);
  emitRecordSourceClose(hook);
  asm.jmp(done);
  asm.bind(refused);
  emitBlame(hook, done);
  asm.bind(done);
  hook.return();
}

/** Jumps to `otherwise` unless the call closes a handle of this process. Clobbers rax. */
function emitUnlessClosingOurs({ asm }: Hook, otherwise: Label): void {
  asm.mov(rax, options);
  asm.test(eax, DUPLICATE_CLOSE_SOURCE);
  asm.j('e', otherwise);
  asm.mov(rax, sourceIsOurs);
  asm.cmp(eax, THIS_PROCESS);
  asm.j('ne', otherwise);
}

/**
 * Keeps the type of the source in rdx, which is that of the duplicate. The pseudo handles of process and thread tell
 * theirs by their values. Keeps the argument registers. Clobbers rax, r10.
 */
function emitFindSourceType({ asm, environment }: Hook): void {
  const found = asm.label('found');
  asm.mov(eax, typeIndex('Process'));
  asm.cmp(rdx, -1);
  asm.j('e', found);
  asm.mov(eax, typeIndex('Thread'));
  asm.cmp(rdx, -2);
  asm.j('e', found);
  asm.xor(eax, eax);
  asm.mov(r10, rdx);
  emitSlotAddress(asm, r10, found, environment);
  asm.mov(eax, at(r10, slot.openedCall));
  asm.shr(eax, 16);
  asm.bind(found);
  asm.mov(sourceType, rax);
}

/** Notes what the call has closed by DUPLICATE_CLOSE_SOURCE, here or elsewhere. */
function emitNoteClosed(hook: Hook): void {
  const { asm, environment, rowNumber } = hook;
  const [notOurs, closed] = asm.labels('notOurs', 'closed');
  emitUnlessClosingOurs(hook, notOurs);
  emitRecordSourceClose(hook);
  asm.jmp(closed);
  asm.bind(notOurs);
  asm.mov(rax, options);
  asm.test(eax, DUPLICATE_CLOSE_SOURCE);
  asm.j('e', closed);
  asm.mov(rax, sourceIsOurs);
  asm.test(eax, eax);
  asm.j('ne', closed); // it is not known whose handle it is
  asm.mov(rcx, sourceProcess);
  asm.mov(rdx, sourceHandle);
  emitWithKind(asm, CLOSED_ELSEWHERE);
  emitReturnAddress(asm);
  asm.mov(r9d, rowNumber);
  asm.call(environment.noteElsewhere);
  asm.bind(closed);
}

/** Records the close of the source, a handle of this process. */
function emitRecordSourceClose({ asm, environment, rowNumber }: Hook): void {
  asm.mov(rcx, sourceHandle);
  asm.mov(rdx, sourceState);
  emitReturnAddress(asm);
  asm.mov(r9d, rowNumber);
  asm.call(environment.recordClose);
}

/** Notes the handle that the call has opened, here or elsewhere. A call that only closes has no place for one. */
function emitNoteOpened(hook: Hook): void {
  const { asm, environment } = hook;
  const [here, opened] = asm.labels('here', 'opened');
  asm.cmp(targetHandle, 0);
  asm.j('e', opened);
  asm.mov(rcx, targetProcess);
  asm.call(environment.isThisProcess);
  asm.cmp(eax, THIS_PROCESS);
  asm.j('e', here);
  asm.test(eax, eax);
  asm.j('ne', opened);
  emitNoteOpenedElsewhere(hook);
  asm.jmp(opened);
  asm.bind(here);
  emitRecordOpenedHere(hook);
  asm.bind(opened);
}

/** Notes the duplicate in another process, with its type if its source is of this one. */
function emitNoteOpenedElsewhere({ asm, environment, rowNumber }: Hook): void {
  const untyped = asm.label('untyped');
  asm.xor(r9d, r9d);
  asm.mov(rax, sourceIsOurs);
  asm.cmp(eax, THIS_PROCESS);
  asm.j('ne', untyped);
  asm.mov(r9, sourceType);
  asm.shl(r9, 16);
  asm.bind(untyped);
  asm.or(r9d, rowNumber);
  asm.mov(rcx, targetProcess);
  asm.mov(rdx, targetHandle);
  asm.mov(rdx, at(rdx));
  emitWithKind(asm, OPENED_ELSEWHERE);
  emitReturnAddress(asm);
  asm.call(environment.noteElsewhere);
}

/** Records the duplicate in this process. It may be inheritable if the call asks for that, or copies the attributes. */
function emitRecordOpenedHere(hook: Hook): void {
  const { asm, environment, rowNumber } = hook;
  const untyped = asm.label('untyped');
  asm.xor(edx, edx); // the type of a source in another process is not known here
  asm.mov(rax, sourceIsOurs);
  asm.cmp(eax, THIS_PROCESS);
  asm.j('ne', untyped);
  asm.mov(rdx, sourceType);
  asm.shl(edx, 16);
  asm.bind(untyped);
  asm.or(edx, rowNumber);
  asm.mov(rax, attributes);
  asm.and(eax, OBJ_INHERIT);
  asm.shl(eax, Math.log2(MAY_BE_INHERITABLE / OBJ_INHERIT));
  asm.or(edx, eax);
  asm.mov(rax, options);
  asm.and(eax, DUPLICATE_SAME_ATTRIBUTES);
  asm.shl(eax, Math.log2(MAY_BE_INHERITABLE / DUPLICATE_SAME_ATTRIBUTES));
  asm.or(edx, eax);
  emitLoadOpened(hook, targetHandle, sourceType);
  emitReturnAddress(asm);
  asm.call(environment.recordOpen);
}

/**
 * DUPLICATE_CLOSE_SOURCE closes the source even when the call fails (documented for DuplicateHandle). Wine does so when
 * there is no target process, and then returns STATUS_INVALID_HANDLE. The kernel knows whether it was closed. Jumps to
 * `notAsked` where there was no open handle of this process to close, and to `open` where there still is one.
 */
function emitUnlessClosedAllTheSame(hook: Hook, notAsked: Label, open: Label): void {
  const { asm, environment } = hook;
  emitUnlessClosingOurs(hook, notAsked);
  asm.mov(rax, sourceState);
  asm.test(eax, 1);
  asm.j('e', notAsked);
  asm.mov(rcx, sourceHandle);
  asm.xor(edx, edx); // ObjectBasicInformation
  asm.lea(r8, at(rsp, 0x30)); // PUBLIC_OBJECT_BASIC_INFORMATION, among this hook's stack arguments
  asm.mov(r9d, 0x38);
  asm.movImmediate64(at(rsp, 0x20), 0);
  asm.call(environment.ntdllImport('NtQueryObject'));
  asm.cmp(eax, STATUS_INVALID_HANDLE);
  asm.j('ne', open);
}

/**
 * The call may have been refused because of one handle: that of the source process, of the target process, or the
 * source. Counts the misuse of that one, or jumps to `done`.
 */
function emitBlame(hook: Hook, done: Label): void {
  const { asm, environment } = hook;
  const [target, used] = asm.labels('target', 'used');
  asm.mov(rax, RESULT);
  asm.cmp(eax, STATUS_INVALID_HANDLE);
  asm.j('ne', done);
  asm.mov(rcx, sourceProcess);
  asm.mov(rax, sourceIsOurs);
  asm.cmp(eax, PROCESS_UNKNOWN);
  asm.j('e', used);
  asm.cmp(eax, THIS_PROCESS);
  asm.j('ne', target);
  asm.mov(rcx, sourceHandle);
  asm.mov(rax, options);
  asm.test(eax, DUPLICATE_CLOSE_SOURCE);
  asm.mov(rax, RESULT);
  asm.j('e', used);
  emitMisuse(hook, MISUSE_CLOSE);
  asm.jmp(done);
  asm.bind(target);
  asm.mov(rcx, targetProcess);
  asm.call(environment.isThisProcess);
  asm.cmp(eax, PROCESS_UNKNOWN);
  asm.j('ne', done);
  asm.mov(rcx, targetProcess);
  asm.bind(used);
  asm.mov(rax, RESULT);
  emitMisuse(hook, MISUSE_USE);
}

/** Refuses a quarantined source of this very process. Clobbers rax. */
function emitRefuseQuarantinedSource(hook: Hook, quarantine: Quarantine): void {
  const { asm } = hook;
  const [fine, used] = asm.labels('fine', 'used');
  asm.test(rax, rax);
  asm.j('ns', fine);
  // Another thread's close is going to change this state, so it must not be compared with later.
  asm.movImmediate64(sourceState, 0);
  asm.cmp(sourceProcess, -1);
  asm.j('ne', fine);
  emitUnlessQuarantined(asm, quarantine, sourceHandle, fine);
  asm.mov(rax, options);
  asm.test(eax, DUPLICATE_CLOSE_SOURCE);
  asm.j('e', used);
  emitRefusal(hook, sourceHandle, MISUSE_CLOSE);
  asm.bind(used);
  emitRefusal(hook, sourceHandle, MISUSE_USE);
  asm.bind(fine);
}
