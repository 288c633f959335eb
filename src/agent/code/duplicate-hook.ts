import { typeIndex } from '../hook-table.ts';
import { MAY_BE_INHERITABLE, MISUSE_CLOSE, MISUSE_USE, slot } from '../ledger-layout.ts';
import { at, type Label, low32, type Memory, r10, r8, r9, rax, rcx, rdx, rsp } from './assembler.ts';
import {
  emitLoadOpened, emitMisuse, emitReadState, emitRefusal, emitReturnAddress, emitUnlessQuarantined, type Hook, hookFrame,
  RESULT, saved, STATUS_INVALID_HANDLE,
} from './hook-frame.ts'; // prettier-ignore
import { OBJ_INHERIT } from './inherited-handles.ts';
import { emitSlotAddress, PROCESS_UNKNOWN, type Quarantine, THIS_PROCESS } from './recorder.ts';
import { callerArgument } from './unwind-info.ts';

const DUPLICATE_CLOSE_SOURCE = 1;
const DUPLICATE_SAME_ATTRIBUTES = 4;

/**
 * NtDuplicateObject(SourceProcess, SourceHandle, TargetProcess, *TargetHandle, access, attributes, options): what it opens
 * in this process is recorded as opened, what it closes here as closed.
 */
export function emitDuplicates(hook: Hook): void {
  const { assembler, environment, rowNumber } = hook;
  const sourceProcess = saved(0);
  const sourceHandle = saved(1);
  const targetProcess = saved(2);
  const targetHandle = saved(3);
  const sourceState = saved(4);
  const sourceIsOurs = saved(5);
  const sourceType = saved(6);
  const options = callerArgument(hookFrame, 6);
  const [refused, typed, notPseudo, failed, blameTarget, misused, done, elsewhere, notClosed, opened] = assembler.labels(
    'refused', 'typed', 'notPseudo', 'failed', 'blameTarget', 'misused', 'done', 'elsewhere', 'notClosed', 'opened',
  ); // prettier-ignore

  /** Goes on only where the call closes a handle of this process. Clobbers rax. */
  const unlessClosingOurs = (otherwise: Label) => {
    assembler.mov(rax, options);
    assembler.test(low32(rax), DUPLICATE_CLOSE_SOURCE);
    assembler.j('e', otherwise);
    assembler.mov(rax, sourceIsOurs);
    assembler.cmp(low32(rax), THIS_PROCESS);
    assembler.j('ne', otherwise);
  };

  assembler.mov(sourceProcess, rcx);
  assembler.mov(sourceHandle, rdx);
  assembler.mov(targetProcess, r8);
  assembler.mov(targetHandle, r9);
  emitReadState(hook, rdx, sourceState);
  if (environment.quarantine !== undefined) emitRefuseQuarantinedSource(hook, environment.quarantine, { sourceProcess, sourceHandle, sourceState, options });

  // The type of a duplicate is that of its source, which the pseudo handles of process and thread tell themselves.
  assembler.mov(low32(rax), typeIndex('Process'));
  assembler.cmp(rdx, -1);
  assembler.j('e', typed);
  assembler.mov(low32(rax), typeIndex('Thread'));
  assembler.cmp(rdx, -2);
  assembler.j('e', typed);
  assembler.xor(low32(rax), low32(rax));
  assembler.mov(r10, rdx);
  emitSlotAddress(assembler, r10, notPseudo, environment);
  assembler.mov(low32(rax), at(r10, slot.openedCall));
  assembler.shr(low32(rax), 16);
  assembler.bind(notPseudo);
  assembler.bind(typed);
  assembler.mov(sourceType, rax);

  hook.passThrough();
  assembler.mov(rcx, sourceProcess);
  assembler.call(environment.isThisProcess);
  assembler.mov(sourceIsOurs, rax);
  assembler.mov(rax, RESULT);
  assembler.test(low32(rax), low32(rax));
  assembler.j('s', failed);

  unlessClosingOurs(notClosed);
  assembler.mov(rcx, sourceHandle);
  assembler.mov(rdx, sourceState);
  emitReturnAddress(assembler);
  assembler.mov(low32(r9), rowNumber);
  assembler.call(environment.recordClose);
  assembler.bind(notClosed);

  assembler.cmp(targetHandle, 0);
  assembler.j('e', opened);
  assembler.mov(rcx, targetProcess);
  assembler.call(environment.isThisProcess);
  assembler.cmp(low32(rax), THIS_PROCESS);
  assembler.j('ne', opened);
  assembler.xor(low32(rdx), low32(rdx)); // a source in another process: its type is not known here
  assembler.mov(rax, sourceIsOurs);
  assembler.cmp(low32(rax), THIS_PROCESS);
  assembler.j('ne', elsewhere);
  assembler.mov(rdx, sourceType);
  assembler.shl(low32(rdx), 16);
  assembler.bind(elsewhere);
  assembler.or(low32(rdx), rowNumber);
  assembler.mov(rax, callerArgument(hookFrame, 5)); // ULONG HandleAttributes
  assembler.and(low32(rax), OBJ_INHERIT);
  assembler.shl(low32(rax), Math.log2(MAY_BE_INHERITABLE / OBJ_INHERIT));
  assembler.or(low32(rdx), low32(rax));
  assembler.mov(rax, options);
  assembler.and(low32(rax), DUPLICATE_SAME_ATTRIBUTES);
  assembler.shl(low32(rax), Math.log2(MAY_BE_INHERITABLE / DUPLICATE_SAME_ATTRIBUTES));
  assembler.or(low32(rdx), low32(rax));
  emitLoadOpened(hook, targetHandle, sourceType);
  emitReturnAddress(assembler);
  assembler.call(environment.recordOpen);
  assembler.bind(opened);
  if (environment.quarantine !== undefined) {
    // Now, for the duplicate was opened before its source was closed.
    unlessClosingOurs(done);
    assembler.mov(rcx, sourceHandle);
    assembler.call(environment.quarantine.enterQuarantine);
  }
  assembler.jmp(done);

  // DUPLICATE_CLOSE_SOURCE closes the source even when the call fails (documented for DuplicateHandle); Wine does so when
  // there is no target process, and then says STATUS_INVALID_HANDLE. Whether it did is asked of the kernel.
  assembler.bind(failed);
  unlessClosingOurs(refused);
  assembler.mov(rax, sourceState);
  assembler.test(low32(rax), 1);
  assembler.j('e', refused);
  assembler.mov(rcx, sourceHandle);
  assembler.xor(low32(rdx), low32(rdx)); // ObjectBasicInformation
  assembler.lea(r8, at(rsp, 0x30)); // PUBLIC_OBJECT_BASIC_INFORMATION, among this hook's stack arguments
  assembler.mov(low32(r9), 0x38);
  assembler.movImmediate64(at(rsp, 0x20), 0);
  assembler.call(environment.native('NtQueryObject'));
  assembler.cmp(low32(rax), STATUS_INVALID_HANDLE);
  assembler.j('ne', done);
  assembler.mov(rcx, sourceHandle);
  assembler.mov(rdx, sourceState);
  emitReturnAddress(assembler);
  assembler.mov(low32(r9), rowNumber);
  assembler.call(environment.recordClose);
  assembler.jmp(done);

  // Refused because of a handle: of the source process, of the target process, or the source itself.
  assembler.bind(refused);
  assembler.mov(rax, RESULT);
  assembler.cmp(low32(rax), STATUS_INVALID_HANDLE);
  assembler.j('ne', done);
  assembler.mov(rcx, sourceProcess);
  assembler.mov(rax, sourceIsOurs);
  assembler.cmp(low32(rax), PROCESS_UNKNOWN);
  assembler.j('e', misused);
  assembler.cmp(low32(rax), THIS_PROCESS);
  assembler.j('ne', blameTarget);
  assembler.mov(rcx, sourceHandle);
  assembler.mov(rax, options);
  assembler.test(low32(rax), DUPLICATE_CLOSE_SOURCE);
  assembler.mov(rax, RESULT);
  assembler.j('e', misused);
  emitMisuse(hook, MISUSE_CLOSE);
  assembler.jmp(done);
  assembler.bind(blameTarget);
  assembler.mov(rcx, targetProcess);
  assembler.call(environment.isThisProcess);
  assembler.cmp(low32(rax), PROCESS_UNKNOWN);
  assembler.j('ne', done);
  assembler.mov(rcx, targetProcess);
  assembler.bind(misused);
  assembler.mov(rax, RESULT);
  emitMisuse(hook, MISUSE_USE);
  assembler.bind(done);
  hook.return();
}

/** Refuses a quarantined source of this very process. Clobbers rax. */
function emitRefuseQuarantinedSource(
  hook: Hook,
  quarantine: Quarantine,
  { sourceProcess, sourceHandle, sourceState, options }: Record<'sourceProcess' | 'sourceHandle' | 'sourceState' | 'options', Memory>,
): void {
  const { assembler } = hook;
  const [fine, used] = assembler.labels('fine', 'used');
  assembler.test(rax, rax);
  assembler.j('ns', fine);
  // Whatever another thread's close makes of it, it is no state to compare with later.
  assembler.movImmediate64(sourceState, 0);
  assembler.cmp(sourceProcess, -1);
  assembler.j('ne', fine);
  emitUnlessQuarantined(assembler, quarantine, sourceHandle, fine);
  assembler.mov(rax, options);
  assembler.test(low32(rax), DUPLICATE_CLOSE_SOURCE);
  assembler.j('e', used);
  emitRefusal(hook, sourceHandle, MISUSE_CLOSE);
  assembler.bind(used);
  emitRefusal(hook, sourceHandle, MISUSE_USE);
  assembler.bind(fine);
}
