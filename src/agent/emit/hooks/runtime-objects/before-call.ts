import { typeIndex } from '../../../tables/object-types.ts';
import { slot } from '../../../ledger/layout.ts';
import { DESCRIPTOR_KEY, runtimeObject } from '../../../ledger/runtime-object.ts';
import { misuse, MISUSE_CLOSE, MISUSE_USE, MISUSE_WRONG_CLOSER } from '../../../ledger/misuse.ts';
import type { Assembler } from '../../../asm/assembler.ts';
import { at, indexed, type Label } from '../../../asm/operands.ts';
import { eax, ecx, edx, r10, r10d, r8, r9d, rax, rcx, rdx, rsp } from '../../../asm/registers.ts';
import { runtimeObjectRow } from '../../../linkage/runtime-object-row.ts';
import { returnAddressOffset } from '../../abi/framed-function.ts';
import { STATUS_INVALID_HANDLE } from '../../abi/status.ts';
import { emitRuntimeObjectAddress, emitUnlink } from '../../recorder/runtime-objects.ts';
import { emitSlotAddress } from '../../recorder/slot-address.ts';
import type { HookEnvironment } from '../hook-environment.ts';
import { ARGUMENTS, LOWEST_ADDRESS, places, runtimeObjectFrame } from './runtime-object-frame.ts';

// How the hook of runtime objects notices the misuse and the close of an object, before the call.

/** Loads the argument that the row names, and its type: `rax = argument, ecx = type`. Clobbers rdx. */
function emitLoadArgument(asm: Assembler, typeAt: number, none: Label): void {
  const isAddress = asm.label('isAddress');
  asm.mov(rdx, places.row);
  asm.movzx8(rcx, at(rdx, typeAt));
  asm.test(ecx, ecx);
  asm.j('e', none);
  asm.movzx8(rdx, at(rdx, typeAt + 1));
  asm.mov(rax, indexed(rsp, rdx, 8, ARGUMENTS));
  asm.cmp(ecx, typeIndex('Descriptor'));
  asm.j('ne', isAddress);
  asm.movsxd(rax, eax);
  asm.bind(isAddress);
}

/**
 * Finds the runtime object of the argument in rax, whose type is in ecx: `r10 = object`, NULL for none. Clobbers rax,
 * rdx, r11.
 */
function emitFindArgument(asm: Assembler, environment: HookEnvironment): void {
  const [number, tagged, address] = asm.labels('number', 'tagged', 'address');
  asm.cmp(ecx, typeIndex('Descriptor'));
  asm.j('e', number);
  asm.cmp(ecx, typeIndex('ChangeNotification'));
  asm.j('e', tagged);
  asm.jmp(address);
  asm.bind(number);
  asm.mov(eax, eax);
  asm.bind(tagged);
  asm.mov(rdx, places.row);
  asm.or(rax, at(rdx, runtimeObjectRow.keyBits));
  asm.bind(address);
  asm.call(environment.findRuntimeObject);
}

/** Jumps to `otherwise` unless the runtime object at r10 was opened once and is closed now. Clobbers rcx. */
function emitUnlessClosed(asm: Assembler, otherwise: Label): void {
  asm.mov(rcx, at(r10, slot.state));
  asm.test(rcx, rcx);
  asm.j('e', otherwise);
  asm.test(ecx, 1);
  asm.j('ne', otherwise);
}

/** Makes the record of a misuse of the closed runtime object at r10. The misuse counts at the end of the call. */
function emitPend(asm: Assembler, kind: typeof MISUSE_CLOSE | typeof MISUSE_USE, environment: HookEnvironment): void {
  const [noted, address] = asm.labels('noted', 'address');
  asm.cmp(places.pending, 0);
  asm.j('ne', noted); // a call counts as one misuse
  asm.mov(rcx, at(r10, runtimeObject.key));
  asm.mov(rax, rcx);
  asm.shr(rax, Math.log2(Number(DESCRIPTOR_KEY)));
  asm.j('e', address);
  asm.mov(ecx, ecx); // the number alone
  asm.bind(address);
  emitIntern(asm, kind, environment.internMisuse);
  asm.bind(noted);
}

/** Before the call: it may use a closed runtime object. */
export function emitBeforeUse(asm: Assembler, environment: HookEnvironment): void {
  const [done] = asm.labels('done');
  emitLoadArgument(asm, runtimeObjectRow.usesType, done);
  emitFindArgument(asm, environment);
  asm.test(r10, r10);
  asm.j('e', done);
  emitUnlessClosed(asm, done);
  emitPend(asm, MISUSE_USE, environment);
  asm.bind(done);
}

/** Before the call: it may close or replace a runtime object. */
export function emitBeforeClose(asm: Assembler, environment: HookEnvironment): void {
  const [notOwn, known, open, strange, stranger, done] = asm.labels(
    'notOwn',
    'known',
    'open',
    'strange',
    'stranger',
    'done',
  );
  emitLoadArgument(asm, runtimeObjectRow.closesType, done);
  asm.mov(places.argument, rax);
  asm.cmp(ecx, typeIndex('Key'));
  asm.j('e', notOwn);
  emitFindArgument(asm, environment);
  asm.test(r10, r10);
  asm.j('e', notOwn);
  asm.mov(rax, at(r10, slot.state));
  asm.test(eax, 1);
  asm.j('ne', known);
  asm.test(rax, rax);
  asm.j('e', notOwn);
  asm.cmp(ecx, typeIndex('ChangeNotification'));
  asm.j('e', notOwn); // its value may be another handle's by now
  asm.mov(rdx, places.row);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.replaces));
  asm.test(eax, eax);
  asm.j('ne', done);
  emitPend(asm, MISUSE_CLOSE, environment);
  asm.jmp(done);

  asm.bind(notOwn);
  emitFindStrange(asm, strange, done, environment);
  asm.bind(known);
  asm.movzx16(rdx, at(r10, slot.objectType));
  asm.cmp(edx, ecx);
  asm.j('e', open);
  asm.bind(strange);
  emitPendWrongCloser(asm, environment);
  asm.jmp(done);

  asm.bind(open);
  asm.mov(places.closing, r10);
  asm.mov(places.closingState, rax);
  emitUnlink(asm, environment);
  emitRuntimeObjectAddress(asm, rax, at(r10, runtimeObject.descriptor), done, environment);
  asm.mov(rdx, places.row);
  asm.mov(ecx, at(r10, runtimeObject.descriptorNumber));
  asm.or(rcx, at(rdx, runtimeObjectRow.keyBits));
  asm.mov(r10, rax);
  asm.cmp(rcx, at(r10, runtimeObject.key));
  asm.j('ne', done); // another key has taken its entry
  asm.mov(rcx, at(r10, slot.state));
  asm.test(ecx, 1);
  asm.j('e', stranger);
  asm.mov(places.descriptor, r10);
  asm.mov(places.descriptorState, rcx);
  emitUnlink(asm, environment);
  asm.jmp(done);
  asm.bind(stranger); // _close has closed the FILE's descriptor, and the FILE is going to close it again
  emitUnlessClosed(asm, done);
  emitPend(asm, MISUSE_CLOSE, environment);
  asm.bind(done);
}

/**
 * Looks for an open object of another kind behind the argument of a closing function, whose own type is in ecx. Jumps
 * to `found` with the object in r10, or to `none`. A descriptor that never was open is a misuse, too.
 */
function emitFindStrange(asm: Assembler, found: Label, none: Label, environment: HookEnvironment): void {
  const [notKey, noSlot, noStranger, neverOpen] = asm.labels('notKey', 'noSlot', 'noStranger', 'neverOpen');
  asm.mov(rdx, places.row);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.replaces));
  asm.test(eax, eax);
  asm.j('ne', none);
  asm.mov(r8, places.argument);
  emitSlotAddress(asm, r8, noSlot, environment);
  asm.cmp(ecx, typeIndex('Key'));
  asm.j('ne', notKey);
  asm.mov(rax, at(r8, slot.state));
  asm.test(eax, 1);
  asm.j('e', notKey);
  asm.movzx16(rax, at(r8, slot.objectType));
  asm.cmp(eax, ecx);
  asm.j('e', none);
  asm.test(eax, eax); // not known
  asm.j('e', none);
  asm.bind(notKey);
  asm.cmp(ecx, typeIndex('Descriptor'));
  asm.j('e', noStranger); // a number would be that of another C runtime
  asm.mov(rax, places.argument);
  asm.call(environment.findStranger);
  asm.test(r10, r10);
  asm.j('ne', found);
  asm.bind(noStranger);
  asm.mov(r10, r8);
  asm.mov(rax, places.argument);
  asm.test(eax, 3); // the values of handles are multiples of four
  asm.j('ne', neverOpen);
  asm.mov(rax, at(r10, slot.state));
  asm.test(eax, 1);
  asm.j('e', neverOpen);
  asm.mov(places.strangeHandle, r10);
  asm.mov(places.strangeState, rax);
  asm.jmp(found);

  asm.bind(noSlot);
  asm.cmp(ecx, typeIndex('Descriptor'));
  asm.j('e', neverOpen);
  asm.mov(rax, places.argument);
  asm.call(environment.findStranger);
  asm.test(r10, r10);
  asm.j('ne', found);
  asm.jmp(none);

  asm.bind(neverOpen);
  asm.cmp(ecx, typeIndex('Descriptor'));
  asm.j('ne', none);
  const noStream = asm.label('noStream');
  asm.mov(rax, places.argument);
  asm.mov(eax, eax);
  asm.cmp(eax, LOWEST_ADDRESS);
  asm.j('b', noStream);
  asm.call(environment.findTruncated);
  asm.test(r10, r10);
  asm.j('e', noStream);
  asm.mov(rax, at(r10, runtimeObject.key));
  asm.mov(places.argument, rax);
  asm.jmp(found);
  asm.bind(noStream);
  asm.xor(r10d, r10d);
  asm.mov(rcx, places.argument);
  emitIntern(asm, MISUSE_CLOSE, environment.internMisuse);
  asm.jmp(none);
}

/** Makes the record of the object at r10 in the hands of a wrong closer. The misuse counts at the end of the call. */
function emitPendWrongCloser(asm: Assembler, environment: HookEnvironment): void {
  const [noted] = asm.labels('noted');
  asm.mov(rdx, places.row);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.replaces));
  asm.test(eax, eax);
  asm.j('ne', noted);
  asm.mov(rcx, places.argument);
  emitIntern(asm, MISUSE_WRONG_CLOSER, environment.internWrongCloser);
  asm.bind(noted);
}

/** Makes the record of a misuse of the value in rcx, with the life at r10, and makes it pending. */
function emitIntern(
  asm: Assembler,
  kind: typeof MISUSE_CLOSE | typeof MISUSE_USE | typeof MISUSE_WRONG_CLOSER,
  intern: Label,
): void {
  const noRoom = asm.label('noRoom');
  asm.mov(rdx, places.row);
  asm.mov(edx, at(rdx, runtimeObjectRow.number));
  asm.or(edx, kind << 16);
  asm.lea(r8, at(rsp, returnAddressOffset(runtimeObjectFrame)));
  asm.mov(r9d, STATUS_INVALID_HANDLE);
  asm.call(intern);
  asm.mov(places.pending, rax);
  asm.test(rax, rax);
  asm.j('e', noRoom);
  asm.lockInc32(at(rax, misuse.pending));
  asm.bind(noRoom);
}
