import { REQUEST_MARK } from '../../../call-ledger.ts';
import { MAXIMUM_FRAMES, stackNode } from '../../ledger/layout.ts';
import { request, REQUEST_COUNT, REQUEST_SIZE_BYTES, WORK_SHIFT } from '../../ledger/request.ts';
import { WORK_QUEUE_OFFSET } from '../../tables/request-functions.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, teb } from '../../asm/operands.ts';
import {
  eax,
  ebp,
  ebx,
  ecx,
  edx,
  r12,
  r13,
  r14,
  r15,
  r8,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
  type Register,
  rsp,
} from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { returnAddressOffset } from '../abi/framed-function.ts';
import { tebField } from '../abi/teb.ts';
import { captureFrame, CHECK_FRAMES, FRAMES } from './capture-frame.ts';
import { emitHashStep } from './stack-hash.ts';

/** The outer end of a stack that is searched: the frames below which a pool's thread calls its work. */
const SEARCHED_SIZE_BYTES = 0x2000;

/** Room that a stack must have left: frames of the request that tell something. */
const FRAME_COUNT_MIN = 8;

/** The registers that a function has saved lie so near to each other: the home space, and eight that are pushed. */
const NEIGHBOURHOOD_SIZE_BYTES = 0x60;

/** How many works are looked at: a stack may have thousands of addresses of works that are long done. */
const QUESTIONS_MAX = 16;
// Places that are free again.
const QUESTIONS_LEFT = CHECK_FRAMES;
const KIND_IN_QUESTION = CHECK_FRAMES + 8;
const KIND = CHECK_FRAMES + 16;

/** For the search for a request. */
type AppendEnvironment = LinkedEnvironment & {
  /** {@link emitIsBeingDone} */
  readonly isBeingDone: Label;
};

/** Lower addresses are none: entries that are free or being written have such in their place. */
const LOWEST_ADDRESS = 0x10000;

/** `entry = address of the pair of entries, one of which a work may have`. Clobbers nothing else. */
export function emitRequestPair(
  asm: Assembler,
  entry: Register,
  work: Register,
  multiplier: Register,
  { linkSlots }: LinkedEnvironment,
): void {
  asm.mov(entry, work);
  asm.imul(entry, multiplier);
  asm.shr(entry, 64 - Math.log2(REQUEST_COUNT / 2));
  asm.shl(entry, Math.log2(REQUEST_SIZE_BYTES * 2));
  asm.add(entry, linkSlots.requests);
}

/** `entry = address of the entry of a work`, and goes to a label if it has one. Clobbers nothing else. */
function emitFindEntry(
  asm: Assembler,
  { entry, work, found }: { readonly entry: Register; readonly work: Register; readonly found: Label },
  environment: LinkedEnvironment,
): void {
  emitRequestPair(asm, entry, work, r15, environment);
  asm.cmp(work, at(entry, request.work));
  asm.j('e', found);
  asm.add(entry, REQUEST_SIZE_BYTES);
  asm.cmp(work, at(entry, request.work));
  asm.j('e', found);
}

/**
 * Emits the part of `captureStack` that appends the stack of the call by which another thread asked for the work that
 * this one does, behind a {@link REQUEST_MARK}. The count is in r14, the hash in r13, its multiplier in r15.
 *
 * The function that runs the work needs its address again afterwards, or that of its place in the queue (Node.js 22 has
 * the one, 24 the other). It has it in a register that the functions which it calls must preserve, and they save it on
 * the stack. Addresses of earlier works are left there, too: farther in, and where these were of another kind, also
 * farther out, in the home space of a function that saved its registers elsewhere. So the outermost address of a known
 * work that is being done is the right one. Where such a work of another kind stands beside it, it is not known which
 * one is this thread's. A thread that asks for work does none for others.
 */
export function emitAppendRequest(asm: Assembler, done: Label, environment: AppendEnvironment): void {
  const [bounded, search, found, ask, searched, read, copy] = asm.labels(
    'bounded',
    'search',
    'found',
    'ask',
    'searched',
    'read',
    'copy',
  );
  const { linkSlots, grown } = environment;
  asm.mov(rax, linkSlots.requests);
  asm.test(rax, rax);
  asm.j('e', done);
  asm.cmp(r14, MAXIMUM_FRAMES - FRAME_COUNT_MIN);
  asm.j('ae', done);
  asm.mov(rsi, teb(tebField.stackBase));
  asm.lea(rdi, at(rsp, returnAddressOffset(captureFrame)));
  asm.lea(rdx, at(rsi, -SEARCHED_SIZE_BYTES));
  asm.cmp(rdi, rdx);
  asm.j('ae', bounded);
  asm.mov(rdi, rdx);
  asm.bind(bounded);
  asm.cmp(rdi, teb(tebField.stackLimit));
  asm.j('b', done);
  asm.xor(ebp, ebp); // the work that is being done
  asm.movImmediate64(at(rsp, QUESTIONS_LEFT), QUESTIONS_MAX);
  asm.bind(search);
  asm.sub(rsi, 8);
  asm.cmp(rsi, rdi);
  asm.j('b', searched);
  asm.mov(rbx, at(rsi));
  asm.cmp(rbx, LOWEST_ADDRESS);
  asm.j('b', search);
  emitFindEntry(asm, { entry: r12, work: rbx, found }, environment);
  asm.sub(rbx, WORK_QUEUE_OFFSET);
  emitFindEntry(asm, { entry: r12, work: rbx, found }, environment);
  asm.jmp(search);
  asm.bind(found);
  asm.mov(ecx, at(r12, request.threadId));
  asm.cmp(ecx, teb(tebField.threadId));
  asm.j('e', done);
  asm.mov(ecx, at(r12, request.stack));
  asm.shr(ecx, WORK_SHIFT);
  asm.test(rbp, rbp);
  asm.j('e', ask);
  asm.cmp(rcx, at(rsp, KIND));
  asm.j('e', search); // the same work again, or one of the same kind
  asm.bind(ask);
  asm.mov(rax, at(rsp, QUESTIONS_LEFT));
  asm.sub(rax, 1);
  asm.j('s', done);
  asm.mov(at(rsp, QUESTIONS_LEFT), rax);
  asm.mov(at(rsp, KIND_IN_QUESTION), rcx);
  asm.mov(rcx, rbx);
  asm.call(environment.isBeingDone);
  asm.test(eax, eax);
  asm.j('e', search);
  asm.test(rbp, rbp);
  asm.j('ne', done);
  asm.mov(rbp, rbx);
  asm.mov(rax, at(rsp, KIND_IN_QUESTION));
  asm.mov(at(rsp, KIND), rax);
  asm.lea(rdx, at(rsi, -NEIGHBOURHOOD_SIZE_BYTES));
  asm.cmp(rdx, rdi);
  asm.j('be', search);
  asm.mov(rdi, rdx);
  asm.jmp(search);

  asm.bind(searched);
  asm.test(rbp, rbp);
  asm.j('e', done);
  emitFindEntry(asm, { entry: r12, work: rbp, found: read }, environment);
  asm.jmp(done);
  asm.bind(read);
  asm.mov(edx, at(r12, request.stack));
  asm.cmp(rbp, at(r12, request.work)); // it was read whole
  asm.j('ne', done);
  asm.and(edx, (1 << WORK_SHIFT) - 1);
  asm.j('e', done);
  // The target may have written to the table: the id may be anything.
  asm.mov(rcx, rdx);
  asm.shl(rcx, 3);
  asm.add(rcx, stackNode.frames + MAXIMUM_FRAMES * 8);
  asm.cmp(rcx, grown.stackPoolCommitted);
  asm.j('a', done);
  asm.mov(rax, linkSlots.stackPool);
  asm.lea(r8, indexed(rax, rdx, 8));
  asm.movzx16(rcx, at(r8, stackNode.frameCount));
  asm.mov(rax, REQUEST_MARK);
  asm.xor(ebx, ebx);
  asm.bind(copy);
  asm.mov(indexed(rsp, r14, 8, FRAMES), rax);
  asm.add(r14, 1);
  emitHashStep(asm, r13, rax, r15, rdx);
  asm.cmp(rbx, rcx);
  asm.j('ae', done);
  asm.cmp(r14, MAXIMUM_FRAMES);
  asm.j('ae', done);
  asm.mov(rax, indexed(r8, rbx, 8, stackNode.frames));
  asm.add(rbx, 1);
  asm.jmp(copy);
}
