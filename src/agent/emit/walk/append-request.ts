import { REQUEST_MARK } from '../../../call-ledger.ts';
import { MAXIMUM_FRAMES, stackNode } from '../../ledger/layout.ts';
import { request, REQUEST_COUNT, REQUEST_SIZE_BYTES } from '../../ledger/request.ts';
import { WORK_QUEUE_OFFSET } from '../../tables/request-functions.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, teb } from '../../asm/operands.ts';
import {
  ebx,
  ecx,
  edx,
  r12,
  r13,
  r14,
  r15,
  r8,
  rax,
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
import { captureFrame, FRAMES } from './capture-frame.ts';
import { emitHashStep } from './stack-hash.ts';

/** The outer end of a stack that is searched: the frames below which a pool's thread calls its work. */
const SEARCHED_SIZE_BYTES = 0x2000;

/** Room that a stack must have left: frames of the request that tell something. */
const FRAME_COUNT_MIN = 8;

/** Lower addresses are none: entries that are free or being written have such in their place. */
const LOWEST_ADDRESS = 0x10000;

/** `entry = address of the only entry that a work may have`. Clobbers nothing else. */
export function emitRequestEntry(
  asm: Assembler,
  entry: Register,
  work: Register,
  multiplier: Register,
  { linkSlots }: LinkedEnvironment,
): void {
  asm.mov(entry, work);
  asm.imul(entry, multiplier);
  asm.shr(entry, 64 - Math.log2(REQUEST_COUNT));
  asm.shl(entry, Math.log2(REQUEST_SIZE_BYTES));
  asm.add(entry, linkSlots.requests);
}

/**
 * Emits the part of `captureStack` that appends the stack of the call by which another thread asked for the work that
 * this one does, behind a {@link REQUEST_MARK}. The count is in r14, the hash in r13, its multiplier in r15.
 *
 * The function that runs the work needs its address again afterwards, or that of its place in the queue (Node.js 22 has
 * the one, 24 the other). It has it in a register that the functions which it calls must preserve, and they save it on
 * the stack. Addresses of earlier work may be left there, too, but farther in. So the outermost address of a known work
 * is the right one. A thread that asks for work does none for others.
 */
export function emitAppendRequest(asm: Assembler, done: Label, environment: LinkedEnvironment): void {
  const [bounded, search, found, copy] = asm.labels('bounded', 'search', 'found', 'copy');
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
  asm.bind(search);
  asm.sub(rsi, 8);
  asm.cmp(rsi, rdi);
  asm.j('b', done);
  asm.mov(rbx, at(rsi));
  asm.cmp(rbx, LOWEST_ADDRESS);
  asm.j('b', search);
  emitRequestEntry(asm, r12, rbx, r15, environment);
  asm.cmp(rbx, at(r12, request.work));
  asm.j('e', found);
  asm.sub(rbx, WORK_QUEUE_OFFSET);
  emitRequestEntry(asm, r12, rbx, r15, environment);
  asm.cmp(rbx, at(r12, request.work));
  asm.j('ne', search);
  asm.bind(found);
  asm.mov(edx, at(r12, request.stack));
  asm.mov(ecx, at(r12, request.threadId));
  asm.cmp(rbx, at(r12, request.work)); // it was read whole
  asm.j('ne', done);
  asm.cmp(ecx, teb(tebField.threadId));
  asm.j('e', done);
  asm.test(edx, edx);
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
