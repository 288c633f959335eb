import { header } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, teb } from '../../asm/operands.ts';
import { eax, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { emitQueryProcess, processInformation } from '../abi/process-information.ts';
import { STATUS_INVALID_HANDLE, STATUS_NOT_SAME_OBJECT } from '../abi/status.ts';
import { tebField } from '../abi/teb.ts';

/** Results of `isThisProcess`; 0 stands for another process. */
export const THIS_PROCESS = 1;
export const PROCESS_UNKNOWN = 2;

const frame: FrameShape = { pushes: [], sizeBytes: 0x68 };
const information = 0x30; // PROCESS_BASIC_INFORMATION

/**
 * Emits `u32 isThisProcess(HANDLE process)`. NtCompareObjects needs no access right, but is missing before Windows 10.
 * There a handle without the right to query the process counts as unresolved.
 */
export function emitIsThisProcess(asm: Assembler, begin: Label, environment: LinkedEnvironment): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [yes, no, refused, invalid, compare] = asm.labels('yes', 'no', 'refused', 'invalid', 'compare');
    asm.cmp(rcx, -1);
    asm.j('e', yes);
    asm.test(rcx, rcx);
    asm.j('e', no);
    asm.mov(rax, environment.ntdllImport('NtCompareObjects'));
    asm.test(rax, rax);
    asm.j('ne', compare);
    emitQueryProcess(asm, environment, information);
    asm.j('s', refused);
    asm.mov(rax, at(rsp, information + processInformation.processId));
    asm.cmp(rax, teb(tebField.processId));
    asm.j('e', yes);
    asm.jmp(no);
    asm.bind(compare);
    asm.mov(rdx, -1n);
    asm.call(rax);
    asm.test(eax, eax);
    asm.j('e', yes);
    asm.cmp(eax, STATUS_NOT_SAME_OBJECT);
    asm.j('ne', refused);
    asm.jmp(no);
    asm.bind(yes);
    asm.mov(eax, THIS_PROCESS);
    epilogue();
    asm.bind(no);
    asm.xor(eax, eax);
    epilogue();
    asm.bind(refused);
    asm.cmp(eax, STATUS_INVALID_HANDLE);
    asm.j('e', invalid);
    asm.mov(rax, environment.linkSlots.ledger);
    asm.lockInc32(at(rax, header.unresolvedDuplicates));
    asm.bind(invalid);
    asm.mov(eax, PROCESS_UNKNOWN);
    epilogue();
  });
}
