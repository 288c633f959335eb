import {
  CHILD_ANSWERED,
  CHILD_CLAIMED,
  CHILD_REQUEST_COUNT,
  CHILD_REQUEST_SIZE_BYTES,
  CHILD_REQUESTED,
  childRequest,
  header,
} from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, relative } from '../../asm/operands.ts';
import { eax, ecx, edx, r8, rax, rbx, rcx, rdx, rsp } from '../../asm/registers.ts';
import { framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { emitQueryProcess, processInformation } from '../abi/process-information.ts';
import { STATUS_TIMEOUT } from '../abi/status.ts';
import {
  emitOpenNamed,
  EVENT_MODIFY_STATE,
  MUTANT_ACCESS,
  NAMED_ATTRIBUTES_SIZE_BYTES,
  type NamedEnvironment,
} from './named-objects.ts';

interface FollowEnvironment extends NamedEnvironment {
  /** Full object-manager paths of the event that asks the auditor, and of the mutant that it holds while it lives. */
  readonly childName: Label;
  readonly judgedName: Label;
}

/** How long a child is kept from running for an auditor that lives but does not answer. */
const ANSWER_TIMEOUT_MS = 30_000;
/** How long for one that is at work in the child, whose code must not run meanwhile. */
const WORK_TIMEOUT_MS = 300_000;

const information = 0x30; // PROCESS_BASIC_INFORMATION
const attributes = 0x60;
const PLACES_OFFSET = attributes + NAMED_ATTRIBUTES_SIZE_BYTES;
const frame: FrameShape = { pushes: [rbx], sizeBytes: PLACES_OFFSET + 6 * 8 };
const { opened, time, tries, isLastTime, processId } = framePlaces(
  frame,
  PLACES_OFFSET,
  ...(['opened', 'time', 'tries', 'isLastTime', 'processId'] as const),
);

/**
 * Emits `void followChild(HANDLE child)`: asks the auditor to put itself into a child process that stands before its
 * first instruction, and waits until it has.
 *
 * The wait is for the mutant of the exit gate, a millisecond at a time: the auditor holds the mutant as long as it
 * lives, so a dead auditor keeps no child from running. A slow one does for {@link ANSWER_TIMEOUT_MS} at most, or for
 * {@link WORK_TIMEOUT_MS} once it has begun.
 */
export function emitFollowChild(asm: Assembler, begin: Label, environment: FollowEnvironment): FramedFunction {
  const callNtdll = (name: string) => asm.call(environment.ntdllImport(name));
  const close = () => {
    asm.mov(rcx, opened);
    callNtdll('NtClose');
  };
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [claim, claimed, wait, late, free, released, refused, done, full] = asm.labels(
      'claim',
      'claimed',
      'wait',
      'late',
      'free',
      'released',
      'refused',
      'done',
      'full',
    );
    asm.cmp(environment.linkSlots.followsChildren, 0);
    asm.j('e', done);
    emitQueryProcess(asm, environment, information);
    asm.j('s', full);
    asm.mov(rax, at(rsp, information + processInformation.processId));
    asm.mov(processId, rax);

    asm.mov(rbx, environment.linkSlots.ledger);
    asm.lea(rbx, at(rbx, header.childRequests));
    asm.mov(ecx, CHILD_REQUEST_COUNT);
    asm.bind(claim);
    asm.xor(eax, eax);
    asm.mov(edx, CHILD_CLAIMED);
    asm.lockCmpxchg(at(rbx, childRequest.state), edx);
    asm.j('e', claimed);
    asm.add(rbx, CHILD_REQUEST_SIZE_BYTES);
    asm.sub(ecx, 1);
    asm.j('ne', claim);
    asm.bind(full);
    asm.mov(rax, environment.linkSlots.ledger);
    asm.lockInc32(at(rax, header.childrenUnfollowed));
    asm.jmp(done);

    asm.bind(claimed);
    asm.mov(rax, processId);
    asm.mov(at(rbx, childRequest.processId), eax);
    asm.movImmediate32(at(rbx, childRequest.state), CHILD_REQUESTED);
    emitOpenNamed(asm, environment, {
      call: 'NtOpenEvent',
      access: EVENT_MODIFY_STATE,
      loadName: () => asm.lea(rax, relative(environment.childName)),
      attributes,
      opened,
    });
    asm.j('s', refused);
    asm.mov(rcx, opened);
    asm.xor(edx, edx);
    callNtdll('NtSetEvent');
    close();
    emitOpenNamed(asm, environment, {
      call: 'NtOpenMutant',
      access: MUTANT_ACCESS,
      loadName: () => asm.lea(rax, relative(environment.judgedName)),
      attributes,
      opened,
    });
    asm.j('s', refused);
    asm.movImmediate64(time, -10_000); // 1 ms
    asm.movImmediate64(tries, ANSWER_TIMEOUT_MS);
    asm.movImmediate64(isLastTime, 0);
    asm.bind(wait);
    asm.mov(eax, at(rbx, childRequest.state));
    asm.cmp(eax, CHILD_ANSWERED);
    asm.j('e', released);
    asm.mov(rcx, opened);
    asm.xor(edx, edx);
    asm.lea(r8, time);
    callNtdll('NtWaitForSingleObject');
    asm.cmp(eax, STATUS_TIMEOUT);
    const gone = asm.label('gone');
    asm.j('ne', gone);
    asm.mov(rdx, tries);
    asm.sub(rdx, 1);
    asm.mov(tries, rdx);
    asm.j('ne', wait);
    asm.mov(eax, CHILD_REQUESTED);
    asm.xor(edx, edx);
    asm.lockCmpxchg(at(rbx, childRequest.state), edx);
    asm.j('e', late);
    asm.cmp(isLastTime, 0);
    asm.j('ne', released);
    asm.movImmediate64(isLastTime, 1);
    asm.movImmediate64(tries, WORK_TIMEOUT_MS);
    asm.jmp(wait);
    asm.bind(late); // the request is free again, and may be another thread's
    asm.mov(rax, environment.linkSlots.ledger);
    asm.lockInc32(at(rax, header.childrenUnfollowed));
    close();
    asm.jmp(done);
    asm.bind(refused); // by an auditor that lives: no other reads the count
    asm.mov(rax, environment.linkSlots.ledger);
    asm.lockInc32(at(rax, header.childrenUnfollowed));
    asm.jmp(free);
    asm.bind(gone); // the mutant is ours: there is no auditor any more
    asm.mov(rcx, opened);
    asm.xor(edx, edx);
    callNtdll('NtReleaseMutant');
    asm.bind(released);
    close();
    asm.bind(free);
    asm.movImmediate32(at(rbx, childRequest.state), 0);
    asm.bind(done);
    epilogue();
  });
}
