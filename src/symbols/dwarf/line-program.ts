import { ByteCursor } from './byte-cursor.ts';
import type { UnitExtent } from './unit-headers.ts';

/** The instructions of one unit of `.debug_line`, which make its rows, and what they mean in this unit. */
export interface LineProgram {
  /** Where its unit begins. */
  readonly start: number;
  readonly end: number;
  /** Its first instruction. */
  readonly at: number;
  /** Its lists of directories and files. */
  readonly filesAt: number;
  readonly isWide: boolean;
  readonly version: number;
  /** The directory that the compiler ran in. */
  readonly directory: string;
  readonly instructionSize: number;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeBase: number;
  /** How many operands each standard instruction has, from instruction 1 on. */
  readonly operandCounts: Uint8Array;
}

const DW_LNS_copy = 1;
const DW_LNS_advance_pc = 2;
const DW_LNS_advance_line = 3;
const DW_LNS_set_file = 4;
const DW_LNS_const_add_pc = 8;
const DW_LNS_fixed_advance_pc = 9;
const DW_LNE_end_sequence = 1;
const DW_LNE_set_address = 2;

/**
 * Reads the header of a unit; `undefined` for an unknown version, and for instructions that have no meaning.
 *
 * @throws RangeError where the unit ends early
 */
export function readLineProgram(section: Buffer, extent: UnitExtent, directory: string): LineProgram | undefined {
  const { start, end, isWide } = extent;
  const unit = new ByteCursor(section, extent.at, end);
  const version = unit.u16();
  if (version < 2 || version > 5) return undefined;
  if (version >= 5) unit.skip(2); // address_size, segment_selector_size
  const at = unit.offset(isWide) + unit.at;
  const instructionSize = unit.u8();
  if (version >= 4) unit.skip(1); // maximum_operations_per_instruction: 1 but for VLIW machines
  unit.skip(1); // default_is_stmt
  const lineBase = unit.i8();
  const lineRange = unit.u8();
  const opcodeBase = unit.u8();
  if (lineRange === 0 || opcodeBase === 0) return undefined;
  const operandCounts = Uint8Array.from({ length: opcodeBase - 1 }, () => unit.u8());
  return {
    ...{ start, end, at, filesAt: unit.at, isWide, version, directory },
    ...{ instructionSize, lineBase, lineRange, opcodeBase, operandCounts },
  };
}

/**
 * Runs the instructions of one sequence.
 *
 * @param unit stands at the first of them, and then after the last
 * @returns the first address after the sequence
 * @throws RangeError where the unit ends before the sequence does
 */
export function runSequence(
  unit: ByteCursor,
  { instructionSize, lineBase, lineRange, opcodeBase, operandCounts }: LineProgram,
  addRow: (address: number, line: number, file: number) => void,
): number {
  let address = 0;
  let file = 1;
  let line = 1;
  const advance = (opcode: number): void => {
    address += Math.floor(opcode / lineRange) * instructionSize;
  };
  for (;;) {
    const opcode = unit.u8();
    if (opcode >= opcodeBase) {
      advance(opcode - opcodeBase);
      line += lineBase + ((opcode - opcodeBase) % lineRange);
      addRow(address, line, file);
    } else if (opcode === 0) {
      const sizeBytes = unit.uleb();
      const end = unit.at + sizeBytes;
      if (sizeBytes > 0) {
        const extended = unit.u8();
        if (extended === DW_LNE_set_address) address = sizeBytes === 9 ? unit.u64() : unit.u32();
        if (extended === DW_LNE_end_sequence) {
          unit.at = end;
          return address;
        }
      }
      unit.at = end;
    } else if (opcode === DW_LNS_copy) {
      addRow(address, line, file);
    } else if (opcode === DW_LNS_advance_pc) {
      address += unit.uleb() * instructionSize;
    } else if (opcode === DW_LNS_advance_line) {
      line += unit.sleb();
    } else if (opcode === DW_LNS_set_file) {
      file = unit.uleb();
    } else if (opcode === DW_LNS_const_add_pc) {
      advance(255 - opcodeBase);
    } else if (opcode === DW_LNS_fixed_advance_pc) {
      address += unit.u16();
    } else {
      for (let i = operandCounts[opcode - 1]!; i > 0; i--) unit.uleb();
    }
  }
}
