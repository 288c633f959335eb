import { slot } from '../../ledger/layout.ts';
import { MISUSE_CLOSE, MISUSE_WRONG_CLOSER } from '../../ledger/misuse.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label } from '../../asm/operands.ts';
import { eax, ecx, edx, r10, r10d, r11, r11d, r8, r9, rax, rcx, rdx } from '../../asm/registers.ts';
import { framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import type { emitInternMisuse } from './intern-misuse.ts';
import { emitCountRecord } from './note-stop.ts';
import type { RecorderEnvironment } from './recorder-environment.ts';
import { emitSlotAddress } from './slot-address.ts';
import { type emitFindStranger, USER_ADDRESS_BITS } from './strangers.ts';

const frame: FrameShape = { pushes: [], sizeBytes: 0x48 };
const counted = framePlaces(frame, 0x20, 'value', 'rowAndKind', 'returnAddress', 'status', 'slot');

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
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [note, noStranger, wrongCloser, done] = asm.labels('note', 'noStranger', 'wrongCloser', 'done');
    asm.mov(counted.value, rcx);
    asm.mov(counted.rowAndKind, rdx);
    asm.mov(counted.returnAddress, r8);
    asm.mov(counted.status, r9);
    emitFindSlot(asm, environment);
    asm.mov(counted.slot, r10);
    emitUnlessMayBeStranger(asm, note);

    asm.mov(rax, rcx);
    asm.call(environment.findStranger);
    asm.test(r10, r10);
    asm.j('e', noStranger);
    asm.call(environment.internWrongCloser);
    emitCountAndAnswer(asm, environment);
    emitUnlessOnceHandle(asm, done);
    asm.jmp(note);

    asm.bind(noStranger);
    asm.mov(r10, counted.slot);
    emitCompareKind(asm, MISUSE_WRONG_CLOSER);
    asm.j('e', wrongCloser);
    asm.test(r10, r10);
    asm.j('ne', note);
    emitFindClosedAddress(asm, environment);
    asm.bind(note);
    asm.call(environment.internMisuse);
    emitCountAndAnswer(asm, environment);
    asm.bind(done);
    epilogue();

    asm.bind(wrongCloser);
    asm.call(environment.internWrongCloser);
    emitCountAndAnswer(asm, environment);
    epilogue();
  });
}

/** `r10 = the slot of the value in rcx, r11 = its state`: both 0 where no handle ever had the value. */
function emitFindSlot(asm: Assembler, environment: RecorderEnvironment): void {
  const [noSlot, haveSlot] = asm.labels('noSlot', 'haveSlot');
  asm.mov(r10, rcx);
  emitSlotAddress(asm, r10, noSlot, environment);
  asm.mov(r11, at(r10, slot.state));
  asm.test(r11, r11);
  asm.j('ne', haveSlot);
  asm.bind(noSlot);
  asm.xor(r10d, r10d);
  asm.xor(r11d, r11d);
  asm.bind(haveSlot);
}

/** Sets the flags by the kind of misuse in edx. Clobbers rax. */
function emitCompareKind(asm: Assembler, kind: number): void {
  asm.mov(eax, edx);
  asm.shr(eax, 16);
  asm.cmp(eax, kind);
}

/**
 * Jumps to `otherwise` unless the call was a close of what is no open handle: the value may be a stranger's. The slot's
 * state is in r11. Clobbers rax.
 */
function emitUnlessMayBeStranger(asm: Assembler, otherwise: Label): void {
  const noHandle = asm.label('noHandle');
  emitCompareKind(asm, MISUSE_WRONG_CLOSER);
  asm.j('e', noHandle);
  asm.cmp(eax, MISUSE_CLOSE);
  asm.j('ne', otherwise);
  asm.test(r11d, 1);
  asm.j('ne', otherwise); // the recorder has missed a close
  asm.bind(noHandle);
}

/**
 * Jumps to `never` unless the value of a close, which is a stranger's, was also that of a handle once. Whose mistake it
 * is depends on whose handle it was. Loads the arguments of {@link emitInternMisuse} again. Keeps eax.
 */
function emitUnlessOnceHandle(asm: Assembler, never: Label): void {
  asm.mov(edx, counted.rowAndKind);
  asm.shr(edx, 16);
  asm.cmp(edx, MISUSE_CLOSE);
  asm.j('ne', never);
  asm.mov(r10, counted.slot);
  asm.test(r10, r10);
  asm.j('e', never);
  asm.mov(rcx, counted.value);
  asm.mov(rdx, counted.rowAndKind);
  asm.mov(r8, counted.returnAddress);
  asm.mov(r9, counted.status);
}

/**
 * `r10 = the FILE or the search at the address in rcx`, which must have been closed; 0 where none was there. Keeps the
 * argument registers.
 */
function emitFindClosedAddress(asm: Assembler, { findRuntimeObject }: { readonly findRuntimeObject: Label }): void {
  const [never, found] = asm.labels('never', 'found');
  asm.test(rcx, rcx);
  asm.j('e', never);
  asm.mov(rax, rcx);
  asm.shr(rax, USER_ADDRESS_BITS);
  asm.j('ne', never);
  asm.mov(rax, rcx);
  asm.call(findRuntimeObject);
  asm.jmp(found);
  asm.bind(never);
  asm.xor(r10d, r10d);
  asm.bind(found);
}

/** `eax = how often the misuse whose record is at rax had been counted before`; 1 where there was no room for one. */
function emitCountAndAnswer(asm: Assembler, environment: RecorderEnvironment): void {
  const noRoom = asm.label('noRoom');
  asm.mov(ecx, 1);
  asm.test(rax, rax);
  asm.j('e', noRoom);
  emitCountRecord(asm, environment);
  asm.bind(noRoom);
  asm.mov(eax, ecx);
}
