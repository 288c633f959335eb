import {
  header, MISUSE_CLOSE, MISUSE_COUNT, MISUSE_INHERITED, MISUSE_SIZE_BYTES, MISUSE_VALUE_COUNT, misuse, RECENT_OPEN_COUNT, SLOT_SIZE_BYTES, slot, VICTIM,
  WRAPPER_COUNT, WRAPPER_SIZE_BYTES, wrapper,
} from '../ledger-layout.ts'; // prettier-ignore
import { type Assembler, at, indexed, type Label, low32, type Memory, r10, r11, r8, r9, rax, rcx, rdx, rsp, teb } from './assembler.ts';
import { emitSlotAddress, type RecorderEnvironment } from './recorder.ts';
import { emitHashStep, HASH_MULTIPLIER, HASH_SEED, SYSTEM_TIME, tebField } from './stack-walk.ts';
import { type FramedFunction, framedFunction, type FrameShape } from './unwind-info.ts';

/** What a misuse copies of a slot: all of it. */
const LIFE_QWORDS = SLOT_SIZE_BYTES / 8;

/** How many entries a misuse may be looked for in. */
const PROBE_COUNT = 64;

/** Home space only: what it calls needs no more. */
const callerFrame: FrameShape = { pushes: [], sizeBytes: 0x28 };

/**
 * Emits `u32 recordMisuse(HANDLE value, u32 row | kind << 16, u64* returnAddress, u32 status)`: a refused call. What was given for a handle
 * may be a FILE or a search. The result is how often it had been recorded: 0 says that the record is new, and not that there was no room for one.
 */
export function emitRecordMisuse(
  assembler: Assembler,
  begin: Label,
  environment: RecorderEnvironment & { readonly noteMisuse: Label; readonly findWrapper: Label },
): FramedFunction {
  return framedFunction(assembler, begin, callerFrame, (epilogue) => {
    const [noHandle, noWrapper, note, done] = assembler.labels('noHandle', 'noWrapper', 'note', 'done');
    assembler.mov(r10, rcx);
    emitSlotAddress(assembler, r10, noHandle, environment);
    assembler.mov(rax, at(r10, slot.state));
    assembler.test(rax, rax);
    assembler.j('ne', note);
    // No handle ever had the value. It may be an address all the same: heaps lie low, too.
    assembler.bind(noHandle);
    assembler.mov(rax, rdx);
    assembler.shr(low32(rax), 16);
    assembler.cmp(low32(rax), MISUSE_CLOSE);
    assembler.j('ne', noWrapper);
    assembler.test(rcx, rcx);
    assembler.j('e', noWrapper);
    assembler.mov(rax, rcx);
    assembler.shr(rax, USER_ADDRESS_BITS);
    assembler.j('ne', noWrapper);
    assembler.mov(rax, rcx);
    assembler.call(environment.findWrapper);
    assembler.jmp(note);
    assembler.bind(noWrapper);
    assembler.xor(low32(r10), low32(r10));
    assembler.bind(note);
    assembler.call(environment.noteMisuse);
    assembler.mov(low32(rcx), 1);
    assembler.test(rax, rax);
    assembler.j('e', done);
    assembler.lockXadd(at(rax, misuse.count), low32(rcx));
    assembler.bind(done);
    assembler.mov(low32(rax), low32(rcx));
    epilogue();
  });
}

/** Addresses of user space fit in them. */
const USER_ADDRESS_BITS = 47;

const misuseFrame: FrameShape = { pushes: [], sizeBytes: 0x98 };
const life = 0x48; // 8 x u64: the slot as it is now
const victim = 0x88; // u64: an entry of the ring of recent opens, or 0
const wrapperKey = 0x90; // u64: key of what stands for the handle, or 0

/**
 * Emits `void* noteMisuse(u64 value, u32 row | kind << 16, u64* returnAddress, u32 status, r10 = void* slot)`: finds or makes the record of this
 * misuse, without counting it, and returns its address; NULL where there is no room. The slot is NULL for a value that has none.
 */
export function emitNoteMisuse(assembler: Assembler, begin: Label, environment: RecorderEnvironment): FramedFunction {
  return framedFunction(assembler, begin, misuseFrame, (epilogue) => {
    const [
      noSlot, noWrapper, haveLife, probe, claimed, again, full, refused, dropped,
    ] = assembler.labels(
      'noSlot', 'noWrapper', 'haveLife', 'probe', 'claimed', 'again', 'full', 'refused', 'dropped',
    ); // prettier-ignore
    const [value, callAndKind, status, stack] = [at(rsp, 0x20), at(rsp, 0x28), at(rsp, 0x30), at(rsp, 0x38)];

    assembler.mov(value, rcx);
    assembler.mov(callAndKind, rdx);
    assembler.mov(status, r9);
    assembler.movImmediate64(at(rsp, wrapperKey), 0);
    assembler.test(r10, r10);
    assembler.j('e', noSlot);
    for (let index = 0; index < LIFE_QWORDS; index++) {
      assembler.mov(rax, at(r10, index * 8));
      assembler.mov(at(rsp, life + index * 8), rax);
    }
    assembler.mov(low32(rax), at(rsp, life + slot.wrapper));
    assembler.sub(low32(rax), 1);
    assembler.cmp(low32(rax), WRAPPER_COUNT);
    assembler.j('ae', noWrapper);
    assembler.shl(rax, Math.log2(WRAPPER_SIZE_BYTES));
    assembler.mov(rdx, environment.words.wrappers);
    assembler.mov(rax, indexed(rdx, rax, 1, wrapper.key));
    assembler.mov(at(rsp, wrapperKey), rax);
    assembler.bind(noWrapper);
    // What closed an earlier handle of this value tells nothing about one that is open.
    assembler.mov(rax, at(rsp, life + slot.state));
    assembler.test(low32(rax), 1);
    assembler.j('e', haveLife);
    assembler.movImmediate64(at(rsp, life + slot.closedStack), 0);
    assembler.jmp(haveLife);
    assembler.bind(noSlot);
    assembler.xor(low32(rax), low32(rax));
    for (let index = 0; index < LIFE_QWORDS; index++) assembler.mov(at(rsp, life + index * 8), rax);
    assembler.bind(haveLife);
    if (environment.quarantine !== undefined) emitFindVictim(assembler, value, environment);
    assembler.mov(rcx, r8);
    assembler.call(environment.captureStack);
    assembler.mov(stack, rax);

    // What makes two misuses the same: the call, its kind and status, the three stacks, open or not; NULL and pseudo
    // handles are kept apart from other values that were never open.
    assembler.mov(r8, HASH_SEED);
    assembler.mov(r9, HASH_MULTIPLIER);
    const mix = () => emitHashStep(assembler, r8, rax, r9, rdx);
    assembler.mov(low32(rax), low32(rax));
    mix();
    assembler.mov(rax, callAndKind);
    mix();
    assembler.mov(rax, status);
    mix();
    assembler.mov(low32(rax), at(rsp, life + slot.openedStack));
    mix();
    assembler.mov(low32(rax), at(rsp, life + slot.closedStack));
    mix();
    assembler.mov(rax, at(rsp, life + slot.state));
    assembler.and(low32(rax), 1);
    mix();
    if (environment.quarantine !== undefined) {
      assembler.mov(low32(rax), at(rsp, victim + 4));
      assembler.and(low32(rax), VICTIM | 0);
      mix();
    }
    assembler.mov(rax, value);
    assembler.sar(rax, 63);
    mix();
    const notNull = assembler.label('notNull');
    assembler.cmp(value, 0);
    assembler.j('ne', notNull);
    assembler.mov(rax, HASH_SEED);
    mix();
    assembler.bind(notNull);
    assembler.or(r8, 1); // never zero, which means free

    assembler.mov(rcx, environment.words.misuses);
    assembler.mov(r10, r8);
    assembler.shr(r10, 64 - Math.log2(MISUSE_COUNT));
    assembler.mov(low32(r11), PROBE_COUNT);
    assembler.bind(probe);
    assembler.mov(r9, r10);
    assembler.shl(r9, Math.log2(MISUSE_SIZE_BYTES));
    assembler.add(r9, rcx);
    assembler.xor(low32(rax), low32(rax));
    assembler.lockCmpxchg(at(r9, misuse.key), r8);
    assembler.j('e', claimed);
    assembler.cmp(rax, r8);
    assembler.j('e', again);
    assembler.add(low32(r10), 1);
    assembler.and(low32(r10), MISUSE_COUNT - 1);
    assembler.sub(low32(r11), 1);
    assembler.j('ne', probe);
    assembler.bind(full);
    assembler.mov(rdx, environment.words.ledger);
    assembler.mov(rax, callAndKind);
    assembler.shr(low32(rax), 16);
    assembler.cmp(low32(rax), MISUSE_INHERITED);
    assembler.j('ne', refused);
    assembler.lockInc32(at(rdx, header.inheritedCut));
    assembler.jmp(dropped);
    assembler.bind(refused);
    assembler.lockInc32(at(rdx, header.droppedMisuses));
    assembler.bind(dropped);
    assembler.xor(low32(rax), low32(rax));
    epilogue();

    assembler.bind(claimed);
    assembler.mov(rax, status);
    assembler.mov(at(r9, misuse.status), low32(rax));
    assembler.mov(rax, stack);
    assembler.mov(at(r9, misuse.offendingStack), low32(rax));
    assembler.mov(low32(rax), teb(tebField.threadId));
    assembler.mov(at(r9, misuse.offendingThread), low32(rax));
    assembler.mov(rax, SYSTEM_TIME);
    assembler.mov(at(r9, misuse.offendingTime), rax);
    assembler.mov(rax, callAndKind);
    assembler.mov(at(r9, misuse.offendingCall), low32(rax)); // the kind is the upper half
    for (let index = 0; index < LIFE_QWORDS; index++) {
      assembler.mov(rax, at(rsp, life + index * 8));
      assembler.mov(at(r9, misuse.life + index * 8), rax);
    }
    if (environment.quarantine !== undefined) {
      assembler.mov(low32(rax), at(rsp, victim));
      assembler.mov(at(r9, misuse.victimStack), low32(rax));
      assembler.mov(low32(rax), at(rsp, victim + 4));
      assembler.mov(at(r9, misuse.victim), low32(rax));
    }
    assembler.mov(rax, at(rsp, wrapperKey));
    assembler.mov(at(r9, misuse.wrapperKey), rax);
    assembler.movImmediate32(at(r9, misuse.ready), 1);

    assembler.bind(again);
    assembler.mov(low32(rax), 1);
    assembler.lockXadd(at(r9, misuse.valueCount), low32(rax));
    const noRoom = assembler.label('noRoom');
    assembler.cmp(low32(rax), MISUSE_VALUE_COUNT);
    assembler.j('ae', noRoom);
    assembler.mov(rdx, value);
    assembler.mov(indexed(r9, rax, 8, misuse.values), rdx);
    assembler.bind(noRoom);
    assembler.mov(rax, r9);
    epilogue();
  });
}

/** Finds what a quarantined value would mean: what was opened next after its close. Keeps r8. Clobbers rax, rcx, rdx, r9. */
function emitFindVictim(assembler: Assembler, value: Memory, environment: RecorderEnvironment): void {
  const [none, forgotten, found] = assembler.labels('none', 'forgotten', 'found');
  assembler.movImmediate64(at(rsp, victim), 0);
  assembler.mov(rax, at(rsp, life + slot.state));
  assembler.test(rax, rax);
  assembler.j('ns', none);
  assembler.mov(rcx, value);
  emitSlotAddress(assembler, rcx, none, environment);
  assembler.mov(low32(rdx), at(rcx, slot.opensBefore));
  assembler.mov(r9, environment.words.ledger);
  assembler.mov(rax, at(r9, header.opens));
  assembler.sub(low32(rax), low32(rdx));
  assembler.j('e', none);
  assembler.cmp(low32(rax), RECENT_OPEN_COUNT);
  assembler.j('a', forgotten);
  assembler.and(low32(rdx), RECENT_OPEN_COUNT - 1);
  assembler.mov(r9, environment.words.recentOpens);
  assembler.mov(rax, indexed(r9, rdx, 8));
  assembler.jmp(found);
  assembler.bind(forgotten);
  assembler.mov(rax, BigInt(VICTIM) << 32n);
  assembler.bind(found);
  assembler.mov(at(rsp, victim), rax);
  assembler.bind(none);
}
