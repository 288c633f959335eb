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
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { emitQueryProcess, processInformation } from '../abi/process-information.ts';
import { STATUS_TIMEOUT } from '../abi/status.ts';
import { EVENT_MODIFY_STATE, MUTANT_ACCESS } from '../../linkage/gate-name.ts';
import { emitOpenNamed, NAMED_ATTRIBUTES_SIZE_BYTES, type NamedEnvironment } from './named-objects.ts';

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
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [full, claimed, late, refused, gone, answered, free, done] = asm.labels(
      'full',
      'claimed',
      'late',
      'refused',
      'gone',
      'answered',
      'free',
      'done',
    );
    asm.cmp(environment.linkSlots.followsChildren, 0);
    asm.j('e', done);
    emitQueryProcess(asm, environment, information);
    asm.j('s', full);
    asm.mov(rax, at(rsp, information + processInformation.processId));
    asm.mov(processId, rax);
    emitClaimRequest(asm, claimed, environment);
    asm.bind(full);
    emitCountUnfollowed(asm, environment);
    asm.jmp(done);

    asm.bind(claimed);
    asm.mov(rax, processId);
    asm.mov(at(rbx, childRequest.processId), eax);
    asm.movImmediate32(at(rbx, childRequest.state), CHILD_REQUESTED);
    emitCallAuditor(asm, refused, environment);
    emitOpen(asm, 'NtOpenMutant', MUTANT_ACCESS, environment.judgedName, environment);
    asm.j('s', refused);
    emitAwaitAnswer(asm, { answered, late, gone }, environment);
    asm.bind(late); // the request is free again, and may be another thread's
    emitCountUnfollowed(asm, environment);
    emitClose(asm, environment);
    asm.jmp(done);
    asm.bind(refused); // by an auditor that lives: no other reads the count
    emitCountUnfollowed(asm, environment);
    asm.jmp(free);
    asm.bind(gone); // the mutant is ours: there is no auditor any more
    asm.mov(rcx, opened);
    asm.xor(edx, edx);
    asm.call(environment.ntdllImport('NtReleaseMutant'));
    asm.bind(answered);
    emitClose(asm, environment);
    asm.bind(free);
    asm.movImmediate32(at(rbx, childRequest.state), 0);
    asm.bind(done);
    epilogue();
  });
}

/**
 * `rbx = a request that no other thread has`. Jumps to `claimed` with it, and goes on where all are taken. Clobbers the
 * volatile registers.
 */
function emitClaimRequest(asm: Assembler, claimed: Label, { linkSlots }: LinkedEnvironment): void {
  const claim = asm.label('claim');
  asm.mov(rbx, linkSlots.ledger);
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
}

/** Counts a child that runs without the auditor in it. Clobbers rax. */
function emitCountUnfollowed(asm: Assembler, { linkSlots }: LinkedEnvironment): void {
  asm.mov(rax, linkSlots.ledger);
  asm.lockInc32(at(rax, header.childrenUnfollowed));
}

/** Sets the event that the auditor waits for. Jumps to `refused` where it cannot be opened. */
function emitCallAuditor(asm: Assembler, refused: Label, environment: FollowEnvironment): void {
  emitOpen(asm, 'NtOpenEvent', EVENT_MODIFY_STATE, environment.childName, environment);
  asm.j('s', refused);
  asm.mov(rcx, opened);
  asm.xor(edx, edx);
  asm.call(environment.ntdllImport('NtSetEvent'));
  emitClose(asm, environment);
}

/** Opens an object of the auditor's. The result is in eax, and was tested. */
function emitOpen(
  asm: Assembler,
  call: 'NtOpenEvent' | 'NtOpenMutant',
  access: number,
  name: Label,
  environment: NamedEnvironment,
): void {
  emitOpenNamed(asm, environment, {
    call,
    access,
    loadName: () => asm.lea(rax, relative(name)),
    attributes,
    opened,
  });
}

/** Closes the object that is open. */
function emitClose(asm: Assembler, { ntdllImport }: LinkedEnvironment): void {
  asm.mov(rcx, opened);
  asm.call(ntdllImport('NtClose'));
}

/**
 * Waits for the answer to the request at rbx, and goes to one of three labels: `answered` when it is there; `late` when
 * the auditor has not begun in time, with the request taken back; `gone` when there is no auditor any more. One that
 * has begun gets a second, longer time, whose end counts as an answer.
 */
function emitAwaitAnswer(
  asm: Assembler,
  { answered, late, gone }: Record<'answered' | 'late' | 'gone', Label>,
  { ntdllImport }: LinkedEnvironment,
): void {
  const wait = asm.label('wait');
  asm.movImmediate64(time, -10_000); // 1 ms
  asm.movImmediate64(tries, ANSWER_TIMEOUT_MS);
  asm.movImmediate64(isLastTime, 0);
  asm.bind(wait);
  asm.mov(eax, at(rbx, childRequest.state));
  asm.cmp(eax, CHILD_ANSWERED);
  asm.j('e', answered);
  asm.mov(rcx, opened);
  asm.xor(edx, edx);
  asm.lea(r8, time);
  asm.call(ntdllImport('NtWaitForSingleObject'));
  asm.cmp(eax, STATUS_TIMEOUT);
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
  asm.j('ne', answered);
  asm.movImmediate64(isLastTime, 1);
  asm.movImmediate64(tries, WORK_TIMEOUT_MS);
  asm.jmp(wait);
}
