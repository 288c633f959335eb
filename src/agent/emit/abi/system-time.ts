import { header } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { absolute, at, type Memory } from '../../asm/operands.ts';
import { SYSTEM_TIME_ADDRESS } from '../../../process/file-time.ts';
import type { Register } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';

const SYSTEM_TIME: Memory = absolute(SYSTEM_TIME_ADDRESS);

/**
 * The ledger's time into `register`: the system's, and the offset by which the auditor tells apart what comes before
 * and after a moment within one clock tick ({@link header.clockOffset}).
 */
export function emitReadTime(
  asm: Assembler,
  register: Register,
  { linkSlots }: Pick<LinkedEnvironment, 'linkSlots'>,
): void {
  asm.mov(register, linkSlots.ledger);
  asm.mov(register, at(register, header.clockOffset));
  asm.add(register, SYSTEM_TIME);
}
