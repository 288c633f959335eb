import { typeIndex } from '../../tables/object-types.ts';
import { header, slot, STATE_CLOSING, STATE_QUARANTINED, SWEPT } from '../../ledger/layout.ts';
import { DESCRIPTOR_COUNT_MAX, runtimeObject } from '../../ledger/runtime-object.ts';
import { MISUSE_CLOSE, MISUSE_CLOSED_AS_HANDLE, misuse } from '../../ledger/misuse.ts';
import { at, type Label } from '../../asm/operands.ts';
import { eax, ecx, edx, r10, r11, r11d, r9d, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import { returnAddressOffset } from '../abi/framed-function.ts';
import { STATUS_HANDLE_NOT_CLOSABLE, STATUS_INVALID_HANDLE } from '../abi/status.ts';
import { emitCount } from '../recorder/note-stop.ts';
import type { Quarantine } from '../recorder/recorder-environment.ts';
import { emitRuntimeObjectAddress } from '../recorder/runtime-objects.ts';
import { emitSlotAddress } from '../recorder/slot-address.ts';
import type { Hook } from './hook-environment.ts';
import { emitReturnAddress, hookFrame, hookPlaces, RESULT } from './hook-frame.ts';
import { emitMisuse, emitReadState, emitRefusal, emitUnlessQuarantined } from './hook-steps.ts';
import { emitNoteSwept, emitSettleSwept } from './sweeps.ts';

/** The value that is closed, the state of its slot before, what a sweep needs, and the record of a pending misuse. */
const places = hookPlaces('value', 'state', 'swept', 'record', 'stream', 'pending');
const { value, state, swept, pending } = places;

/** Emits the hook of NtClose. */
export function emitCloses(hook: Hook): void {
  const { asm, environment, rowNumber } = hook;
  const [sweeps, noSweep, call, failed, misused, settle, done] = asm.labels(
    'sweeps',
    'noSweep',
    'call',
    'failed',
    'misused',
    'settle',
    'done',
  );
  asm.mov(value, rcx);
  asm.movImmediate64(swept, 0);
  if (environment.quarantine === undefined) emitReadState(hook, rcx, state);
  else emitClaim(hook, environment.quarantine);
  emitPendSecondClose(hook);
  asm.mov(rax, environment.linkSlots.ledger);
  asm.cmpImmediate32(at(rax, header.sweeping), 0);
  asm.j('ne', sweeps);
  asm.bind(noSweep);
  emitNoteCloseHandle(hook);
  asm.bind(call);
  hook.passThrough();
  emitSettlePending(hook);
  asm.test(eax, eax);
  asm.j('s', failed);
  asm.mov(rcx, value);
  asm.mov(rdx, state);
  emitReturnAddress(asm);
  asm.mov(r9d, swept);
  asm.and(r9d, SWEPT << 16);
  asm.or(r9d, rowNumber);
  asm.call(environment.recordClose);
  if (environment.quarantine !== undefined) {
    asm.mov(rcx, value);
    asm.call(environment.quarantine.enterQuarantine);
  }
  asm.cmp(swept, 0);
  asm.j('ne', settle);
  asm.jmp(done);
  asm.bind(sweeps);
  emitNoteSwept(hook, places, noSweep);
  asm.jmp(call);
  asm.bind(settle);
  emitSettleSwept(hook, places);
  asm.jmp(done);
  asm.bind(failed);
  if (environment.quarantine !== undefined) emitGiveUpClaim(hook);
  asm.cmp(eax, STATUS_INVALID_HANDLE);
  asm.j('e', misused);
  asm.cmp(eax, STATUS_HANDLE_NOT_CLOSABLE);
  asm.j('ne', done);
  asm.bind(misused);
  asm.mov(rcx, value);
  emitMisuse(hook, MISUSE_CLOSE);
  asm.bind(done);
  hook.return();
}

/**
 * Notes a socket, a registry key or the handle of a runtime object that CloseHandle is about to close. This comes
 * before the call, because afterwards the value may be another object's. Keeps rcx.
 */
function emitNoteCloseHandle(hook: Hook): void {
  const { asm, environment } = hook;
  const [note, plain, fine] = asm.labels('note', 'plain', 'fine');
  asm.mov(rax, state);
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
  emitRuntimeObjectAddress(asm, rax, at(r10, slot.runtimeObject), plain, environment);
  asm.cmp(at(rax, runtimeObject.handle), rcx);
  asm.j('ne', plain);
  asm.mov(rax, at(rax, slot.state));
  asm.test(eax, 1);
  asm.j('ne', note);
  asm.bind(plain);
  emitNoteDescriptor(hook, fine);
  asm.bind(note);
  asm.xor(eax, eax);
  emitMisuse(hook, MISUSE_CLOSED_AS_HANDLE);
  asm.mov(rcx, value);
  asm.bind(fine);
}

/**
 * Jumps to `fine` unless the handle, whose slot is at r10, has the number of an open descriptor, which may be meant:
 * the kernel ignores the low two bits of a value. That is noted. Whether it counts depends on whose handle it is, so
 * the handle needs a note too. Mostly, a handle that was opened after the program's first descriptor is its own, and
 * many of these are closed.
 */
function emitNoteDescriptor(hook: Hook, fine: Label): void {
  const { asm, environment } = hook;
  const [look, noRoom] = asm.labels('look', 'noRoom');
  asm.mov(rax, environment.linkSlots.ledger);
  asm.mov(rax, at(rax, header.firstDescriptorTime));
  asm.test(rax, rax);
  asm.j('e', fine);
  asm.cmp(rcx, DESCRIPTOR_COUNT_MAX);
  asm.j('ae', fine);
  asm.test(ecx, 3);
  asm.j('ne', look);
  asm.cmp(at(r10, slot.openedTime), rax);
  asm.j('a', fine);
  asm.bind(look);
  asm.mov(rax, rcx);
  asm.call(environment.findStranger);
  asm.test(r10, r10);
  asm.j('e', fine);
  asm.mov(edx, hook.rowNumber);
  emitReturnAddress(asm);
  asm.xor(r9d, r9d);
  asm.call(environment.internWrongCloser);
  asm.test(rax, rax);
  asm.j('e', noRoom);
  emitCount(asm, environment);
  asm.bind(noRoom);
  asm.mov(rcx, value);
}

/**
 * Makes the record of a second close before the call, and lets it count as pending. Under a debugger, Application
 * Verifier or strict handle checks the call raises an exception instead of failing, and may not come back. Keeps rcx.
 */
function emitPendSecondClose({ asm, environment, rowNumber }: Hook): void {
  const none = asm.label('none');
  asm.movImmediate64(pending, 0);
  asm.mov(rax, state);
  asm.test(rax, rax);
  asm.j('e', none); // no handle ever had the value, or none that the recorder knows
  asm.test(eax, 1);
  asm.j('ne', none);
  asm.mov(r10, rcx);
  emitSlotAddress(asm, r10, none, environment);
  asm.mov(edx, rowNumber | (MISUSE_CLOSE << 16));
  emitReturnAddress(asm);
  asm.mov(r9d, STATUS_INVALID_HANDLE);
  asm.call(environment.internMisuse);
  asm.mov(pending, rax);
  asm.mov(rcx, value);
  asm.test(rax, rax);
  asm.j('e', none);
  asm.lockInc32(at(rax, misuse.pending));
  asm.bind(none);
}

/** The call has come back, and its result says what it was. Keeps rax. */
function emitSettlePending({ asm }: Hook): void {
  const none = asm.label('none');
  asm.mov(r10, pending);
  asm.test(r10, r10);
  asm.j('e', none);
  asm.lockDec32(at(r10, misuse.pending));
  asm.bind(none);
}

/** The flags that a closer sets in a slot before its close. */
const CLAIM = STATE_QUARANTINED | STATE_CLOSING;

/**
 * With a quarantine the closer claims the slot before the kernel is asked. So of two threads that close one handle one
 * is refused, and a thread that is given the value meanwhile finds it quarantined. Leaves the slot's new state in
 * `state`. Keeps rcx.
 */
function emitClaim(hook: Hook, quarantine: Quarantine): void {
  const { asm, environment } = hook;
  const [look, closing, taken, claimed] = asm.labels('look', 'closing', 'taken', 'claimed');
  asm.jmp(look);
  asm.bind(taken);
  asm.mov(r11, STATE_CLOSING);
  asm.test(rax, r11);
  asm.j('ne', closing);
  emitUnlessQuarantined(asm, quarantine, value, look);
  emitRefusal(hook, value, MISUSE_CLOSE);
  asm.bind(closing);
  asm.mov(rax, value);
  asm.call(quarantine.awaitClose);
  asm.bind(look);
  emitReadState(hook, value, state);
  asm.test(rax, rax);
  asm.j('s', taken);
  asm.test(eax, 1);
  asm.j('e', claimed); // the recorder did not see it opened: there is nothing to claim
  asm.mov(r10, value);
  emitSlotAddress(asm, r10, claimed, environment);
  asm.mov(r11, CLAIM);
  asm.or(r11, rax);
  asm.lockCmpxchg(at(r10, slot.state), r11);
  asm.j('ne', look);
  asm.mov(state, r11);
  asm.mov(r11, environment.linkSlots.ledger);
  asm.mov(r11, at(r11, header.opens));
  asm.mov(at(r10, slot.opensBefore), r11d);
  asm.bind(claimed);
}

/** Takes the claim back, if there is one, after the close was refused. Leaves the result in rax. */
function emitGiveUpClaim({ asm, environment }: Hook): void {
  const [exchange, unclaimed] = asm.labels('exchange', 'unclaimed');
  asm.cmp(state, 0);
  asm.j('ns', unclaimed);
  asm.mov(r10, value);
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
