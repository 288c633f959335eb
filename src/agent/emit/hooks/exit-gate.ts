import { GATE_PASSED, GATE_UNATTENDED, GATE_WAITING, header } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, type Memory, relative, teb } from '../../asm/operands.ts';
import { eax, ecx, edx, r8, r9, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import { framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { STATUS_TIMEOUT } from '../abi/status.ts';
import { tebField } from '../abi/teb.ts';
import { EVENT_MODIFY_STATE, MUTANT_ACCESS } from '../../linkage/gate-name.ts';
import { emitOpenNamed, NAMED_ATTRIBUTES_SIZE_BYTES, type NamedEnvironment } from './named-objects.ts';

/** The name of the auditor's event, which the gate opens; see {@link setGateName}. */
export interface GateEnvironment extends NamedEnvironment {
  /** Full object-manager path of the event that the target sets when it is at the gate. */
  readonly arrivedName: Label;
  /** Likewise of the event that it sets when it has started a child process. */
  readonly childName: Label;
}

/** How long a target waits for an auditor that lives but does not answer. */
const GATE_TIMEOUT_MS = 10 * 60_000;
const OTHER_THREAD_TIMEOUT_MS = 10;

const objectAttributes = 0x30; // with its name
const PLACES_OFFSET = objectAttributes + NAMED_ATTRIBUTES_SIZE_BYTES;
const frame: FrameShape = { pushes: [], sizeBytes: PLACES_OFFSET + 7 * 8 };
const { opened, event, mutant, exitCode, state, name, scratch } = framePlaces(
  frame,
  PLACES_OFFSET,
  ...(['opened', 'event', 'mutant', 'exitCode', 'state', 'name', 'scratch'] as const),
);
/** A wait's time (100 ns; negative: from now on) shares the place of an opened handle, which was copied by then. */
const time = opened;
/** Waits for another thread that are left; needed no more when {@link scratch} is. */
const tries = scratch;

/**
 * Emits `void exitGate(u32 exit code, u32 state, name*)`: the process waits at one of its two stops until the auditor
 * lets go of the mutant of that name. The state tells the auditor which stop it is.
 *
 * The gate holds no handle before the exit: it opens the auditor's two objects then (named-objects.ts). It waits for a
 * mutant, which the kernel releases when the auditor dies, so a target never hangs on a dead auditor. Without the two
 * objects the process passes at once. It does so, too, when it has been judged before: after a fast fail that turned
 * out to be an ordinary exit.
 */
export function emitExitGate(asm: Assembler, begin: Label, environment: GateEnvironment): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [unattended, noMutant, passed, judged] = asm.labels('unattended', 'noMutant', 'passed', 'judged');
    asm.mov(exitCode, rcx);
    asm.mov(state, rdx);
    asm.mov(name, r8);
    emitTakeGate(asm, judged, environment);
    asm.mov(rax, exitCode);
    asm.mov(emitField(asm, header.gateExitCode, environment), rax);
    asm.mov(emitField(asm, header.gateStackPointer, environment), rsp);
    emitOpenEvent(asm, unattended, environment);
    emitOpenMutant(asm, noMutant, environment);
    asm.mov(rax, state);
    asm.mov(emitField(asm, header.gateState, environment), eax);
    emitWaitForAuditor(asm, environment);
    emitClose(asm, mutant, environment);
    emitClose(asm, event, environment);
    emitNotePassed(asm, environment);

    asm.bind(passed);
    emitLeaveGate(asm, environment);
    asm.bind(judged);
    epilogue();

    asm.bind(noMutant);
    asm.mov(scratch, rax);
    emitClose(asm, event, environment);
    asm.mov(rax, scratch);
    asm.bind(unattended);
    asm.mov(emitField(asm, header.gateStatus, environment), eax);
    asm.movImmediate32(emitField(asm, header.gateState, environment), GATE_UNATTENDED);
    asm.jmp(passed);
  });
}

/** A field of the ledger's header, by way of r9. */
function emitField(asm: Assembler, offset: number, { linkSlots }: NamedEnvironment): Memory {
  asm.mov(r9, linkSlots.ledger);
  return at(r9, offset);
}

/**
 * Takes the gate for this thread. While another thread of this process is there, this one waits until it is through; a
 * thread that is ended there never is, so the wait has an end. Jumps to `judged` after that, and once the process has
 * been judged, because the auditor is through with it.
 */
function emitTakeGate(asm: Assembler, judged: Label, environment: GateEnvironment): void {
  const [again, taken] = asm.labels('again', 'taken');
  asm.movImmediate64(tries, GATE_TIMEOUT_MS / OTHER_THREAD_TIMEOUT_MS);
  asm.bind(again);
  asm.cmpImmediate32(emitField(asm, header.judged, environment), 0);
  asm.j('ne', judged);
  asm.mov(edx, teb(tebField.threadId));
  asm.xor(eax, eax);
  asm.lockCmpxchg(emitField(asm, header.gateThread, environment), edx);
  asm.j('e', taken);
  asm.movImmediate64(time, -OTHER_THREAD_TIMEOUT_MS * 10_000);
  asm.xor(ecx, ecx);
  asm.lea(rdx, time);
  asm.call(environment.ntdllImport('NtDelayExecution'));
  asm.mov(rdx, tries);
  asm.sub(rdx, 1);
  asm.mov(tries, rdx);
  asm.j('ne', again);
  asm.jmp(judged);
  asm.bind(taken);
}

/** Leaves the gate to the next thread, and no handle on record. Clobbers rax, r9. */
function emitLeaveGate(asm: Assembler, environment: GateEnvironment): void {
  asm.xor(eax, eax);
  asm.mov(emitField(asm, header.gateHandles, environment), rax);
  asm.mov(emitField(asm, header.gateHandles + 8, environment), rax);
  asm.mov(emitField(asm, header.gateThread, environment), eax);
}

/** Opens the auditor's event, whose handle the auditor leaves out of the table. Jumps to `failed` with the status. */
function emitOpenEvent(asm: Assembler, failed: Label, environment: GateEnvironment): void {
  emitOpenNamed(asm, environment, {
    call: 'NtOpenEvent',
    access: EVENT_MODIFY_STATE,
    loadName: () => asm.lea(rax, relative(environment.arrivedName)),
    attributes: objectAttributes,
    opened,
  });
  asm.j('s', failed);
  asm.mov(rax, opened);
  asm.mov(event, rax);
  asm.mov(emitField(asm, header.gateHandles, environment), rax);
}

/** Likewise the mutant of this stop. */
function emitOpenMutant(asm: Assembler, failed: Label, environment: GateEnvironment): void {
  emitOpenNamed(asm, environment, {
    call: 'NtOpenMutant',
    access: MUTANT_ACCESS,
    loadName: () => asm.mov(rax, name),
    attributes: objectAttributes,
    opened,
  });
  asm.j('s', failed);
  asm.mov(rax, opened);
  asm.mov(mutant, rax);
  asm.mov(emitField(asm, header.gateHandles + 8, environment), rax);
}

/** Sets the event, and waits until the auditor lets go of the mutant, or the time is up. */
function emitWaitForAuditor(asm: Assembler, { ntdllImport }: GateEnvironment): void {
  const kept = asm.label('kept');
  asm.mov(rcx, event);
  asm.xor(edx, edx);
  asm.call(ntdllImport('NtSetEvent'));
  asm.mov(rax, BigInt(-GATE_TIMEOUT_MS) * 10_000n);
  asm.mov(time, rax);
  asm.mov(rcx, mutant);
  asm.xor(edx, edx);
  asm.lea(r8, time);
  asm.call(ntdllImport('NtWaitForSingleObject'));
  asm.cmp(eax, STATUS_TIMEOUT); // the mutant is not ours
  asm.j('e', kept);
  asm.mov(rcx, mutant);
  asm.xor(edx, edx);
  asm.call(ntdllImport('NtReleaseMutant'));
  asm.bind(kept);
}

function emitClose(asm: Assembler, object: Memory, { ntdllImport }: GateEnvironment): void {
  asm.mov(rcx, object);
  asm.call(ntdllImport('NtClose'));
}

/** Notes that the process has passed this stop. At the one whose state is {@link GATE_WAITING} it has been judged. */
function emitNotePassed(asm: Assembler, environment: GateEnvironment): void {
  const notJudged = asm.label('notJudged');
  asm.cmp(state, GATE_WAITING);
  asm.j('ne', notJudged);
  asm.movImmediate32(emitField(asm, header.judged, environment), 1);
  asm.bind(notJudged);
  asm.movImmediate32(emitField(asm, header.gateState, environment), GATE_PASSED);
}
