import { typeIndex } from '../../tables/object-types.ts';
import { header, MAY_BE_INHERITABLE } from '../../ledger/layout.ts';
import { MISUSE_USE } from '../../ledger/misuse.ts';
import { at, type Label } from '../../asm/operands.ts';
import { eax, ecx, edx, r10, r8, r9d, rax, rcx, rdx } from '../../asm/registers.ts';
import { callerArgument } from '../abi/framed-function.ts';
import { STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE, STATUS_PENDING } from '../abi/status.ts';
import { emitNoteChange, ObjectHandleFlagInformation } from '../recorder/inheritable.ts';
import type { Hook } from './hook-environment.ts';
import { emitReturnAddress, hookFrame, hookPlaces, RESULT, usedHandles } from './hook-frame.ts';
import { emitLoadState, emitMisuse, emitReportUses, emitSaveUses } from './hook-steps.ts';
import { IOCTL_AFD_WINE_ACCEPT } from './wine-accept.ts';

const MAXIMUM_WAIT_OBJECTS = 64;

/** Emits the hook of a call that waits for one handle. */
export function emitWaits(hook: Hook): void {
  emitSaveUses(hook);
  hook.passThrough();
  emitRecordAccept(hook, () => hook.asm.mov(rcx, usedHandles[0]));
  emitReportUses(hook);
  hook.return();
}

/**
 * Emits the record of the socket that an accept delivers: Wine's accept is over when its thread has waited for it.
 * `emitHandle` loads the waited handle into rcx, or jumps to its label where there is not one. rax holds the wait's
 * status before and after.
 */
function emitRecordAccept({ asm, environment, rowNumber }: Hook, emitHandle: (noAccept: Label) => void): void {
  const noAccept = asm.label('noAccept');
  asm.mov(r10, environment.linkSlots.ledger);
  asm.cmpImmediate32(at(r10, header.pendingAccepts), 0);
  asm.j('e', noAccept);
  emitHandle(noAccept);
  asm.mov(rdx, rax);
  emitReturnAddress(asm);
  asm.mov(r9d, rowNumber);
  asm.call(environment.resolveAccept);
  asm.mov(rax, RESULT);
  asm.bind(noAccept);
}

/** Emits the hook of a call that waits for an array of handles. WaitForSingleObject makes it, too, on Wine 8. */
export function emitWaitsMany(hook: Hook): void {
  const { asm, environment } = hook;
  const [refused, done] = asm.labels('refused', 'done');
  const { count, handles } = hookPlaces('count', 'handles');
  asm.mov(count, rcx);
  asm.mov(handles, rdx);
  hook.passThrough();
  emitRecordAccept(hook, (noAccept) => {
    asm.test(eax, eax); // STATUS_SUCCESS: the handles could be read
    asm.j('ne', noAccept);
    asm.mov(rcx, count);
    asm.cmp(ecx, 1);
    asm.j('ne', noAccept);
    asm.mov(rcx, handles);
    asm.mov(rcx, at(rcx));
  });
  // A type mismatch does not tell which of several handles it is about.
  asm.cmp(eax, STATUS_INVALID_HANDLE);
  if (environment.quarantine === undefined) asm.j('ne', done);
  else {
    asm.j('e', refused);
    asm.cmp(eax, STATUS_ACCESS_DENIED); // the sentinel permits no wait
    asm.j('ne', done);
  }
  asm.bind(refused);
  asm.mov(rdx, count);
  asm.cmp(edx, MAXIMUM_WAIT_OBJECTS);
  asm.j('a', done);
  asm.mov(rcx, handles);
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
}

/** Emits the hook of NtDeviceIoControlFile, by which Wine's sockets accept. */
export function emitControlsDevice(hook: Hook): void {
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
  asm.mov(rcx, usedHandles[1]); // the event that the caller is going to wait for
  asm.mov(rdx, callerArgument(hookFrame, 8));
  asm.mov(r8, callerArgument(hookFrame, 4));
  asm.call(environment.noteAccept);
  asm.jmp(done);
  asm.bind(notAccept);
  emitReportUses(hook);
  asm.bind(done);
  hook.return();
}

/** Emits the hook of NtSetInformationObject, which changes whether a handle is inheritable. */
export function emitSetsObject(hook: Hook): void {
  const { asm } = hook;
  const [pass] = asm.labels('pass');
  emitSaveUses(hook);
  asm.cmp(edx, ObjectHandleFlagInformation);
  asm.j('ne', pass);
  emitNoteChange(hook, usedHandles[0]);
  asm.bind(pass);
  hook.passThrough();
  emitReportUses(hook);
  hook.return();
}
