// The code around routines that run alone: the function of the threads that call them, and the fakes that they call.
import type { Assembler } from '../../../../src/agent/asm/assembler.ts';
import { at, indexed, type Label, relative } from '../../../../src/agent/asm/operands.ts';
import {
  eax,
  ecx,
  r10,
  r11,
  r12,
  r13,
  r14,
  r15,
  r8,
  r9,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  type Register,
  rsi,
  rsp,
} from '../../../../src/agent/asm/registers.ts';
import { framePlaces } from '../../../../src/agent/emit/abi/frame-places.ts';
import { framedFunction } from '../../../../src/agent/emit/abi/framed-function.ts';

const registers = { rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 } as const;
export type RegisterName = keyof typeof registers;
export const registerNames = Object.keys(registers) as readonly RegisterName[];

/** All registers but rsp, before a call or after it. */
export type Registers = Readonly<Record<RegisterName, bigint>>;

/** Registers that a function must leave as they were. */
export const nonVolatile = ['rbx', 'rbp', 'rsi', 'rdi', 'r12', 'r13', 'r14', 'r15'] as const;

export const CALL_SIZE_BYTES = 128;
export const JOB_HEAD_SIZE_BYTES = 32;
/** The functions of ntdll that store a value, and their arguments that say where. */
export const storing: Readonly<Record<string, Register>> = { NtDuplicateObject: r9, NtQueryObject: r8 };

/** In the data of {@link placeRoutines}: how many calls the fakes took, their results, and their notes. */
export const fake = {
  count: 0x8_0000,
  results: 0x8_0100,
  resultCount: 64,
  notes: 0x9_0000,
  noteSizeBytes: 64,
} as const;

/** The threads of one run meet before every sixteenth call: so they often do the same thing at the same time. */
const MEETING_INTERVAL = 16;

/**
 * Emits the thread's function: `DWORD runner(struct { u32* arrivals; u64 callCount; void* routine; u64 threadCount;
 * Registers calls[]; }*)`.
 */
export function emitRunner(asm: Assembler, begin: Label): void {
  const frame = { pushes: [rbx, rbp, rsi, rdi, r12, r13, r14, r15], sizeBytes: 0x58 };
  const { job, call, routine, callsLeft, arrivalsDue, rbxAfter } = framePlaces(
    frame,
    0x20,
    'job',
    'call',
    'routine',
    'callsLeft',
    'arrivalsDue',
    'rbxAfter',
  );
  const place = (base: Register, name: RegisterName) => at(base, registerNames.indexOf(name) * 8);
  framedFunction(asm, begin, frame, (epilogue) => {
    const [next, wait, met, end] = asm.labels('next', 'wait', 'met', 'end');
    asm.mov(job, rcx);
    asm.lea(rax, at(rcx, JOB_HEAD_SIZE_BYTES));
    asm.mov(call, rax);
    asm.mov(rax, at(rcx, 8));
    asm.mov(callsLeft, rax);
    asm.movImmediate64(arrivalsDue, 0);
    asm.bind(next);
    asm.sub(callsLeft, 1);
    asm.j('s', end);
    asm.mov(rax, callsLeft);
    asm.test(eax, MEETING_INTERVAL - 1);
    asm.j('ne', met);
    asm.mov(rcx, job);
    asm.mov(rax, arrivalsDue);
    asm.add(rax, at(rcx, 24));
    asm.mov(arrivalsDue, rax);
    asm.mov(rdx, at(rcx));
    asm.lockInc32(at(rdx));
    asm.bind(wait);
    asm.pause();
    asm.cmp(eax, at(rdx));
    asm.j('a', wait);
    asm.bind(met);
    asm.mov(rax, job);
    asm.mov(rcx, at(rax, 16));
    asm.mov(routine, rcx);
    asm.mov(rax, call);
    for (const name of registerNames.filter((each) => each !== 'rax')) asm.mov(registers[name], place(rax, name));
    asm.mov(rax, place(rax, 'rax'));
    asm.call(routine);
    asm.mov(rbxAfter, rbx);
    asm.mov(rbx, call);
    for (const name of registerNames.filter((each) => each !== 'rbx')) asm.mov(place(rbx, name), registers[name]);
    asm.mov(rax, rbxAfter);
    asm.mov(place(rbx, 'rbx'), rax);
    asm.add(call, CALL_SIZE_BYTES);
    asm.jmp(next);
    asm.bind(end);
    asm.xor(eax, eax);
    epilogue();
  });
}

/** Emits a `captureStack` whose result is the low half of its argument. */
export function emitFakeCaptureStack(asm: Assembler, begin: Label): void {
  asm.align(16);
  asm.bind(begin);
  asm.mov(eax, ecx);
  emitClobber(asm);
  asm.ret();
}

/**
 * Emits a function that notes its arguments and returns what the script says.
 *
 * @param stores the argument through which it stores a value, if it stores any
 */
export function emitFake(
  asm: Assembler,
  begin: Label,
  { number, stores, notes }: { readonly number: number; readonly stores: Register | undefined; readonly notes: Label },
): void {
  const [scripted, done] = asm.labels('scripted', 'done');
  asm.align(16);
  asm.bind(begin);
  asm.mov(r11, relative(notes));
  asm.mov(eax, 1);
  asm.lockXadd(at(r11, fake.count), eax);
  asm.mov(r10, rax);
  asm.shl(r10, Math.log2(fake.noteSizeBytes));
  asm.lea(r10, indexed(r11, r10, 1, fake.notes));
  asm.movImmediate64(at(r10), number);
  [rcx, rdx, r8, r9].forEach((register, index) => asm.mov(at(r10, 8 + index * 8), register));
  [0x30, 0x38].forEach((argument, index) => {
    asm.mov(rcx, at(rsp, argument));
    asm.mov(at(r10, 0x28 + index * 8), rcx);
  });
  asm.cmp(rax, fake.resultCount);
  asm.j('b', scripted);
  asm.mov(eax, fake.resultCount - 1);
  asm.bind(scripted);
  asm.shl(rax, 4);
  asm.lea(r10, indexed(r11, rax, 1, fake.results));
  asm.mov(eax, at(r10));
  if (stores !== undefined) {
    asm.mov(r11, at(r10, 8));
    asm.test(r11, r11);
    asm.j('e', done);
    asm.mov(at(stores), r11);
    asm.bind(done);
  }
  emitClobber(asm);
  asm.ret();
}

/** Changes the volatile registers, but for the result. */
function emitClobber(asm: Assembler): void {
  for (const register of [rcx, rdx, r8, r9, r10, r11]) asm.mov(register, -1n);
}
