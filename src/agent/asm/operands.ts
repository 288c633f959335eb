import { type Register, rsp } from './registers.ts';

/** A memory operand: `[base + index * scale + displacement]`, `gs:[displacement]` or `[rip + label]`. */
export interface Memory {
  readonly kind: 'memory';
  readonly base?: Register;
  readonly index?: Register;
  readonly scale?: 1 | 2 | 4 | 8;
  readonly displacement: number;
  /** The address is relative to the thread environment block. */
  readonly gs?: true;
  /** The address is relative to the instruction pointer. */
  readonly label?: Label;
}

/** A position in the code. `Assembler.label` makes it, and `Assembler.bind` sets it. */
export interface Label {
  readonly kind: 'label';
  readonly name: string;
}

export type Operand = Register | Memory;

/** `[base + displacement]`. */
export function at(base: Register, displacement = 0): Memory {
  return { kind: 'memory', base, displacement };
}

/** `[base + index * scale + displacement]`; `rsp` cannot be an index. */
export function indexed(base: Register, index: Register, scale: 1 | 2 | 4 | 8, displacement = 0): Memory {
  if (index.code === rsp.code) throw new Error('rsp cannot be an index register');
  return { kind: 'memory', base, index, scale, displacement };
}

/** `gs:[displacement]`: a field of the thread environment block. */
export function teb(displacement: number): Memory {
  return { kind: 'memory', displacement, gs: true };
}

/** `[address]`, for an address below 2 GiB such as KUSER_SHARED_DATA (0x7ffe0000). */
export function absolute(address: number): Memory {
  return { kind: 'memory', displacement: address };
}

/** `[rip + label]`. */
export function relative(label: Label): Memory {
  return { kind: 'memory', displacement: 0, label };
}
