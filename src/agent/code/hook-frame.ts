import type { HookRow } from '../hook-table.ts';
import { type MISUSE_CLOSE, type MISUSE_CLOSED_AS_HANDLE, MISUSE_USE, slot } from '../ledger-layout.ts';
import { type Assembler, at, type Label, low32, type Memory, r10, r11, r8, r9, rax, rcx, rdx, type Register, relative, rsp } from './assembler.ts';
import { emitSlotAddress, type Quarantine, type RecorderEnvironment } from './recorder.ts';
import { callerArgument, type FrameShape, returnAddressOffset } from './unwind-info.ts';

// What every hook is made of: its frame, the way through to the real call, and the reports that it may make.

/** What hooks call; all of it is emitted once. */
export interface HookEnvironment extends RecorderEnvironment {
  readonly recordOpen: Label;
  readonly recordClose: Label;
  readonly recordMisuse: Label;
  readonly noteMisuse: Label;
  readonly findWrapper: Label;
  readonly claimWrapper: Label;
  readonly openWrapper: Label;
  readonly closeWrapper: Label;
  readonly noteInherited: Label;
  readonly chooseHandle: Label;
  readonly isThisProcess: Label;
  readonly exitGate: Label;
  readonly isSocketPath: Label;
  readonly noteAccept: Label;
  readonly resolveAccept: Label;
  readonly forgetWalks: Label;
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
  readonly assembler: Assembler;
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
 * Emits the hook of one row that shares its body with others: `r10 = row, r11 = trampoline, jmp body`. Both registers are the called
 * function's to use.
 *
 * @param row a number, or the row's data
 */
export function emitThunk(assembler: Assembler, begin: Label, row: number | Label, trampoline: Label, body: Label): void {
  assembler.bind(begin);
  if (typeof row === 'number') assembler.mov(low32(r10), row);
  else assembler.lea(r10, relative(row));
  assembler.lea(r11, relative(trampoline));
  assembler.jmp(body);
}

/**
 * Where a body that is shared keeps what {@link emitThunk} has left in r10 and r11. A row that is a number has the type of what the call opens in
 * its upper half.
 */
export const ROW: Memory = saved(5);
export const TRAMPOLINE: Memory = saved(6);

export function emitKeepRow(assembler: Assembler): void {
  assembler.mov(ROW, r10);
  assembler.mov(TRAMPOLINE, r11);
}

/** Copies the stack arguments, makes the call, keeps its result. Clobbers rax before the call. */
export function emitPassThrough(assembler: Assembler, trampoline: Label | Memory, argumentCount: number): void {
  for (let index = 4; index < argumentCount; index++) {
    assembler.mov(rax, callerArgument(hookFrame, index));
    assembler.mov(at(rsp, 0x20 + (index - 4) * 8), rax);
  }
  assembler.call(trampoline);
  assembler.mov(RESULT, rax);
}

const argumentRegisters = [rcx, rdx, r8, r9] as const;

function argument(index: number): Register | Memory {
  return argumentRegisters[index] ?? callerArgument(hookFrame, index);
}

/** Copies argument `index` of the call into a saved place; at the hook's entry only. Clobbers rax. */
export function emitSaveArgument(assembler: Assembler, index: number, place: Memory): void {
  const source = argument(index);
  if (source.kind === 'register') return assembler.mov(place, source);
  assembler.mov(rax, source);
  assembler.mov(place, rax);
}

/** The handles that the call works on, in saved places 0, 1, 2. A call with a quarantined one ends here. */
export function emitSaveUses(hook: HookBody): void {
  hook.row.uses.forEach((index, place) => emitSaveArgument(hook.assembler, index, saved(place)));
  const { assembler, environment } = hook;
  const { quarantine } = environment;
  if (quarantine === undefined) return;
  hook.row.uses.forEach((_, place) => {
    const fine = assembler.label('fine');
    emitLoadState(hook, saved(place));
    assembler.test(rax, rax);
    assembler.j('ns', fine);
    emitUnlessQuarantined(assembler, quarantine, saved(place), fine);
    emitRefusal(hook, saved(place), MISUSE_USE);
    assembler.bind(fine);
  });
}

/** Jumps to `free` unless the value, whose slot says that it is quarantined, must be refused. Keeps the argument registers. */
export function emitUnlessQuarantined(assembler: Assembler, { isQuarantined }: Quarantine, value: Memory, free: Label): void {
  assembler.mov(rax, value);
  assembler.call(isQuarantined);
  assembler.test(low32(rax), low32(rax));
  assembler.j('e', free);
}

/** Records the misuse of the value and returns STATUS_INVALID_HANDLE, without the call. */
export function emitRefusal(hook: HookBody, value: Memory, kind: typeof MISUSE_CLOSE | typeof MISUSE_USE): void {
  const { assembler } = hook;
  assembler.mov(low32(rax), STATUS_INVALID_HANDLE);
  assembler.mov(RESULT, rax);
  assembler.mov(rcx, value);
  emitMisuse(hook, kind);
  hook.return();
}

/**
 * `rcx = the handle that the call has stored where \`pointer\` says`. With a quarantine it is stored there anew if the program must know it by
 * another value. Keeps rdx, by way of `spare`.
 */
export function emitLoadOpened(hook: HookBody, pointer: Memory, spare: Memory): void {
  const { assembler, environment } = hook;
  assembler.mov(rcx, pointer);
  assembler.mov(rcx, at(rcx));
  if (environment.quarantine === undefined) return;
  const fine = assembler.label('fine');
  emitLoadState(hook, rcx);
  assembler.test(rax, rax);
  assembler.j('ns', fine);
  assembler.mov(spare, rdx);
  assembler.call(environment.quarantine.moveOutOfQuarantine);
  assembler.mov(rcx, pointer);
  assembler.mov(at(rcx), rax);
  assembler.mov(rcx, rax);
  assembler.mov(rdx, spare);
  assembler.bind(fine);
}

/** `r8 = address of the return address the hook was entered with`. */
export function emitReturnAddress(assembler: Assembler): void {
  assembler.lea(r8, at(rsp, returnAddressOffset(hookFrame)));
}

/** Records the misuse of the value in rcx; eax holds the status. */
export function emitMisuse(
  { assembler, rowNumber, environment }: Pick<HookBody, 'assembler' | 'rowNumber' | 'environment'>,
  kind: typeof MISUSE_CLOSE | typeof MISUSE_USE | typeof MISUSE_CLOSED_AS_HANDLE,
): void {
  assembler.mov(low32(r9), low32(rax));
  if (typeof rowNumber === 'number') assembler.mov(low32(rdx), rowNumber);
  else assembler.movzx16(rdx, rowNumber);
  assembler.or(low32(rdx), kind << 16);
  emitReturnAddress(assembler);
  assembler.call(environment.recordMisuse);
}

/** If the call was refused because of a handle, records which. eax holds the status. */
export function emitReportUses(hook: HookBody): void {
  const { assembler, row, environment } = hook;
  if (row.uses.length === 0) return;
  const [refused, fine, choose] = assembler.labels('refused', 'fine', 'choose');
  assembler.cmp(low32(rax), STATUS_INVALID_HANDLE);
  assembler.j('e', choose);
  assembler.cmp(low32(rax), STATUS_OBJECT_TYPE_MISMATCH);
  assembler.j('ne', fine);
  assembler.mov(rcx, saved(0)); // the object that the call works on
  assembler.jmp(refused);
  assembler.bind(choose);
  assembler.mov(rcx, saved(0));
  if (row.uses.length > 1) {
    assembler.lea(rcx, saved(0));
    assembler.mov(low32(rdx), row.uses.length);
    assembler.call(environment.chooseHandle);
    assembler.mov(rcx, rax);
    assembler.mov(rax, RESULT);
  }
  assembler.bind(refused);
  emitMisuse(hook, MISUSE_USE);
  assembler.bind(fine);
}

/** The slot's state of the value in `value`, 0 where it has no slot, into `place`. Clobbers rax. */
export function emitReadState(hook: Pick<Hook, 'assembler' | 'environment'>, value: Register | Memory, place: Memory): void {
  emitLoadState(hook, value);
  hook.assembler.mov(place, rax);
}

/** The same, into rax. */
export function emitLoadState({ assembler, environment }: Pick<Hook, 'assembler' | 'environment'>, value: Register | Memory): void {
  const [none, read] = assembler.labels('none', 'read');
  assembler.mov(rax, value);
  emitSlotAddress(assembler, rax, none, environment);
  assembler.mov(rax, at(rax, slot.state));
  assembler.jmp(read);
  assembler.bind(none);
  assembler.xor(low32(rax), low32(rax));
  assembler.bind(read);
}
