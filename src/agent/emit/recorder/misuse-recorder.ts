import { header, RECENT_OPEN_COUNT, slot, SLOT_SIZE_BYTES, VICTIM } from '../../ledger/layout.ts';
import { RUNTIME_OBJECT_COUNT, RUNTIME_OBJECT_SIZE_BYTES, runtimeObject } from '../../ledger/runtime-object.ts';
import {
  misuse,
  MISUSE_CLOSE,
  MISUSE_COUNT,
  MISUSE_INHERITED,
  MISUSE_SWEPT,
  MISUSE_SIZE_BYTES,
  MISUSE_VALUE_COUNT,
  MISUSE_WRONG_CLOSER,
} from '../../ledger/misuse.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, type Memory, teb } from '../../asm/operands.ts';
import { eax, ecx, edx, r10, r10d, r11, r11d, r8, r9, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import { framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { emitReadTime } from '../abi/system-time.ts';
import { tebField } from '../abi/teb.ts';
import { emitHashStep, HASH_MULTIPLIER, HASH_SEED } from '../walk/stack-hash.ts';
import { emitEarlierLives } from './earlier-lives.ts';
import { emitCountRecord } from './note-stop.ts';
import type { RecorderEnvironment } from './recorder-environment.ts';
import { emitSlotAddress } from './slot-address.ts';
import { type emitFindStranger, USER_ADDRESS_BITS } from './strangers.ts';

/** A misuse copies a whole slot. */
const LIFE_QWORDS = SLOT_SIZE_BYTES / 8;

/** How many entries of the table a misuse may try. */
const PROBE_COUNT = 64;

const countFrame: FrameShape = { pushes: [], sizeBytes: 0x48 };
const counted = framePlaces(countFrame, 0x20, 'value', 'rowAndKind', 'returnAddress', 'status', 'slot');

/**
 * Emits `u32 countMisuse(u64 value, u32 row | kind << 16, u64* returnAddress, u32 status)`: counts a refused call. A
 * close whose value is no open handle may have been given a {@link emitFindStranger | stranger}, and is then one by the
 * wrong closer. The result is how often the misuse had been counted before: 0 means that the record is new; 1 is also
 * the result when there was no room for one.
 */
export function emitCountMisuse(
  asm: Assembler,
  begin: Label,
  environment: RecorderEnvironment & {
    readonly internMisuse: Label;
    readonly internWrongCloser: Label;
    readonly findRuntimeObject: Label;
    readonly findStranger: Label;
  },
): FramedFunction {
  return framedFunction(asm, begin, countFrame, (epilogue) => {
    const [noSlot, haveSlot, stranger, noStranger, wrongCloser, never, note, done] = asm.labels(
      'noSlot',
      'haveSlot',
      'stranger',
      'noStranger',
      'wrongCloser',
      'never',
      'note',
      'done',
    );
    const count = () => {
      const noRoom = asm.label('noRoom');
      asm.mov(ecx, 1);
      asm.test(rax, rax);
      asm.j('e', noRoom);
      emitCountRecord(asm, environment);
      asm.bind(noRoom);
      asm.mov(eax, ecx);
    };
    asm.mov(counted.value, rcx);
    asm.mov(counted.rowAndKind, rdx);
    asm.mov(counted.returnAddress, r8);
    asm.mov(counted.status, r9);
    asm.mov(r10, rcx);
    emitSlotAddress(asm, r10, noSlot, environment);
    asm.mov(r11, at(r10, slot.state));
    asm.test(r11, r11);
    asm.j('ne', haveSlot);
    asm.bind(noSlot); // no handle ever had the value
    asm.xor(r10d, r10d);
    asm.xor(r11d, r11d);
    asm.bind(haveSlot);
    asm.mov(counted.slot, r10);
    asm.mov(eax, edx);
    asm.shr(eax, 16);
    asm.cmp(eax, MISUSE_WRONG_CLOSER);
    asm.j('e', stranger);
    asm.cmp(eax, MISUSE_CLOSE);
    asm.j('ne', note);
    asm.test(r11d, 1);
    asm.j('ne', note); // the recorder has missed a close

    asm.bind(stranger);
    asm.mov(rax, rcx);
    asm.call(environment.findStranger);
    asm.test(r10, r10);
    asm.j('e', noStranger);
    asm.call(environment.internWrongCloser);
    count();
    asm.mov(edx, counted.rowAndKind);
    asm.shr(edx, 16);
    asm.cmp(edx, MISUSE_CLOSE);
    asm.j('ne', done);
    asm.mov(r10, counted.slot);
    asm.test(r10, r10);
    asm.j('e', done);
    // The value was also that of a handle once. Whose mistake it is depends on whose handle it was.
    asm.mov(rcx, counted.value);
    asm.mov(rdx, counted.rowAndKind);
    asm.mov(r8, counted.returnAddress);
    asm.mov(r9, counted.status);
    asm.jmp(note);

    asm.bind(noStranger);
    asm.mov(r10, counted.slot);
    asm.mov(eax, edx);
    asm.shr(eax, 16);
    asm.cmp(eax, MISUSE_WRONG_CLOSER);
    asm.j('e', wrongCloser);
    asm.test(r10, r10);
    asm.j('ne', note);
    // It may be the address of a FILE or a search that was closed.
    asm.test(rcx, rcx);
    asm.j('e', never);
    asm.mov(rax, rcx);
    asm.shr(rax, USER_ADDRESS_BITS);
    asm.j('ne', never);
    asm.mov(rax, rcx);
    asm.call(environment.findRuntimeObject);
    asm.jmp(note);
    asm.bind(never);
    asm.xor(r10d, r10d);
    asm.bind(note);
    asm.call(environment.internMisuse);
    count();
    asm.bind(done);
    epilogue();

    asm.bind(wrongCloser);
    asm.call(environment.internWrongCloser);
    count();
    epilogue();
  });
}

const misuseFrame: FrameShape = { pushes: [], sizeBytes: 0x98 };
const life = 0x48; // 8 x u64: the slot as it is now
const victim = 0x88; // u64: an entry of the ring of recent opens, or 0
const runtimeObjectKey = 0x90; // u64: key of what stands for the handle, or 0

/**
 * Emits `void* internMisuse(u64 value, u32 row | kind << 16, u64* returnAddress, u32 status, r10 = void* slot)`: finds
 * or makes the record of a misuse, without counting it, and returns the record's address, or NULL where there is no
 * room. The slot is NULL for a value that has none.
 */
export function emitInternMisuse(asm: Assembler, begin: Label, environment: RecorderEnvironment): FramedFunction {
  return framedFunction(asm, begin, misuseFrame, (epilogue) => {
    const [
      noSlot,
      noRuntimeObject,
      noEarlierLives,
      haveLife,
      probe,
      claimed,
      again,
      full,
      notInherited,
      refused,
      dropped,
    ] = asm.labels(
      'noSlot',
      'noRuntimeObject',
      'noEarlierLives',
      'haveLife',
      'probe',
      'claimed',
      'again',
      'full',
      'notInherited',
      'refused',
      'dropped',
    );
    const { value, callAndKind, status, stack, earlierLives } = framePlaces(
      misuseFrame,
      0x20,
      'value',
      'callAndKind',
      'status',
      'stack',
      'earlierLives',
    );

    asm.mov(value, rcx);
    asm.mov(callAndKind, rdx);
    asm.mov(status, r9);
    asm.movImmediate64(at(rsp, runtimeObjectKey), 0);
    asm.movImmediate64(earlierLives, 0);
    asm.test(r10, r10);
    asm.j('e', noSlot);
    for (let index = 0; index < LIFE_QWORDS; index++) {
      asm.mov(rax, at(r10, index * 8));
      asm.mov(at(rsp, life + index * 8), rax);
    }
    asm.mov(eax, at(rsp, life + slot.runtimeObject));
    asm.sub(eax, 1);
    asm.cmp(eax, RUNTIME_OBJECT_COUNT);
    asm.j('ae', noRuntimeObject);
    asm.shl(rax, Math.log2(RUNTIME_OBJECT_SIZE_BYTES));
    asm.mov(rdx, environment.linkSlots.runtimeObjects);
    asm.mov(rax, indexed(rdx, rax, 1, runtimeObject.key));
    asm.mov(at(rsp, runtimeObjectKey), rax);
    asm.bind(noRuntimeObject);
    emitEarlierLives(asm, r10, noEarlierLives, environment);
    asm.mov(earlierLives, r10);
    asm.bind(noEarlierLives);
    // The close of an earlier handle of this value tells nothing about one that is open.
    asm.mov(rax, at(rsp, life + slot.state));
    asm.test(eax, 1);
    asm.j('e', haveLife);
    asm.movImmediate64(at(rsp, life + slot.closedStack), 0);
    asm.jmp(haveLife);
    asm.bind(noSlot);
    asm.xor(eax, eax);
    for (let index = 0; index < LIFE_QWORDS; index++) asm.mov(at(rsp, life + index * 8), rax);
    asm.bind(haveLife);
    if (environment.quarantine !== undefined) emitFindVictim(asm, value, environment);
    asm.mov(rcx, r8);
    asm.xor(edx, edx);
    asm.call(environment.captureStack);
    asm.mov(stack, rax);

    // Two misuses are the same if call, kind, status, the three stacks, and open or not are the same. NULL and pseudo
    // handles are kept apart from other values that were never open.
    asm.mov(r8, HASH_SEED);
    asm.mov(r9, HASH_MULTIPLIER);
    const mix = () => emitHashStep(asm, r8, rax, r9, rdx);
    asm.mov(eax, eax);
    mix();
    asm.mov(rax, callAndKind);
    mix();
    asm.mov(rax, status);
    mix();
    asm.mov(eax, at(rsp, life + slot.openedStack));
    mix();
    asm.mov(eax, at(rsp, life + slot.closedStack));
    mix();
    asm.mov(rax, at(rsp, life + slot.state));
    asm.and(eax, 1);
    mix();
    if (environment.quarantine !== undefined) {
      asm.mov(eax, at(rsp, victim + 4));
      asm.and(eax, VICTIM | 0);
      mix();
    }
    asm.mov(rax, value);
    asm.sar(rax, 63);
    mix();
    const notNull = asm.label('notNull');
    asm.cmp(value, 0);
    asm.j('ne', notNull);
    asm.mov(rax, HASH_SEED);
    mix();
    asm.bind(notNull);
    asm.or(r8, 1); // never zero: zero means free

    asm.mov(rcx, environment.linkSlots.misuses);
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
    asm.j('e', again);
    asm.add(r10d, 1);
    asm.and(r10d, MISUSE_COUNT - 1);
    asm.sub(r11d, 1);
    asm.j('ne', probe);
    asm.bind(full);
    asm.mov(rdx, environment.linkSlots.ledger);
    asm.mov(rax, callAndKind);
    asm.shr(eax, 16);
    asm.cmp(eax, MISUSE_INHERITED);
    asm.j('ne', notInherited);
    asm.lockInc32(at(rdx, header.inheritedCut));
    asm.jmp(dropped);
    asm.bind(notInherited);
    asm.cmp(eax, MISUSE_SWEPT);
    asm.j('ne', refused);
    asm.lockInc32(at(rdx, header.sweptDropped));
    asm.jmp(dropped);
    asm.bind(refused);
    asm.lockInc32(at(rdx, header.droppedMisuses));
    asm.bind(dropped);
    asm.xor(eax, eax);
    epilogue();

    asm.bind(claimed);
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
      asm.mov(rax, at(rsp, life + index * 8));
      asm.mov(at(r9, misuse.life + index * 8), rax);
    }
    if (environment.quarantine !== undefined) {
      asm.mov(eax, at(rsp, victim));
      asm.mov(at(r9, misuse.victimStack), eax);
      asm.mov(eax, at(rsp, victim + 4));
      asm.mov(at(r9, misuse.victim), eax);
    }
    asm.mov(rax, at(rsp, runtimeObjectKey));
    asm.mov(at(r9, misuse.runtimeObjectKey), rax);
    asm.mov(rcx, r9);
    asm.mov(rdx, earlierLives);
    asm.call(environment.keepMisuseLives);
    asm.mov(r9, rax);
    asm.mov(rdx, environment.linkSlots.ledger);
    asm.lockInc32(at(rdx, header.misuseRecords));
    asm.movImmediate32(at(r9, misuse.ready), 1);

    asm.bind(again);
    asm.mov(eax, 1);
    asm.lockXadd(at(r9, misuse.valueCount), eax);
    const noRoom = asm.label('noRoom');
    asm.cmp(eax, MISUSE_VALUE_COUNT);
    asm.j('ae', noRoom);
    asm.mov(rdx, value);
    asm.mov(indexed(r9, rax, 8, misuse.values), rdx);
    asm.bind(noRoom);
    asm.mov(rax, r9);
    epilogue();
  });
}

/**
 * Finds the handle that would have a quarantined value now: the first that was opened after its close. Keeps r8.
 * Clobbers rax, rcx, rdx, r9.
 */
function emitFindVictim(asm: Assembler, value: Memory, environment: RecorderEnvironment): void {
  const [none, forgotten, found] = asm.labels('none', 'forgotten', 'found');
  asm.movImmediate64(at(rsp, victim), 0);
  asm.mov(rax, at(rsp, life + slot.state));
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
