import { type RuntimeObjectType, standaloneType } from '../../../tables/function-table.ts';
import { typeIndex } from '../../../tables/object-types.ts';
import { header, slot } from '../../../ledger/layout.ts';
import { runtimeObject } from '../../../ledger/runtime-object.ts';
import type { Assembler } from '../../../asm/assembler.ts';
import { at, indexed, type Label, type Memory } from '../../../asm/operands.ts';
import { eax, ecx, edx, r10, r8, r8d, r9, r9d, rax, rcx, rdx, rsp } from '../../../asm/registers.ts';
import { openedFrom, runtimeObjectRow } from '../../../linkage/runtime-object-row.ts';
import { returnAddressOffset } from '../../abi/framed-function.ts';
import { emitReadTime } from '../../abi/system-time.ts';
import { emitRuntimeObjectIndex } from '../../recorder/runtime-objects.ts';
import type { HookEnvironment } from '../hook-environment.ts';
import { ARGUMENTS, LOWEST_ADDRESS, places, runtimeObjectFrame } from './runtime-object-frame.ts';

// How the hook of runtime objects records what a call opened.

/** Records what the call has opened. */
export function emitRecordOpens(asm: Assembler, environment: HookEnvironment): void {
  const [next, stream, descriptor, notification, recorded, done] = asm.labels(
    'next',
    'stream',
    'descriptor',
    'notification',
    'recorded',
    'done',
  );
  asm.cmp(places.failed, 0);
  asm.j('ne', done);
  asm.movImmediate64(places.openedCount, 0);

  asm.bind(next);
  asm.mov(rdx, places.row);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.opensCount));
  asm.cmp(places.openedCount, rax);
  asm.j('ae', done);
  emitLoadValue(asm);
  asm.mov(places.value, rcx);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.opensType));
  asm.cmp(eax, typeIndex('FILE'));
  asm.j('e', stream);
  asm.cmp(eax, typeIndex('Descriptor'));
  asm.j('e', descriptor);
  asm.cmp(eax, typeIndex('ChangeNotification'));
  asm.j('e', notification);
  emitOpenAddress(asm, { recorded, full: done }, environment);
  asm.bind(descriptor);
  emitOpenDescriptor(asm, recorded, environment);
  asm.jmp(recorded);
  asm.bind(notification);
  emitOpenNotification(asm, done, environment);
  asm.jmp(recorded);
  asm.bind(stream);
  emitOpenStream(asm, done, environment);
  asm.bind(recorded);
  asm.add(places.openedCount, 1);
  asm.jmp(next);
  asm.bind(done);
}

/**
 * `rcx = what the call has opened`: its result, an argument, or what it has stored at one. The row is at rdx. Clobbers
 * rax.
 */
function emitLoadValue(asm: Assembler): void {
  const [stored, pointer, loaded] = asm.labels('stored', 'pointer', 'loaded');
  asm.mov(rcx, places.result);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.opensFrom));
  asm.cmp(eax, openedFrom.indexOf('stored-at'));
  asm.j('b', loaded);
  asm.movzx8(rcx, at(rdx, runtimeObjectRow.opensArgument));
  asm.mov(rcx, indexed(rsp, rcx, 8, ARGUMENTS));
  asm.j('e', stored);
  asm.jmp(loaded); // the argument is the number itself
  asm.bind(stored);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.opensType));
  asm.cmp(eax, typeIndex('Descriptor'));
  asm.j('ne', pointer);
  asm.mov(rax, places.openedCount);
  asm.mov(ecx, indexed(rcx, rax, 4)); // int
  asm.jmp(loaded);
  asm.bind(pointer);
  asm.mov(rcx, at(rcx)); // FILE *, HPCON
  asm.bind(loaded);
}

/**
 * Records the runtime object of a key as opened, with the handle in r9. Its type is `type`, or else the row's. Jumps to
 * `full` where there is no room.
 */
function emitOpen(
  asm: Assembler,
  key: Memory,
  full: Label,
  environment: HookEnvironment,
  type?: RuntimeObjectType,
): void {
  asm.mov(rcx, key);
  asm.call(environment.claimRuntimeObject);
  asm.test(r10, r10);
  asm.j('e', full);
  asm.mov(places.object, r10);
  asm.mov(rcx, r10);
  asm.mov(rax, places.row);
  if (type === undefined) asm.movzx8(rdx, at(rax, runtimeObjectRow.opensType));
  else asm.mov(edx, typeIndex(type));
  asm.shl(edx, 16);
  asm.or(edx, at(rax, runtimeObjectRow.number));
  asm.lea(r8, at(rsp, returnAddressOffset(runtimeObjectFrame)));
  asm.call(environment.openRuntimeObject);
}

/**
 * Records the object at the address in `value`, and jumps to `recorded`. For a device (`NUL`) FindFirstFile returns a
 * constant, which is no search of its own, and is passed over.
 */
function emitOpenAddress(
  asm: Assembler,
  { recorded, full }: Record<'recorded' | 'full', Label>,
  environment: HookEnvironment,
): void {
  asm.cmp(places.value, LOWEST_ADDRESS);
  asm.j('b', recorded);
  asm.xor(r9d, r9d);
  emitOpen(asm, places.value, full, environment);
  asm.mov(rdx, places.row);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.opensType));
  asm.cmp(eax, typeIndex(standaloneType));
  asm.j('ne', recorded);
  asm.mov(rax, environment.linkSlots.ledger);
  asm.lockInc32(at(rax, header.standaloneObjects));
  asm.jmp(recorded);
}

/** Records the change notification whose handle is in `value`. The row is at rdx. */
function emitOpenNotification(asm: Assembler, full: Label, environment: HookEnvironment): void {
  asm.mov(r9, places.value);
  asm.mov(rax, at(rdx, runtimeObjectRow.keyBits));
  asm.or(rax, r9);
  asm.mov(places.key, rax);
  emitOpen(asm, places.key, full, environment);
}

/** Records the descriptor with the number in `value`. */
function emitOpenDescriptor(asm: Assembler, full: Label, environment: HookEnvironment): void {
  const [known, notFirst] = asm.labels('known', 'notFirst');
  asm.mov(rcx, places.value);
  asm.mov(ecx, ecx);
  asm.mov(rdx, places.row);
  asm.mov(rax, at(rdx, runtimeObjectRow.keyBits));
  asm.or(rax, rcx);
  asm.mov(places.key, rax);
  asm.call(at(rdx, runtimeObjectRow.getOsfhandle));
  asm.mov(r9, rax);
  asm.test(rax, rax);
  asm.j('ns', known);
  asm.xor(r9d, r9d); // -1: none, -2: a standard stream without one
  asm.bind(known);
  emitOpen(asm, places.key, full, environment, 'Descriptor');
  asm.mov(rcx, environment.linkSlots.ledger);
  asm.cmp(at(rcx, header.firstDescriptorTime), 0);
  asm.j('ne', notFirst);
  emitReadTime(asm, rax, environment);
  asm.mov(at(rcx, header.firstDescriptorTime), rax);
  asm.bind(notFirst);
}

/** Records the FILE in `value`, and its descriptor unless the caller had that already. */
function emitOpenStream(asm: Assembler, full: Label, environment: HookEnvironment): void {
  const [open, isNew, linked] = asm.labels('open', 'isNew', 'linked');
  asm.mov(rcx, places.value);
  asm.mov(places.stream, rcx);
  asm.movImmediate64(places.object, 0);
  asm.mov(rdx, places.row);
  asm.call(at(rdx, runtimeObjectRow.fileno));
  asm.test(eax, eax);
  asm.j('s', open);
  asm.mov(places.value, rax);
  asm.mov(rdx, places.row);
  asm.movzx8(rcx, at(rdx, runtimeObjectRow.usesType));
  asm.test(ecx, ecx);
  asm.j('e', isNew);
  asm.mov(eax, eax);
  asm.or(rax, at(rdx, runtimeObjectRow.keyBits));
  asm.call(environment.findRuntimeObject);
  asm.test(r10, r10);
  asm.j('e', isNew);
  asm.mov(places.object, r10);
  asm.mov(rax, at(r10, slot.state));
  asm.test(eax, 1);
  asm.j('ne', open);
  asm.bind(isNew);
  emitOpenDescriptor(asm, open, environment);
  asm.bind(open);

  asm.mov(rax, places.object);
  asm.mov(places.key, rax);
  asm.xor(r9d, r9d);
  asm.test(rax, rax);
  const noDescriptor = asm.label('noDescriptor');
  asm.j('e', noDescriptor);
  asm.mov(r9, at(rax, runtimeObject.handle));
  asm.bind(noDescriptor);
  emitOpen(asm, places.stream, full, environment);
  asm.mov(rax, places.key);
  asm.test(rax, rax);
  asm.j('e', linked);
  asm.mov(r8d, at(rax, runtimeObject.key));
  emitRuntimeObjectIndex(asm, rax, environment);
  asm.mov(rdx, places.object);
  asm.mov(at(rdx, runtimeObject.descriptor), eax);
  asm.mov(at(rdx, runtimeObject.descriptorNumber), r8d);
  asm.bind(linked);
}
