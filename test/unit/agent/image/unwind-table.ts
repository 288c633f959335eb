import { Register } from 'iced-x86';

import type { AgentCode } from '../../../../src/agent/linkage/agent-code.ts';

/** A function with unwind data. */
export interface UnwoundFunction {
  readonly begin: number;
  readonly end: number;
  /** In the order of unwinding: the last instruction of the prologue first. */
  readonly codes: readonly UnwindCode[];
}

/** A push of a register, or an allocation. */
interface UnwindCode {
  /** Offset of the end of its instruction. */
  readonly at: number;
  readonly register: Register | undefined;
  readonly sizeBytes: number;
}

const numbered = [
  ...[Register.RAX, Register.RCX, Register.RDX, Register.RBX, Register.RSP, Register.RBP, Register.RSI, Register.RDI],
  ...[Register.R8, Register.R9, Register.R10, Register.R11, Register.R12, Register.R13, Register.R14, Register.R15],
];

/**
 * Reads the RUNTIME_FUNCTION table, which is the end of the image, and has its length before it.
 *
 * @throws Error when it is not there, or holds a code that the agent's functions do not have
 */
export function readUnwindTable({ bytes }: AgentCode): readonly UnwoundFunction[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let count = 1; count * 12 + 4 < bytes.length; count++) {
    const table = bytes.length - count * 12;
    if (view.getUint32(table - 4, true) !== count) continue;
    return Array.from({ length: count }, (_, index) => {
      const [begin, end, info] = [0, 4, 8].map((field) => view.getUint32(table + index * 12 + field, true));
      return { begin: begin!, end: end!, codes: readCodes(view, begin!, info!) };
    });
  }
  throw new Error('the image has no table of its functions');
}

/** https://learn.microsoft.com/cpp/build/exception-handling-x64#struct-unwind_info */
function readCodes(view: DataView, begin: number, info: number): readonly UnwindCode[] {
  if (view.getUint8(info) !== 1) throw new Error('unwind data of another version, or with a handler');
  const codes: UnwindCode[] = [];
  const end = info + 4 + view.getUint8(info + 2) * 2;
  for (let at = info + 4; at < end; at += 2) {
    const offset = begin + view.getUint8(at);
    const operation = view.getUint8(at + 1) & 15;
    const operand = view.getUint8(at + 1) >> 4;
    if (operation === 0) codes.push({ at: offset, register: numbered[operand]!, sizeBytes: 8 });
    else if (operation === 2) codes.push({ at: offset, register: undefined, sizeBytes: (operand + 1) * 8 });
    else if (operation === 1 && operand === 0) {
      at += 2;
      codes.push({ at: offset, register: undefined, sizeBytes: view.getUint16(at, true) * 8 });
    } else throw new Error(`unwind operation ${operation} with ${operand}`);
  }
  return codes;
}
