import { GATE_PASSED, GATE_UNATTENDED, GATE_WAITING, header } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, type Memory, relative, teb } from '../../asm/operands.ts';
import { eax, ecx, edx, r8, r9, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import { framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { STATUS_TIMEOUT } from '../abi/status.ts';
import { tebField } from '../abi/teb.ts';
import {
  emitOpenNamed,
  EVENT_MODIFY_STATE,
  MUTANT_ACCESS,
  NAMED_ATTRIBUTES_SIZE_BYTES,
  type NamedEnvironment,
} from './named-objects.ts';

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
  const callNtdll = (name: string) => asm.call(environment.ntdllImport(name));
  const field = (offset: number) => {
    asm.mov(r9, environment.linkSlots.ledger);
    return at(r9, offset);
  };

  const open = (call: string, access: number, loadName: () => void) =>
    emitOpenNamed(asm, environment, { call, access, loadName, attributes: objectAttributes, opened });
  const close = (object: Memory) => {
    asm.mov(rcx, object);
    callNtdll('NtClose');
  };

  return framedFunction(asm, begin, frame, (epilogue) => {
    const [mine, other, unattended, noMutant, passed, kept, judged, goesOn] = asm.labels(
      'mine',
      'other',
      'unattended',
      'noMutant',
      'passed',
      'kept',
      'judged',
      'goesOn',
    );

    asm.mov(exitCode, rcx);
    asm.mov(state, rdx);
    asm.mov(name, r8);
    asm.bind(other);
    asm.cmpImmediate32(field(header.judged), 0);
    asm.j('ne', judged);
    asm.mov(edx, teb(tebField.threadId));
    asm.xor(eax, eax);
    asm.lockCmpxchg(field(header.gateThread), edx);
    asm.j('e', mine);
    // Another thread of this process is at the gate: this one waits until it is through.
    asm.movImmediate64(time, -OTHER_THREAD_TIMEOUT_MS * 10_000);
    asm.xor(ecx, ecx);
    asm.lea(rdx, time);
    callNtdll('NtDelayExecution');
    asm.jmp(other);

    asm.bind(mine);
    asm.mov(rax, exitCode);
    asm.mov(field(header.gateExitCode), rax);
    asm.mov(field(header.gateStackPointer), rsp);
    open('NtOpenEvent', EVENT_MODIFY_STATE, () => asm.lea(rax, relative(environment.arrivedName)));
    asm.j('s', unattended);
    asm.mov(rax, opened);
    asm.mov(event, rax);
    asm.mov(field(header.gateHandles), rax);
    open('NtOpenMutant', MUTANT_ACCESS, () => asm.mov(rax, name));
    asm.j('s', noMutant);
    asm.mov(rax, opened);
    asm.mov(mutant, rax);
    asm.mov(field(header.gateHandles + 8), rax);
    asm.mov(rax, state);
    asm.mov(field(header.gateState), eax);

    asm.mov(rcx, event);
    asm.xor(edx, edx);
    callNtdll('NtSetEvent');
    asm.mov(rax, BigInt(-GATE_TIMEOUT_MS) * 10_000n);
    asm.mov(time, rax);
    asm.mov(rcx, mutant);
    asm.xor(edx, edx);
    asm.lea(r8, time);
    callNtdll('NtWaitForSingleObject');
    asm.cmp(eax, STATUS_TIMEOUT); // the mutant is not ours
    asm.j('e', kept);
    asm.mov(rcx, mutant);
    asm.xor(edx, edx);
    callNtdll('NtReleaseMutant');
    asm.bind(kept);
    close(mutant);
    close(event);
    asm.cmp(state, GATE_WAITING);
    asm.j('ne', goesOn);
    asm.movImmediate32(field(header.judged), 1);
    asm.bind(goesOn);
    asm.movImmediate32(field(header.gateState), GATE_PASSED);

    asm.bind(passed);
    asm.xor(eax, eax);
    asm.mov(field(header.gateHandles), rax);
    asm.mov(field(header.gateHandles + 8), rax);
    asm.mov(field(header.gateThread), eax);
    asm.bind(judged);
    epilogue();

    asm.bind(noMutant);
    asm.mov(scratch, rax);
    close(event);
    asm.mov(rax, scratch);
    asm.bind(unattended);
    asm.mov(field(header.gateStatus), eax);
    asm.movImmediate32(field(header.gateState), GATE_UNATTENDED);
    asm.jmp(passed);
  });
}
