import { header, RECENT_OPEN_COUNT, slot, SLOT_SIZE_BYTES, VICTIM } from '../../ledger/layout.ts';
import { RUNTIME_OBJECT_COUNT, RUNTIME_OBJECT_SIZE_BYTES, runtimeObject } from '../../ledger/runtime-object.ts';
import {
  misuse,
  MISUSE_COUNT,
  MISUSE_INHERITED,
  MISUSE_SIZE_BYTES,
  MISUSE_SWEPT,
  MISUSE_VALUE_COUNT,
} from '../../ledger/misuse.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, type Memory, teb } from '../../asm/operands.ts';
import { eax, edx, r10, r10d, r11d, r8, r9, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { emitReadTime } from '../abi/system-time.ts';
import { tebField } from '../abi/teb.ts';
import { emitHashStep, HASH_MULTIPLIER, HASH_SEED } from '../walk/stack-hash.ts';
import { emitEarlierLives } from './earlier-lives.ts';
import type { RecorderEnvironment } from './recorder-environment.ts';
import { emitSlotAddress } from './slot-address.ts';

/** A misuse copies a whole slot. */
const LIFE_QWORDS = SLOT_SIZE_BYTES / 8;

/** How many entries of the table a misuse may try. */
const PROBE_COUNT = 64;

const frame: FrameShape = { pushes: [], sizeBytes: 0x98 };
const { value, callAndKind, status, stack, earlierLives } = framePlaces(
  frame,
  0x20,
  'value',
  'callAndKind',
  'status',
  'stack',
  'earlierLives',
);
const life = 0x48; // 8 x u64: the slot as it is now
const victim = 0x88; // u64: an entry of the ring of recent opens, or 0
const runtimeObjectKey = at(rsp, 0x90); // u64: key of what stands for the handle, or 0

/** A field of the slot as it is now. */
function lifeField(offset: number): Memory {
  return at(rsp, life + offset);
}

/**
 * Emits `void* internMisuse(u64 value, u32 row | kind << 16, u64* returnAddress, u32 status, r10 = void* slot)`: finds
 * or makes the record of a misuse, without counting it, and returns the record's address, or NULL where there is no
 * room. The slot is NULL for a value that has none.
 */
export function emitInternMisuse(asm: Assembler, begin: Label, environment: RecorderEnvironment): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [claimed, found] = asm.labels('claimed', 'found');
    asm.mov(value, rcx);
    asm.mov(callAndKind, rdx);
    asm.mov(status, r9);
    emitCopyLife(asm, environment);
    if (environment.quarantine !== undefined) emitFindVictim(asm, environment);
    asm.mov(rcx, r8);
    asm.xor(edx, edx);
    asm.call(environment.captureStack);
    asm.mov(stack, rax);
    emitHashMisuse(asm, environment);
    emitFindRecord(asm, { claimed, found }, environment);
    emitCountDropped(asm, environment);
    asm.xor(eax, eax);
    epilogue();

    asm.bind(claimed);
    emitWriteRecord(asm, environment);
    asm.bind(found);
    emitKeepValue(asm);
    asm.mov(rax, r9);
    epilogue();
  });
}

/**
 * Copies the slot at r10, if there is one, with its runtime object's key and its earlier lives. Clears what there is
 * not. Keeps r8. Clobbers the other volatile registers.
 */
function emitCopyLife(asm: Assembler, environment: RecorderEnvironment): void {
  const [copy, noSlot, noEarlierLives, copied] = asm.labels('copy', 'noSlot', 'noEarlierLives', 'copied');
  asm.movImmediate64(runtimeObjectKey, 0);
  asm.movImmediate64(earlierLives, 0);
  asm.test(r10, r10);
  asm.j('e', noSlot);
  asm.bind(copy);
  for (let index = 0; index < LIFE_QWORDS; index++) {
    asm.mov(rax, at(r10, index * 8));
    asm.mov(lifeField(index * 8), rax);
  }
  // Another thread may have opened or closed the value meanwhile: the copy must not be a mixture of two lives.
  for (const word of [slot.openedStack, slot.state]) {
    asm.mov(rax, at(r10, word));
    asm.cmp(rax, lifeField(word));
    asm.j('ne', copy);
  }
  emitCopyRuntimeObjectKey(asm, environment);
  emitEarlierLives(asm, r10, noEarlierLives, environment);
  asm.mov(earlierLives, r10);
  asm.bind(noEarlierLives);
  // The close of an earlier handle of this value tells nothing about one that is open.
  asm.mov(rax, lifeField(slot.state));
  asm.test(eax, 1);
  asm.j('e', copied);
  asm.movImmediate64(lifeField(slot.closedStack), 0);
  asm.jmp(copied);
  asm.bind(noSlot);
  asm.xor(eax, eax);
  for (let index = 0; index < LIFE_QWORDS; index++) asm.mov(lifeField(index * 8), rax);
  asm.bind(copied);
}

/** Copies the key of the runtime object that the slot names, if it names one. Clobbers rax, rdx. */
function emitCopyRuntimeObjectKey(asm: Assembler, { linkSlots }: LinkedEnvironment): void {
  const none = asm.label('none');
  asm.mov(eax, lifeField(slot.runtimeObject));
  asm.sub(eax, 1);
  asm.cmp(eax, RUNTIME_OBJECT_COUNT);
  asm.j('ae', none);
  asm.shl(rax, Math.log2(RUNTIME_OBJECT_SIZE_BYTES));
  asm.mov(rdx, linkSlots.runtimeObjects);
  asm.mov(rax, indexed(rdx, rax, 1, runtimeObject.key));
  asm.mov(runtimeObjectKey, rax);
  asm.bind(none);
}

/**
 * Finds the handle that would have a quarantined value now: the first that was opened after its close. Keeps r8.
 * Clobbers rax, rcx, rdx, r9.
 */
function emitFindVictim(asm: Assembler, environment: RecorderEnvironment): void {
  const [none, forgotten, found] = asm.labels('none', 'forgotten', 'found');
  asm.movImmediate64(at(rsp, victim), 0);
  asm.mov(rax, lifeField(slot.state));
  asm.test(rax, rax);
  asm.j('ns', none);
  asm.mov(rcx, value);
  emitSlotAddress(asm, rcx, none, environment);
  asm.mov(edx, at(rcx, slot.opensBefore));
  asm.mov(r9, environment.linkSlots.ledger);
  asm.mov(rax, at(r9, header.opens));
  asm.sub(eax, edx);
  asm.j('e', none);
  asm.cmp(eax, RECENT_OPEN_COUNT);
  asm.j('a', forgotten);
  asm.and(edx, RECENT_OPEN_COUNT - 1);
  asm.mov(r9, environment.linkSlots.recentOpens);
  asm.mov(rax, indexed(r9, rdx, 8));
  asm.jmp(found);
  asm.bind(forgotten);
  asm.mov(rax, BigInt(VICTIM) << 32n);
  asm.bind(found);
  asm.mov(at(rsp, victim), rax);
  asm.bind(none);
}

/**
 * `r8 = the key of the misuse`, whose own stack is in eax. Two misuses are the same if call, kind, status, the three
 * stacks, and open or not are the same. NULL and pseudo handles are kept apart from other values that were never open.
 * Clobbers rax, rdx, r9.
 */
function emitHashMisuse(asm: Assembler, { quarantine }: RecorderEnvironment): void {
  const notNull = asm.label('notNull');
  asm.mov(r8, HASH_SEED);
  asm.mov(r9, HASH_MULTIPLIER);
  const mix = () => emitHashStep(asm, r8, rax, r9, rdx);
  asm.mov(eax, eax);
  mix();
  asm.mov(rax, callAndKind);
  mix();
  asm.mov(rax, status);
  mix();
  asm.mov(eax, lifeField(slot.openedStack));
  mix();
  asm.mov(eax, lifeField(slot.closedStack));
  mix();
  asm.mov(rax, lifeField(slot.state));
  asm.and(eax, 1);
  mix();
  if (quarantine !== undefined) {
    asm.mov(eax, at(rsp, victim + 4));
    asm.and(eax, VICTIM | 0);
    mix();
  }
  asm.mov(rax, value);
  asm.sar(rax, 63);
  mix();
  asm.cmp(value, 0);
  asm.j('ne', notNull);
  asm.mov(rax, HASH_SEED);
  mix();
  asm.bind(notNull);
  asm.or(r8, 1); // never zero: zero means free
}

/**
 * `r9 = the record whose key is in r8`. Jumps to `found` where it has that key already, and to `claimed` where it was
 * free and has it now. Goes on where there is no room. Clobbers rax, rcx, r10, r11.
 */
function emitFindRecord(
  asm: Assembler,
  { claimed, found }: Record<'claimed' | 'found', Label>,
  { linkSlots }: LinkedEnvironment,
): void {
  const probe = asm.label('probe');
  asm.mov(rcx, linkSlots.misuses);
  asm.mov(r10, r8);
  asm.shr(r10, 64 - Math.log2(MISUSE_COUNT));
  asm.mov(r11d, PROBE_COUNT);
  asm.bind(probe);
  asm.mov(r9, r10);
  asm.shl(r9, Math.log2(MISUSE_SIZE_BYTES));
  asm.add(r9, rcx);
  asm.xor(eax, eax);
  asm.lockCmpxchg(at(r9, misuse.key), r8);
  asm.j('e', claimed);
  asm.cmp(rax, r8);
  asm.j('e', found);
  asm.add(r10d, 1);
  asm.and(r10d, MISUSE_COUNT - 1);
  asm.sub(r11d, 1);
  asm.j('ne', probe);
}

/** Counts a misuse that has no room, by its kind: what is missing from the report differs. Clobbers rax, rdx. */
function emitCountDropped(asm: Assembler, { linkSlots }: LinkedEnvironment): void {
  const [notInherited, refused, counted] = asm.labels('notInherited', 'refused', 'counted');
  asm.mov(rdx, linkSlots.ledger);
  asm.mov(rax, callAndKind);
  asm.shr(eax, 16);
  asm.cmp(eax, MISUSE_INHERITED);
  asm.j('ne', notInherited);
  asm.lockInc32(at(rdx, header.inheritedCut));
  asm.jmp(counted);
  asm.bind(notInherited);
  asm.cmp(eax, MISUSE_SWEPT);
  asm.j('ne', refused);
  asm.lockInc32(at(rdx, header.sweptDropped));
  asm.jmp(counted);
  asm.bind(refused);
  asm.lockInc32(at(rdx, header.droppedMisuses));
  asm.bind(counted);
}

/** Writes the record at r9, which is this thread's alone until it is ready. Clobbers the other volatile registers. */
function emitWriteRecord(asm: Assembler, environment: RecorderEnvironment): void {
  asm.mov(rax, status);
  asm.mov(at(r9, misuse.status), eax);
  asm.mov(rax, stack);
  asm.mov(at(r9, misuse.offendingStack), eax);
  asm.mov(eax, teb(tebField.threadId));
  asm.mov(at(r9, misuse.offendingThread), eax);
  emitReadTime(asm, rax, environment);
  asm.mov(at(r9, misuse.offendingTime), rax);
  asm.mov(rax, callAndKind);
  asm.mov(at(r9, misuse.offendingCall), eax); // the kind is the upper half
  for (let index = 0; index < LIFE_QWORDS; index++) {
    asm.mov(rax, lifeField(index * 8));
    asm.mov(at(r9, misuse.life + index * 8), rax);
  }
  if (environment.quarantine !== undefined) {
    asm.mov(eax, at(rsp, victim));
    asm.mov(at(r9, misuse.victimStack), eax);
    asm.mov(eax, at(rsp, victim + 4));
    asm.mov(at(r9, misuse.victim), eax);
  }
  asm.mov(rax, runtimeObjectKey);
  asm.mov(at(r9, misuse.runtimeObjectKey), rax);
  asm.mov(rcx, r9);
  asm.mov(rdx, earlierLives);
  asm.call(environment.keepMisuseLives);
  asm.mov(r9, rax);
  asm.mov(rdx, environment.linkSlots.ledger);
  asm.lockInc32(at(rdx, header.misuseRecords));
  asm.movImmediate32(at(r9, misuse.ready), 1);
}

/** Adds the value to the few that the record at r9 keeps. Clobbers rax, rdx. */
function emitKeepValue(asm: Assembler): void {
  const noRoom = asm.label('noRoom');
  asm.mov(eax, 1);
  asm.lockXadd(at(r9, misuse.valueCount), eax);
  asm.cmp(eax, MISUSE_VALUE_COUNT);
  asm.j('ae', noRoom);
  asm.mov(rdx, value);
  asm.mov(indexed(r9, rax, 8, misuse.values), rdx);
  asm.bind(noRoom);
}
