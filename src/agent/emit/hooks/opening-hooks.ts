import type { OpenedHandle } from '../../tables/hook-row.ts';
import { typeIndex } from '../../tables/object-types.ts';
import { header } from '../../ledger/layout.ts';
import { at } from '../../asm/operands.ts';
import { eax, ecx, edx, r8d, r9d, rax, rcx, rdx } from '../../asm/registers.ts';
import { callerArgument } from '../abi/framed-function.ts';
import { SYSTEM_TIME } from '../abi/system-time.ts';
import { emitMayBeInheritable } from '../recorder/inherited-handles.ts';
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
import { emitLoadOpened, emitReportUses, emitSaveUses } from './hook-steps.ts';

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
    loadCallAndType(opened);
    emitMayBeInheritable(hook, ATTRIBUTES);
    emitLoadOpened(hook, receivers[index]!, SPARE);
    emitReturnAddress(asm);
    asm.call(environment.recordOpen);
  });
  if (row.uses.length > 0) asm.jmp(done);
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

/** Emits the hook of NtCreateUserProcess. */
export function emitCreatesProcess(hook: Hook): void {
  const { asm, environment, rowNumber } = hook;
  const { began, changes } = hookPlaces('began', 'changes');
  asm.mov(rax, SYSTEM_TIME);
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
  emitOpens(hook, (opened) => asm.mov(edx, callAndType(rowNumber, opened)), noteInherited);
}
