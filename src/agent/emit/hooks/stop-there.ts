import { header, slot, SLOT_SIZE_BYTES, stackNode } from '../../ledger/layout.ts';
import { lentHandleOffset } from '../../ledger/lent-handles.ts';
import {
  STACK_SEEN,
  STACK_WATCH_SHIFT,
  STOP_BREAK,
  STOP_COUNT,
  STOP_DUE,
  STOP_HELD,
  STOP_OPENINGS,
  STOP_PASS,
  STOP_REQUESTED,
  STOP_SIZE_BYTES,
  STOP_STACK,
  stop,
  stopPlaces,
  WATCH_COUNT,
} from '../../ledger/stop.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, type Memory, teb } from '../../asm/operands.ts';
import { eax, ecx, edx, r10, r11, r11d, r8, r9, rax, rbx, rcx, rdi, rdx, rsi, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape, returnAddressOffset } from '../abi/framed-function.ts';
import { STATUS_TIMEOUT } from '../abi/status.ts';
import { tebField } from '../abi/teb.ts';
import { emitCheckLent } from './named-objects.ts';
import { emitNoteStop } from '../recorder/note-stop.ts';
import type { RecorderEnvironment, Stops } from '../recorder/recorder-environment.ts';

/*
 * A thread stops where its hook returns to the caller: the hook's work is done, and no frame of the agent but the
 * hook's is on the stack. The recorder has noted the moment before (recorder/note-stop.ts).
 *
 * The agent uses a handle that the auditor has put into the target. One of its own would get the lowest free value,
 * which is the one that the program has just misused. The auditor looks for entries now and then, so that no event is
 * needed to call it.
 */

/** How long a thread waits for an auditor that lives but does not answer. */
const ANSWER_TIMEOUT_MS = 30_000;
/** How often a thread looks for the answer, and how often it does when it is held. */
const LOOK_MS = 1;
const LOOK_HELD_MS = 20;

const STATUS_ABANDONED_WAIT_0 = 0x80;

const askFrame: FrameShape = { pushes: [rbx], sizeBytes: 0x30 };
const { time, triesLeft } = framePlaces(askFrame, 0x20, 'time', 'triesLeft');

/**
 * Emits `u32 askAuditor(stop* entry)`: asks the auditor about an entry, and waits for its answer: 1 for a breakpoint.
 *
 * The wait is for a mutant that the auditor holds as long as it lives, so that a dead auditor holds no thread. A slow
 * one does for {@link ANSWER_TIMEOUT_MS} at most, until it has seen the entry.
 */
function emitAskAuditor(asm: Assembler, begin: Label, environment: LinkedEnvironment): FramedFunction {
  return framedFunction(asm, begin, askFrame, (epilogue) => {
    const [look, brief, wait, taken, gone, pass, broken] = asm.labels(
      'look',
      'brief',
      'wait',
      'taken',
      'gone',
      'pass',
      'broken',
    );
    const loadMutant = () => {
      asm.mov(rcx, environment.linkSlots.ledger);
      asm.mov(rcx, at(rcx, lentHandleOffset('stops')));
    };
    asm.mov(rbx, rcx);
    asm.movImmediate64(triesLeft, ANSWER_TIMEOUT_MS / LOOK_MS);
    asm.movImmediate32(at(rbx, stop.state), STOP_REQUESTED);
    asm.bind(look);
    asm.mov(eax, at(rbx, stop.state));
    asm.cmp(eax, STOP_PASS);
    asm.j('e', pass);
    asm.cmp(eax, STOP_BREAK);
    asm.j('e', broken);
    asm.cmp(eax, STOP_HELD);
    asm.j('ne', brief);
    asm.movImmediate64(time, -LOOK_HELD_MS * 10_000);
    asm.jmp(wait);
    asm.bind(brief);
    asm.movImmediate64(time, -LOOK_MS * 10_000);
    asm.bind(wait);
    loadMutant();
    emitCheckLent(asm, rcx, pass, environment);
    asm.xor(edx, edx);
    asm.lea(r8, time);
    asm.call(environment.ntdllImport('NtWaitForSingleObject'));
    asm.cmp(eax, STATUS_TIMEOUT);
    asm.j('ne', gone);
    asm.mov(eax, at(rbx, stop.state));
    asm.cmp(eax, STOP_REQUESTED);
    asm.j('ne', look);
    asm.sub(triesLeft, 1);
    asm.j('ne', look);
    asm.mov(eax, STOP_REQUESTED);
    asm.mov(edx, STOP_PASS);
    asm.lockCmpxchg(at(rbx, stop.state), edx);
    asm.jmp(look);

    asm.bind(gone); // the mutant is ours: there is no auditor any more
    asm.test(eax, eax);
    asm.j('e', taken);
    asm.cmp(eax, STATUS_ABANDONED_WAIT_0);
    asm.j('ne', pass); // the program has closed the handle
    asm.bind(taken);
    loadMutant();
    asm.xor(edx, edx);
    asm.call(environment.ntdllImport('NtReleaseMutant'));
    asm.bind(pass);
    asm.xor(eax, eax);
    epilogue();

    asm.bind(broken);
    asm.mov(eax, 1);
    epilogue();
  });
}

const PLACES_OFFSET = 0x20;
const stopFrame: FrameShape = { pushes: [rbx, rsi, rdi], sizeBytes: PLACES_OFFSET + stopPlaces.rdi };
const [returnAddress, result, breaks] = [stopPlaces.returnAddress, stopPlaces.result, stopPlaces.breaks].map((offset) =>
  at(rsp, PLACES_OFFSET + offset),
) as [Memory, Memory, Memory];

/**
 * Emits `u32 stopThere(u64* returnAddress, u64 result)`: asks the auditor about all that this thread has noted. A
 * watched opening is worth a question only when as many handles are open as are waited for.
 */
function emitStopThere(
  asm: Assembler,
  begin: Label,
  environment: RecorderEnvironment,
  { askAuditor, countWatched }: Stops,
): FramedFunction {
  return framedFunction(asm, begin, stopFrame, (epilogue) => {
    const [next, ask, seen, free, advance] = asm.labels('next', 'ask', 'seen', 'free', 'advance');
    asm.mov(returnAddress, rcx);
    asm.mov(result, rdx);
    asm.movImmediate64(breaks, 0);
    asm.mov(rbx, environment.linkSlots.ledger); // the entries of the table, one by one
    asm.lea(rdi, at(rbx, header.stopTable + STOP_COUNT * STOP_SIZE_BYTES)); // their end
    asm.add(rbx, header.stopTable);
    asm.bind(next);
    emitUnlessDueHere(asm, advance);
    asm.mov(rax, environment.linkSlots.ledger);
    asm.lockDec32(at(rax, header.stopsDue));
    asm.lea(rax, at(rsp, PLACES_OFFSET));
    asm.mov(at(rbx, stop.places), rax);
    asm.cmpImmediate32(at(rbx, stop.kind), STOP_STACK);
    asm.j('ne', ask);

    emitLoadOpenedType(asm, environment);
    asm.test(r11d, STACK_SEEN);
    asm.j('ne', seen);
    asm.mov(rcx, rbx);
    asm.call(askAuditor);
    emitLoadOpenedType(asm, environment);
    asm.bind(seen);
    emitUnlessReached(asm, free, countWatched, environment);
    asm.movImmediate32(at(rbx, stop.kind), STOP_OPENINGS);

    asm.bind(ask);
    asm.mov(rcx, rbx);
    asm.call(askAuditor);
    asm.or(breaks, rax);
    asm.bind(free);
    asm.movImmediate32(at(rbx, stop.state), 0);
    asm.bind(advance);
    asm.add(rbx, STOP_SIZE_BYTES);
    asm.cmp(rbx, rdi);
    asm.j('b', next);
    asm.mov(rax, breaks);
    epilogue();
  });
}

/** Jumps to `otherwise` unless this thread is to ask about the entry at rbx. Clobbers rax. */
function emitUnlessDueHere(asm: Assembler, otherwise: Label): void {
  asm.mov(eax, at(rbx, stop.state));
  asm.cmp(eax, STOP_DUE);
  asm.j('ne', otherwise);
  asm.mov(eax, teb(tebField.threadId));
  asm.cmp(eax, at(rbx, stop.threadId));
  asm.j('ne', otherwise);
}

/** `r11d = the opened type of the entry's stack`, in which the auditor has its marks. Clobbers rax, r10. */
function emitLoadOpenedType(asm: Assembler, { linkSlots }: LinkedEnvironment): void {
  asm.mov(eax, at(rbx, stop.subject));
  asm.mov(r10, linkSlots.stackPool);
  asm.movzx16(r11, indexed(r10, rax, 8, stackNode.openedType));
}

/**
 * Jumps to `otherwise` unless the stack, whose opened type is in r11d, is watched, and its watch has just reached its
 * limit. A count looks at every slot. So after one it is known how many openings cannot reach the limit: they are
 * spared the next. Clobbers rsi and the volatile registers.
 */
function emitUnlessReached(
  asm: Assembler,
  otherwise: Label,
  countWatched: Label,
  { linkSlots }: LinkedEnvironment,
): void {
  const [count, reached] = asm.labels('count', 'reached');
  asm.shr(r11d, STACK_WATCH_SHIFT);
  asm.and(r11d, WATCH_COUNT - 1);
  asm.j('e', otherwise);
  asm.mov(rsi, r11);
  asm.mov(rdx, linkSlots.ledger);
  asm.mov(ecx, -1);
  asm.lockXadd(indexed(rdx, rsi, 4, header.watchSpares), ecx);
  asm.test(ecx, ecx);
  asm.j('le', count);
  asm.jmp(otherwise);
  asm.bind(count);
  asm.mov(ecx, r11d);
  asm.call(countWatched);
  asm.mov(rdx, linkSlots.ledger);
  asm.mov(ecx, eax);
  asm.mov(eax, indexed(rdx, rsi, 4, header.watchLimits));
  asm.test(eax, eax);
  asm.j('e', otherwise); // another thread has reached it
  asm.sub(ecx, eax);
  asm.j('ae', reached);
  asm.xor(ecx, -1); // the number of openings that cannot reach it: limit - count - 1
  asm.mov(indexed(rdx, rsi, 4, header.watchSpares), ecx);
  asm.jmp(otherwise);
  asm.bind(reached);
  asm.xor(ecx, ecx);
  asm.lockCmpxchg(indexed(rdx, rsi, 4, header.watchLimits), ecx);
  asm.j('ne', otherwise);
}

/** Emits `u32 countWatched(u32 watch)`: how many handles are open of a watch's stacks. A leaf function. */
function emitCountWatched(asm: Assembler, begin: Label, { linkSlots }: LinkedEnvironment): void {
  const [next, advance, done] = asm.labels('next', 'advance', 'done');
  asm.align(16);
  asm.bind(begin);
  asm.mov(rdx, linkSlots.ledger);
  asm.mov(r8, at(rdx, header.slotsUsed));
  asm.mov(r9, linkSlots.slots);
  asm.mov(r10, linkSlots.stackPool);
  asm.xor(eax, eax);
  asm.bind(next);
  asm.test(r8, r8);
  asm.j('e', done);
  asm.mov(r11, at(r9, slot.state));
  asm.test(r11d, 1);
  asm.j('e', advance);
  asm.mov(r11d, at(r9, slot.openedStack));
  asm.test(r11d, r11d);
  asm.j('e', advance);
  asm.movzx16(r11, indexed(r10, r11, 8, stackNode.openedType));
  asm.shr(r11d, STACK_WATCH_SHIFT);
  asm.and(r11d, WATCH_COUNT - 1);
  asm.cmp(r11d, ecx);
  asm.j('ne', advance);
  asm.add(eax, 1);
  asm.bind(advance);
  asm.add(r9, SLOT_SIZE_BYTES);
  asm.sub(r8, 1);
  asm.jmp(next);
  asm.bind(done);
  asm.ret();
}

/**
 * Emits a breakpoint in the place of a hook's return: the stack pointer is at the return address, as in a function
 * without a frame, so that a debugger has the caller's frame next.
 */
function emitBreakThere(asm: Assembler, begin: Label): FramedFunction {
  asm.align(16);
  asm.bind(begin);
  asm.data([0xcc]); // int3
  asm.ret();
  const end = asm.bind(asm.label('breakThere end'));
  return { begin, end, frame: { pushes: [], sizeBytes: 0 } };
}

/** Emits the routines of stops, and returns those that have a frame. */
export function emitStops(asm: Assembler, stops: Stops, environment: RecorderEnvironment): readonly FramedFunction[] {
  emitNoteStop(asm, stops.noteStop, environment);
  emitCountWatched(asm, stops.countWatched, environment);
  return [
    emitBreakThere(asm, stops.breakThere),
    emitAskAuditor(asm, stops.askAuditor, environment),
    emitStopThere(asm, stops.stopThere, environment, stops),
  ];
}

/** Emits the end of a hook, which returns a result. Where threads may be stopped, this is where. */
export function emitReturn(
  asm: Assembler,
  { linkSlots, stops }: RecorderEnvironment,
  {
    frame,
    result: kept,
    epilogue,
  }: { readonly frame: FrameShape; readonly result: Memory; readonly epilogue: () => void },
): void {
  if (stops !== undefined) {
    const goesOn = asm.label('goesOn');
    asm.mov(rax, linkSlots.ledger);
    asm.cmpImmediate32(at(rax, header.stopsDue), 0);
    asm.j('e', goesOn);
    asm.lea(rcx, at(rsp, returnAddressOffset(frame)));
    asm.mov(rdx, kept);
    asm.call(stops.stopThere);
    asm.test(eax, eax);
    asm.j('e', goesOn);
    asm.mov(rax, kept);
    asm.add(rsp, frame.sizeBytes);
    asm.jmp(stops.breakThere);
    asm.bind(goesOn);
  }
  asm.mov(rax, kept);
  epilogue();
}
