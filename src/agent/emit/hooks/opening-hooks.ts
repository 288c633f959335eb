import type { OpenedHandle } from '../../tables/hook-row.ts';
import { typeIndex } from '../../tables/object-types.ts';
import { header, MAY_BE_INHERITABLE } from '../../ledger/layout.ts';
import { at, type Label, type Memory } from '../../asm/operands.ts';
import { eax, ecx, edx, r8d, r9d, rax, rcx, rdx } from '../../asm/registers.ts';
import { callerArgument } from '../abi/framed-function.ts';
import { emitReadTime } from '../abi/system-time.ts';
import { emitMayBeInheritable } from '../recorder/inheritable.ts';
import type { Hook, HookBody } from './hook-environment.ts';
import {
  ATTRIBUTES,
  emitReturnAddress,
  emitSaveArgument,
  hookFrame,
  hookPlaces,
  receivers,
  SPARE,
} from './hook-frame.ts';
import { emitLoadOpened, emitLoadState, emitReportUses, emitSaveUses } from './hook-steps.ts';

/** A row's number, and the type of the handle that its call opens, as recordOpen takes them. */
export function callAndType(rowNumber: number, { type }: Pick<OpenedHandle, 'type'>): number {
  return rowNumber | (typeIndex(type) << 16);
}

/**
 * Emits an opening call. `loadCallAndType` emits code that leaves {@link callAndType} in edx. `succeeded` emits code
 * that runs before the new handles are recorded.
 */
export function emitOpens(
  hook: HookBody,
  loadCallAndType: (opened: OpenedHandle) => void,
  succeeded: () => void = () => {},
): void {
  const { asm, row, environment } = hook;
  const [failed, done] = asm.labels('failed', 'done');
  emitSaveUses(hook);
  if (row.attributes !== undefined) emitSaveArgument(asm, row.attributes, ATTRIBUTES);
  row.opens.forEach((opened, index) => emitSaveArgument(asm, opened.argument, receivers[index]!));
  hook.passThrough();
  asm.test(eax, eax);
  asm.j('s', failed);
  succeeded();
  row.opens.forEach((opened, index) => {
    const next = asm.label('next');
    if (opened.optional === true) emitUnlessStored(hook, receivers[index]!, next);
    loadCallAndType(opened);
    emitMayBeInheritable(hook, ATTRIBUTES);
    emitLoadOpened(hook, receivers[index]!, SPARE);
    emitReturnAddress(asm);
    asm.call(environment.recordOpen);
    asm.bind(next);
  });
  if (row.uses.length > 0) asm.jmp(done);
  asm.bind(failed);
  emitReportUses(hook);
  asm.bind(done);
  hook.return();
}

/**
 * Jumps to `otherwise` unless the call has stored a handle at `pointer`. The kernel gives no value twice: one that is
 * open by the ledger was there before the call.
 */
function emitUnlessStored(hook: HookBody, pointer: Memory, otherwise: Label): void {
  const { asm } = hook;
  asm.mov(rcx, pointer);
  asm.test(rcx, rcx);
  asm.j('e', otherwise);
  asm.mov(rcx, at(rcx));
  asm.test(rcx, rcx);
  asm.j('e', otherwise);
  emitLoadState(hook, rcx);
  asm.test(eax, 1);
  asm.j('ne', otherwise);
}

/** Emits the hook of a call that fills a structure, which may hold handles. */
export function emitOpensWithin(hook: Hook): void {
  const { asm, row, rowNumber, environment } = hook;
  const { argument, selector, handles } = row.fills!;
  const [failed, done] = asm.labels('failed', 'done');
  const [structure, handleClass] = receivers;
  const address = ATTRIBUTES;
  emitSaveUses(hook);
  emitSaveArgument(asm, argument, structure);
  if (selector !== undefined) emitSaveArgument(asm, selector, handleClass);
  hook.passThrough();
  asm.test(eax, eax); // STATUS_SUCCESS: after a timeout nothing was stored
  asm.j('ne', failed);
  if (selector === undefined) {
    asm.mov(rcx, structure);
    asm.mov(eax, at(rcx));
    asm.mov(handleClass, rax);
  }
  for (const { when, offset, type } of handles) {
    const next = asm.label('next');
    asm.cmpImmediate32(handleClass, when);
    asm.j('ne', next);
    asm.mov(rcx, structure);
    asm.add(rcx, offset);
    asm.mov(address, rcx);
    emitUnlessStored(hook, address, next);
    asm.mov(edx, callAndType(rowNumber, { type }) | MAY_BE_INHERITABLE);
    emitLoadOpened(hook, address, SPARE);
    emitReturnAddress(asm);
    asm.call(environment.recordOpen);
    asm.bind(next);
  }
  asm.jmp(done);
  asm.bind(failed);
  emitReportUses(hook);
  asm.bind(done);
  hook.return();
}

/** Emits the hook of a call that opens files and sockets. */
export function emitOpensFile(hook: Hook): void {
  const { asm, environment, row, rowNumber } = hook;
  const { extendedAttributes } = row;
  emitOpens(hook, () => {
    // The path tells a socket only where the call takes no extended attributes.
    if (extendedAttributes === undefined) {
      asm.mov(rcx, ATTRIBUTES);
      asm.xor(edx, edx);
    } else {
      asm.xor(ecx, ecx);
      asm.mov(rdx, callerArgument(hookFrame, extendedAttributes));
      asm.mov(r8d, callerArgument(hookFrame, extendedAttributes + 1));
    }
    asm.call(environment.fileOrSocketType);
    asm.mov(edx, eax);
    asm.shl(edx, 16);
    asm.or(edx, rowNumber);
  });
}

/** ULONG ThreadFlags of NtCreateUserProcess. CreateProcess always sets this one, and resumes the thread itself. */
const THREAD_FLAGS = 7;
const THREAD_CREATE_FLAGS_CREATE_SUSPENDED = 1;

/** Emits the hook of NtCreateUserProcess. */
export function emitCreatesProcess(hook: Hook): void {
  const { asm, environment, rowNumber } = hook;
  const { began, changes } = hookPlaces('began', 'changes');
  emitReadTime(asm, rax, environment);
  asm.mov(began, rax);
  asm.mov(rax, environment.linkSlots.ledger);
  asm.mov(eax, at(rax, header.inheritanceChanges));
  asm.mov(changes, rax);
  // This comes before the handles of the new process are recorded: it cannot have inherited those.
  const noteInherited = () => {
    asm.mov(rcx, began);
    asm.mov(rdx, changes);
    emitReturnAddress(asm);
    asm.mov(r9d, rowNumber);
    asm.call(environment.noteInherited);
  };
  const [runs] = asm.labels('runs');
  emitOpens(
    hook,
    (opened) => asm.mov(edx, callAndType(rowNumber, opened)),
    () => {
      noteInherited();
      // The child of a caller that does not want it suspended runs already.
      asm.mov(rax, callerArgument(hookFrame, THREAD_FLAGS));
      asm.test(eax, THREAD_CREATE_FLAGS_CREATE_SUSPENDED);
      asm.j('e', runs);
      asm.mov(rcx, receivers[0]);
      asm.mov(rcx, at(rcx));
      asm.call(environment.followChild);
      asm.bind(runs);
    },
  );
}
