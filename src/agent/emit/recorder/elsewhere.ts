import {
  elsewhere,
  ELSEWHERE_COUNT,
  ELSEWHERE_KIND_MASK,
  ELSEWHERE_SIZE_BYTES,
  type CLOSED_ELSEWHERE,
  type OPENED_ELSEWHERE,
} from '../../ledger/elsewhere.ts';
import { ELSEWHERE_OFFSET, header } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, teb } from '../../asm/operands.ts';
import { eax, edx, r10, r10d, r11d, r8, r9, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import { framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { emitQueryProcess, processInformation } from '../abi/process-information.ts';
import { emitReadTime } from '../abi/system-time.ts';
import { tebField } from '../abi/teb.ts';
import { emitHashStep, HASH_MULTIPLIER, HASH_SEED } from '../walk/stack-hash.ts';
import type { RecorderEnvironment } from './recorder-environment.ts';

/** How many entries of the table a call may try. The last one gives way where none is free. */
const PROBE_COUNT = 16;

const information = 0x30; // PROCESS_BASIC_INFORMATION
const frame: FrameShape = { pushes: [], sizeBytes: 0x88 };
const { value, returnAddress, rowAndType, key, stack } = framePlaces(
  frame,
  information + processInformation.sizeBytes,
  ...(['value', 'returnAddress', 'rowAndType', 'key', 'stack'] as const),
);

/**
 * Emits `void noteElsewhere(HANDLE process, u64 value | kind, u64* returnAddress, u32 row | type << 16)`: notes that
 * this thread opened or closed a handle of another process. A process that may not be queried is left out.
 */
export function emitNoteElsewhere(asm: Assembler, begin: Label, environment: RecorderEnvironment): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [probe, claimed, done] = asm.labels('probe', 'claimed', 'done');
    asm.mov(value, rdx);
    asm.mov(returnAddress, r8);
    asm.mov(rowAndType, r9);
    asm.shr(rdx, 32);
    asm.j('ne', done); // a pseudo handle
    emitQueryProcess(asm, environment, information);
    asm.j('s', done);
    asm.mov(rax, at(rsp, information + processInformation.processId));
    asm.shl(rax, 32);
    asm.or(rax, value);
    asm.mov(key, rax);
    asm.mov(rcx, returnAddress);
    asm.xor(edx, edx);
    asm.call(environment.captureStack);
    asm.mov(stack, rax);

    asm.mov(r8, HASH_SEED);
    asm.mov(r9, HASH_MULTIPLIER);
    asm.mov(rax, key);
    emitHashStep(asm, r8, rax, r9, rdx);
    asm.mov(r10, r8);
    asm.shr(r10, 64 - Math.log2(ELSEWHERE_COUNT));
    asm.mov(rcx, environment.linkSlots.ledger);
    asm.mov(rdx, key);
    asm.mov(r11d, PROBE_COUNT);
    asm.bind(probe);
    asm.mov(r9, r10);
    asm.shl(r9, Math.log2(ELSEWHERE_SIZE_BYTES));
    asm.lea(r9, indexed(rcx, r9, 1, ELSEWHERE_OFFSET));
    asm.xor(eax, eax);
    asm.lockCmpxchg(at(r9, elsewhere.key), rdx);
    asm.j('e', claimed);
    asm.cmp(rax, rdx);
    asm.j('e', claimed);
    asm.add(r10d, 1);
    asm.and(r10d, ELSEWHERE_COUNT - 1);
    asm.sub(r11d, 1);
    asm.j('ne', probe);
    asm.movImmediate64(at(r9, elsewhere.time), 0);
    asm.mov(at(r9, elsewhere.key), rdx);
    asm.bind(claimed);
    asm.movImmediate64(at(r9, elsewhere.time), 0); // a reader leaves the entry out meanwhile
    asm.mov(rax, stack);
    asm.mov(at(r9, elsewhere.stack), eax);
    asm.mov(eax, teb(tebField.threadId));
    asm.mov(at(r9, elsewhere.threadId), eax);
    asm.mov(rax, rowAndType);
    asm.mov(at(r9, elsewhere.call), eax); // the type is the upper half
    emitReadTime(asm, rax, environment);
    asm.mov(at(r9, elsewhere.time), rax); // last: from now on the call is on record
    asm.lockInc32(at(rcx, header.callsElsewhere));
    asm.bind(done);
    epilogue();
  });
}

/** `rdx = the handle value in rdx, with a kind`. */
export function emitWithKind(asm: Assembler, kind: typeof OPENED_ELSEWHERE | typeof CLOSED_ELSEWHERE): void {
  asm.and(rdx, ~ELSEWHERE_KIND_MASK);
  asm.or(rdx, kind);
}
