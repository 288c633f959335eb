import type { HookRow } from '../../tables/hook-row.ts';
import { type MISUSE_CLOSE, type MISUSE_CLOSED_AS_HANDLE, MISUSE_USE, slot } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, type Memory, relative } from '../../asm/operands.ts';
import { eax, edx, r10, r10d, r11, r8, r9, r9d, rax, rcx, rdx, type Register, rsp } from '../../asm/registers.ts';
import { callerArgument, type FrameShape, returnAddressOffset } from '../walk/unwind-info.ts';
import { emitSlotAddress, type Quarantine, type RecorderEnvironment } from '../recorder/recorder.ts';

// What every hook is made of: its frame, the way through to the real call, and the reports that it may make.

/** What hooks call; all of it is emitted once. */
export interface HookEnvironment extends RecorderEnvironment {
  readonly recordOpen: Label;
  readonly recordClose: Label;
  readonly countMisuse: Label;
  readonly internMisuse: Label;
  readonly findRuntimeObject: Label;
  readonly claimRuntimeObject: Label;
  readonly openRuntimeObject: Label;
  readonly closeRuntimeObject: Label;
  readonly noteInherited: Label;
  readonly findUnknownHandle: Label;
  readonly isThisProcess: Label;
  readonly exitGate: Label;
  readonly fileOrSocketType: Label;
  readonly noteAccept: Label;
  readonly resolveAccept: Label;
  readonly clearWalkCache: Label;
  readonly noteImage: Label;
  readonly hookFunctions: Label;
}

/** NTSTATUS values as `cmp eax, imm32` takes them. */
export const STATUS_INVALID_HANDLE: number = 0xc000_0008 | 0;
export const STATUS_OBJECT_TYPE_MISMATCH: number = 0xc000_0024 | 0;

/** Home space, stack arguments of the widest call (NtCreateTokenEx: 17), eight places of our own. */
export const SAVE: number = 0x20 + 13 * 8;
export const hookFrame: FrameShape = { pushes: [], sizeBytes: SAVE + 8 * 8 };

/** One of the eight places; the last keeps the result. */
export function saved(index: number): Memory {
  return at(rsp, SAVE + index * 8);
}

/** The real call's result. */
export const RESULT: Memory = saved(7);

/** A hook's body in the making: of one row, or of all rows of one shape. */
export interface HookBody {
  readonly asm: Assembler;
  /** Of a shape the first row: they are alike in all but their names, and in the types of what they open. */
  readonly row: HookRow;
  /** The row's number in the ledger, or {@link ROW}. */
  readonly rowNumber: number | Memory;
  readonly environment: HookEnvironment;
  /** Copies the stack arguments, makes the call, keeps its result; eax holds the status. */
  passThrough(): void;
  /** Returns the kept result. */
  return(): void;
}

/** A hook of one row in the making. */
export interface Hook extends HookBody {
  readonly rowNumber: number;
}

/**
 * Emits the hook of one row that shares its body with others: `r10 = row, r11 = trampoline, jmp body`. Both registers
 * are the called function's to use.
 *
 * @param row a number, or the row's data
 */
export function emitThunk(asm: Assembler, begin: Label, row: number | Label, trampoline: Label, body: Label): void {
  asm.bind(begin);
  if (typeof row === 'number') asm.mov(r10d, row);
  else asm.lea(r10, relative(row));
  asm.lea(r11, relative(trampoline));
  asm.jmp(body);
}

/**
 * Where a body that is shared keeps what {@link emitThunk} has left in r10 and r11. A row that is a number has the type
 * of what the call opens in its upper half.
 */
export const ROW: Memory = saved(5);
export const TRAMPOLINE: Memory = saved(6);

export function emitKeepRow(asm: Assembler): void {
  asm.mov(ROW, r10);
  asm.mov(TRAMPOLINE, r11);
}

/** Copies the stack arguments, makes the call, keeps its result. Clobbers rax before the call. */
export function emitPassThrough(asm: Assembler, trampoline: Label | Memory, argumentCount: number): void {
  for (let index = 4; index < argumentCount; index++) {
    asm.mov(rax, callerArgument(hookFrame, index));
    asm.mov(at(rsp, 0x20 + (index - 4) * 8), rax);
  }
  asm.call(trampoline);
  asm.mov(RESULT, rax);
}

const argumentRegisters = [rcx, rdx, r8, r9] as const;

function argument(index: number): Register | Memory {
  return argumentRegisters[index] ?? callerArgument(hookFrame, index);
}

/** Copies argument `index` of the call into a saved place; at the hook's entry only. Clobbers rax. */
export function emitSaveArgument(asm: Assembler, index: number, place: Memory): void {
  const source = argument(index);
  if (source.kind === 'register') return asm.mov(place, source);
  asm.mov(rax, source);
  asm.mov(place, rax);
}

/** The handles that the call works on, in saved places 0, 1, 2. A call with a quarantined one ends here. */
export function emitSaveUses(hook: HookBody): void {
  hook.row.uses.forEach((index, place) => emitSaveArgument(hook.asm, index, saved(place)));
  const { asm, environment } = hook;
  const { quarantine } = environment;
  if (quarantine === undefined) return;
  hook.row.uses.forEach((_, place) => {
    const fine = asm.label('fine');
    emitLoadState(hook, saved(place));
    asm.test(rax, rax);
    asm.j('ns', fine);
    emitUnlessQuarantined(asm, quarantine, saved(place), fine);
    emitRefusal(hook, saved(place), MISUSE_USE);
    asm.bind(fine);
  });
}

/**
 * Jumps to `free` unless the value, whose slot says that it is quarantined, must be refused. Keeps the argument
 * registers.
 */
export function emitUnlessQuarantined(asm: Assembler, { isQuarantined }: Quarantine, value: Memory, free: Label): void {
  asm.mov(rax, value);
  asm.call(isQuarantined);
  asm.test(eax, eax);
  asm.j('e', free);
}

/** Records the misuse of the value and returns STATUS_INVALID_HANDLE, without the call. */
export function emitRefusal(hook: HookBody, value: Memory, kind: typeof MISUSE_CLOSE | typeof MISUSE_USE): void {
  const { asm } = hook;
  asm.mov(eax, STATUS_INVALID_HANDLE);
  asm.mov(RESULT, rax);
  asm.mov(rcx, value);
  emitMisuse(hook, kind);
  hook.return();
}

/**
 * `rcx = the handle that the call has stored where \`pointer\` says`. With a quarantine it is stored there anew if the
 * program must know it by another value. Keeps rdx, by way of `spare`.
 */
export function emitLoadOpened(hook: HookBody, pointer: Memory, spare: Memory): void {
  const { asm, environment } = hook;
  asm.mov(rcx, pointer);
  asm.mov(rcx, at(rcx));
  if (environment.quarantine === undefined) return;
  const fine = asm.label('fine');
  emitLoadState(hook, rcx);
  asm.test(rax, rax);
  asm.j('ns', fine);
  asm.mov(spare, rdx);
  asm.call(environment.quarantine.moveOutOfQuarantine);
  asm.mov(rcx, pointer);
  asm.mov(at(rcx), rax);
  asm.mov(rcx, rax);
  asm.mov(rdx, spare);
  asm.bind(fine);
}

/** `r8 = address of the return address the hook was entered with`. */
export function emitReturnAddress(asm: Assembler): void {
  asm.lea(r8, at(rsp, returnAddressOffset(hookFrame)));
}

/** Records the misuse of the value in rcx; eax holds the status. */
export function emitMisuse(
  { asm, rowNumber, environment }: Pick<HookBody, 'asm' | 'rowNumber' | 'environment'>,
  kind: typeof MISUSE_CLOSE | typeof MISUSE_USE | typeof MISUSE_CLOSED_AS_HANDLE,
): void {
  asm.mov(r9d, eax);
  if (typeof rowNumber === 'number') asm.mov(edx, rowNumber);
  else asm.movzx16(rdx, rowNumber);
  asm.or(edx, kind << 16);
  emitReturnAddress(asm);
  asm.call(environment.countMisuse);
}

/** If the call was refused because of a handle, records which. eax holds the status. */
export function emitReportUses(hook: HookBody): void {
  const { asm, row, environment } = hook;
  if (row.uses.length === 0) return;
  const [refused, fine, choose] = asm.labels('refused', 'fine', 'choose');
  asm.cmp(eax, STATUS_INVALID_HANDLE);
  asm.j('e', choose);
  asm.cmp(eax, STATUS_OBJECT_TYPE_MISMATCH);
  asm.j('ne', fine);
  asm.mov(rcx, saved(0)); // the object that the call works on
  asm.jmp(refused);
  asm.bind(choose);
  asm.mov(rcx, saved(0));
  if (row.uses.length > 1) {
    asm.lea(rcx, saved(0));
    asm.mov(edx, row.uses.length);
    asm.call(environment.findUnknownHandle);
    asm.mov(rcx, rax);
    asm.mov(rax, RESULT);
  }
  asm.bind(refused);
  emitMisuse(hook, MISUSE_USE);
  asm.bind(fine);
}

/** The slot's state of the value in `value`, 0 where it has no slot, into `place`. Clobbers rax. */
export function emitReadState(hook: Pick<Hook, 'asm' | 'environment'>, value: Register | Memory, place: Memory): void {
  emitLoadState(hook, value);
  hook.asm.mov(place, rax);
}

/** The same, into rax. */
export function emitLoadState({ asm, environment }: Pick<Hook, 'asm' | 'environment'>, value: Register | Memory): void {
  const [none, read] = asm.labels('none', 'read');
  asm.mov(rax, value);
  emitSlotAddress(asm, rax, none, environment);
  asm.mov(rax, at(rax, slot.state));
  asm.jmp(read);
  asm.bind(none);
  asm.xor(eax, eax);
  asm.bind(read);
}
