/**
 * An x86-64 assembler, just large enough for the agent: the instructions it needs, labels, and the shortest jump
 * that reaches. Everything that is injected into a target is written with it, so every injected byte has readable
 * source. Encodings: Intel SDM volume 2.
 */

/** A general-purpose register, with the size of its access. */
export interface Register {
  readonly kind: 'register';
  /** Hardware number 0..15: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8..r15. */
  readonly code: number;
  readonly sizeBytes: 4 | 8;
}

/** A memory operand: `[base + index * scale + displacement]`, `gs:[displacement]` or `[rip + label]`. */
export interface Memory {
  readonly kind: 'memory';
  readonly base?: Register;
  readonly index?: Register;
  readonly scale?: 1 | 2 | 4 | 8;
  readonly displacement: number;
  /** Relative to the thread's environment block. */
  readonly gs?: true;
  /** Relative to the instruction pointer. */
  readonly label?: Label;
}

/** A place in the code; made by {@link Assembler.label}, put by {@link Assembler.bind}. */
export interface Label {
  readonly kind: 'label';
  readonly name: string;
}

export type Condition = keyof typeof conditionCodes;

const conditionCodes = {
  b: 2,
  ae: 3,
  e: 4,
  ne: 5,
  be: 6,
  a: 7,
  s: 8,
  ns: 9,
  l: 12,
  ge: 13,
  le: 14,
  g: 15,
} as const;

function register(code: number, sizeBytes: 4 | 8): Register {
  return { kind: 'register', code, sizeBytes };
}

export const rax: Register = register(0, 8);
export const rcx: Register = register(1, 8);
export const rdx: Register = register(2, 8);
export const rbx: Register = register(3, 8);
export const rsp: Register = register(4, 8);
export const rbp: Register = register(5, 8);
export const rsi: Register = register(6, 8);
export const rdi: Register = register(7, 8);
export const r8: Register = register(8, 8);
export const r9: Register = register(9, 8);
export const r10: Register = register(10, 8);
export const r11: Register = register(11, 8);
export const r12: Register = register(12, 8);
export const r13: Register = register(13, 8);
export const r14: Register = register(14, 8);
export const r15: Register = register(15, 8);

// Their low halves: a write to one clears the upper half of the whole register.
export const eax: Register = register(0, 4);
export const ecx: Register = register(1, 4);
export const edx: Register = register(2, 4);
export const ebx: Register = register(3, 4);
export const esp: Register = register(4, 4);
export const ebp: Register = register(5, 4);
export const esi: Register = register(6, 4);
export const edi: Register = register(7, 4);
export const r8d: Register = register(8, 4);
export const r9d: Register = register(9, 4);
export const r10d: Register = register(10, 4);
export const r11d: Register = register(11, 4);
export const r12d: Register = register(12, 4);
export const r13d: Register = register(13, 4);
export const r14d: Register = register(14, 4);
export const r15d: Register = register(15, 4);

/** The low 32 bits; writing them clears the upper half of the register. */
export function low32(register64: Register): Register {
  return register(register64.code, 4);
}

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

/** Finished code: the bytes, and where every label came to lie. */
export interface Assembly {
  readonly bytes: Uint8Array;
  /**
   * Offset of a label from the start of the code.
   *
   * @throws Error when the label was never bound
   */
  offsetOf(label: Label): number;
}

type Operand = Register | Memory;

/** A place between the known bytes: how many of them are before it, and how many gaps. */
interface Place {
  at: number;
  gapCount: number;
}

/** A label as its assembler knows it; `at` is -1 until it is bound. */
interface PlacedLabel extends Label, Place {}

/** What stands between the known bytes and has no size of its own: a jump, or a padding. */
interface Gap {
  /** Known bytes before it. */
  readonly at: number;
  /** Where a jump leads; absent for a padding. */
  readonly label: PlacedLabel | undefined;
  readonly condition: Condition | undefined;
  /** What a padding fills up to a multiple of, and with what. */
  readonly alignment: number;
  readonly fill: number;
  sizeBytes: number;
}

/**
 * 32 bits among the known bytes that are the distance to a label from the end of the instruction, `tail` bytes behind
 * them.
 */
interface Reference extends Place {
  readonly label: PlacedLabel;
  readonly tail: number;
}

const SHORT_JUMP_SIZE_BYTES = 2;

const int8 = (value: number): boolean => value >= -0x80 && value <= 0x7f;
const int32 = (value: number): boolean => value >= -0x8000_0000 && value <= 0x7fff_ffff;

export class Assembler {
  readonly #gaps: Gap[] = [];
  readonly #references: Reference[] = [];
  /** The known bytes; the first `#sizeBytes` of them are in use. */
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  #sizeBytes = 0;

  /** A new label, not yet bound to a place. */
  label(name: string): Label {
    const label: PlacedLabel = { kind: 'label', name, at: -1, gapCount: 0 };
    return label;
  }

  /** Several new labels at once. */
  labels<const Names extends readonly string[]>(...names: Names): { [Index in keyof Names]: Label } {
    return names.map((name) => this.label(name)) as { [Index in keyof Names]: Label };
  }

  /**
   * Binds a label to this place and returns it.
   *
   * @throws Error when it is bound already
   */
  bind(label: Label): Label {
    const placed = label as PlacedLabel;
    if (placed.at >= 0) throw new Error(`label ${label.name} is bound twice`);
    placed.at = this.#sizeBytes;
    placed.gapCount = this.#gaps.length;
    return label;
  }

  /** Bytes as they are: data, or an instruction that was copied from elsewhere. */
  data(bytes: ArrayLike<number>): void {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Makes room for more bytes and returns where. */
  #grow(sizeBytes: number): number {
    const at = this.#sizeBytes;
    this.#sizeBytes += sizeBytes;
    if (this.#sizeBytes > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#sizeBytes));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }

  #byte(value: number): void {
    const at = this.#grow(1);
    this.#bytes[at] = value;
  }

  /** The low bits of a number: a value of 1 or 4 bytes. */
  #immediate(value: number, sizeBytes: 1 | 4): void {
    const at = this.#grow(sizeBytes);
    if (sizeBytes === 1) this.#view.setInt8(at, value);
    else this.#view.setInt32(at, value, true);
  }

  #immediate64(value: bigint): void {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, value, true);
  }

  /** 32 bits that the processor extends with their sign where 64 are needed. */
  #signed32(value: number): void {
    if (!int32(value)) throw new Error(`${value} does not fit in 32 bits`);
    this.#immediate(value, 4);
  }

  /** Pads to a multiple of `sizeBytes` with `int3`, so that running into it stops at once. */
  align(sizeBytes: number, fill = 0xcc): void {
    this.#gaps.push({
      at: this.#sizeBytes,
      label: undefined,
      condition: undefined,
      alignment: sizeBytes,
      fill,
      sizeBytes: 0,
    });
  }

  mov(target: Operand, source: Operand | number | bigint): void {
    if (typeof source === 'object') return this.#move(target, source);
    if (target.kind === 'memory') throw new Error('mov to memory needs a size: use movImmediate32 or movImmediate64');
    if (source >= 0 && source <= 0xffff_ffff) {
      // mov r32, imm32 clears the upper half.
      this.#plusRegister(0xb8, target.code, false);
      this.#immediate(Number(source), 4);
    } else if (target.sizeBytes === 8 && source >= -0x8000_0000 && source < 0) {
      this.#encode(0xc7, 0, target, true);
      this.#immediate(Number(source), 4);
    } else {
      this.#plusRegister(0xb8, target.code, target.sizeBytes === 8);
      if (target.sizeBytes === 8) this.#immediate64(BigInt(source));
      else this.#immediate(Number(BigInt.asIntN(32, BigInt(source))), 4);
    }
  }

  /** `mov dword ptr [memory], value`. */
  movImmediate32(target: Memory, value: number): void {
    this.#encode(0xc7, 0, target, false, 4);
    this.#immediate(value, 4);
  }

  /** `mov qword ptr [memory], value`, the 32-bit value sign-extended. */
  movImmediate64(target: Memory, value: number): void {
    this.#encode(0xc7, 0, target, true, 4);
    this.#signed32(value);
  }

  #move(target: Operand, source: Operand): void {
    if (source.kind === 'register') this.#registerForm(0x89, source, target);
    else if (target.kind === 'register') this.#registerForm(0x8b, target, source);
    else throw new Error('mov between two memory operands does not exist');
  }

  /** `movzx r32, word ptr [memory]`. */
  movzx16(target: Register, source: Memory): void {
    this.#encode(0x0fb7, target.code, source, false);
  }

  /** `movzx r32, byte ptr [memory]`. */
  movzx8(target: Register, source: Memory): void {
    this.#encode(0x0fb6, target.code, source, false);
  }

  /** `movsxd r64, r/m32`. */
  movsxd(target: Register, source: Operand): void {
    this.#encode(0x63, target.code, source, true);
  }

  lea(target: Register, source: Memory): void {
    this.#registerForm(0x8d, target, source);
  }

  add(target: Operand, source: Operand | number): void {
    this.#arithmetic(0, target, source);
  }

  or(target: Operand, source: Operand | number): void {
    this.#arithmetic(1, target, source);
  }

  and(target: Operand, source: Operand | number): void {
    this.#arithmetic(4, target, source);
  }

  sub(target: Operand, source: Operand | number): void {
    this.#arithmetic(5, target, source);
  }

  xor(target: Operand, source: Operand | number): void {
    this.#arithmetic(6, target, source);
  }

  cmp(target: Operand, source: Operand | number): void {
    this.#arithmetic(7, target, source);
  }

  /** `cmp dword ptr [memory], value`. */
  cmpImmediate32(target: Memory, value: number): void {
    const size = int8(value) ? 1 : 4;
    this.#encode(size === 1 ? 0x83 : 0x81, 7, target, false, size);
    this.#immediate(value, size);
  }

  #arithmetic(operation: number, target: Operand, source: Operand | number): void {
    if (typeof source === 'number') {
      const wide = target.kind === 'memory' || target.sizeBytes === 8;
      const size = int8(source) ? 1 : 4;
      this.#encode(size === 1 ? 0x83 : 0x81, operation, target, wide, size);
      if (size === 1) this.#immediate(source, 1);
      else this.#signed32(source);
    } else if (source.kind === 'register') {
      this.#registerForm(operation * 8 + 1, source, target);
    } else if (target.kind === 'register') {
      this.#registerForm(operation * 8 + 3, target, source);
    } else {
      throw new Error('arithmetic between two memory operands does not exist');
    }
  }

  test(target: Register, source: Register | number): void {
    if (typeof source === 'number') {
      this.#encode(0xf7, 0, target, target.sizeBytes === 8);
      this.#signed32(source);
    } else {
      this.#registerForm(0x85, source, target);
    }
  }

  imul(target: Register, source: Operand): void {
    this.#encode(0x0faf, target.code, source, target.sizeBytes === 8);
  }

  shl(target: Register, count: number): void {
    this.#shift(4, target, count);
  }

  shr(target: Register, count: number): void {
    this.#shift(5, target, count);
  }

  sar(target: Register, count: number): void {
    this.#shift(7, target, count);
  }

  #shift(extension: number, target: Register, count: number): void {
    this.#encode(0xc1, extension, target, target.sizeBytes === 8);
    this.#byte(count);
  }

  push(source: Register): void {
    this.#plusRegister(0x50, source.code, false);
  }

  pop(target: Register): void {
    this.#plusRegister(0x58, target.code, false);
  }

  /** `lock cmpxchg [target], source`: compares with rax (eax), sets the zero flag on success. */
  lockCmpxchg(target: Memory, source: Register): void {
    this.#byte(LOCK);
    this.#encode(0x0fb1, source.code, target, source.sizeBytes === 8);
  }

  /** `lock xadd [target], source`: source receives the old value. */
  lockXadd(target: Memory, source: Register): void {
    this.#byte(LOCK);
    this.#encode(0x0fc1, source.code, target, source.sizeBytes === 8);
  }

  /** `lock inc dword ptr [target]`. */
  lockInc32(target: Memory): void {
    this.#byte(LOCK);
    this.#encode(0xff, 0, target, false);
  }

  /** `lock dec dword ptr [target]`. */
  lockDec32(target: Memory): void {
    this.#byte(LOCK);
    this.#encode(0xff, 1, target, false);
  }

  call(target: Label | Operand): void {
    if (target.kind === 'label') {
      this.#byte(0xe8);
      this.#reference(target, 0);
    } else {
      this.#encode(0xff, 2, target, false);
    }
  }

  jmp(target: Label | Operand): void {
    if (target.kind === 'label') this.#jump(undefined, target);
    else this.#encode(0xff, 4, target, false);
  }

  j(condition: Condition, target: Label): void {
    this.#jump(condition, target);
  }

  ret(): void {
    this.#byte(0xc3);
  }

  pause(): void {
    this.#byte(0xf3);
    this.#byte(0x90);
  }

  #jump(condition: Condition | undefined, label: Label): void {
    this.#gaps.push({
      at: this.#sizeBytes,
      label: label as PlacedLabel,
      condition,
      alignment: 0,
      fill: 0,
      sizeBytes: SHORT_JUMP_SIZE_BYTES,
    });
  }

  /** 32 bits for the distance to a label from `tail` bytes behind them. */
  #reference(label: Label, tail: number): void {
    this.#references.push({ at: this.#grow(4), gapCount: this.#gaps.length, label: label as PlacedLabel, tail });
  }

  /** An instruction that has its register in the opcode. */
  #plusRegister(opcode: number, code: number, wide: boolean): void {
    const rex = (wide ? 8 : 0) | (code >= 8 ? 1 : 0);
    if (rex !== 0) this.#byte(0x40 | rex);
    this.#byte(opcode + (code & 7));
  }

  /** An instruction `opcode r/m, r` (or `r, r/m`): the register's size is the instruction's. */
  #registerForm(opcode: number, register: Register, operand: Operand): void {
    this.#encode(opcode, register.code, operand, register.sizeBytes === 8);
  }

  /**
   * An instruction up to its immediate, which follows.
   *
   * @param opcode one byte, or two with 0x0f as the first
   * @param reg number of a register, or what extends the opcode
   */
  #encode(opcode: number, reg: number, operand: Operand, wide: boolean, immediateSizeBytes = 0): void {
    const base = operand.kind === 'register' ? operand : operand.base;
    const index = operand.kind === 'memory' ? operand.index : undefined;
    const rex =
      (wide ? 8 : 0) |
      (reg >= 8 ? 4 : 0) |
      (index !== undefined && index.code >= 8 ? 2 : 0) |
      (base !== undefined && base.code >= 8 ? 1 : 0);
    if (operand.kind === 'memory' && operand.gs) this.#byte(0x65);
    if (rex !== 0) this.#byte(0x40 | rex);
    if (opcode > 0xff) this.#byte(opcode >> 8);
    this.#byte(opcode & 0xff);
    if (operand.kind === 'register') this.#byte(0xc0 | ((reg & 7) << 3) | (operand.code & 7));
    else this.#address((reg & 7) << 3, operand, immediateSizeBytes);
  }

  /** ModRM, SIB and displacement of a memory operand. */
  #address(reg: number, { base, index, scale, displacement, label }: Memory, immediateSizeBytes: number): void {
    if (label) {
      this.#byte(reg | 5);
      this.#reference(label, immediateSizeBytes);
      return;
    }
    if (base === undefined) {
      // Without a base, mod 00 rm 101 is rip-relative: SIB without base and index is the absolute form.
      this.#byte(reg | 4);
      this.#byte(0x25);
      this.#signed32(displacement);
      return;
    }
    // rbp and r13 as base have no form without displacement; rsp and r12 need a SIB byte.
    const low = base.code & 7;
    const mod = displacement === 0 && low !== 5 ? 0 : int8(displacement) ? 0x40 : 0x80;
    if (index === undefined && low !== 4) {
      this.#byte(mod | reg | low);
    } else {
      this.#byte(mod | reg | 4);
      this.#byte((scaleBits[scale ?? 1] << 6) | ((index === undefined ? 4 : index.code & 7) << 3) | low);
    }
    if (mod === 0x40) this.#byte(displacement);
    else if (mod === 0x80) this.#signed32(displacement);
  }

  /**
   * Lays the code out with the shortest jumps that reach, and resolves every label. Once only.
   *
   * @throws Error when a label is used but not bound
   */
  assemble(): Assembly {
    const gaps = this.#gaps;
    /** By how much the gaps before each gap, and before the end, move what follows. */
    const moved = new Uint32Array(gaps.length + 1);
    const offsetOf = (label: PlacedLabel): number => {
      if (label.at < 0) throw new Error(`label ${label.name} is not bound`);
      return label.at + moved[label.gapCount]!;
    };
    this.#place(moved);
    // A jump that grew can push another out of reach, never back into it: this ends.
    for (let hasGrown = true; hasGrown; ) {
      hasGrown = false;
      for (let index = 0; index < gaps.length; index++) {
        const gap = gaps[index]!;
        if (gap.label === undefined || gap.sizeBytes !== SHORT_JUMP_SIZE_BYTES) continue;
        if (int8(offsetOf(gap.label) - (gap.at + moved[index]! + SHORT_JUMP_SIZE_BYTES))) continue;
        gap.sizeBytes = gap.condition === undefined ? 5 : 6;
        hasGrown = true;
      }
      if (hasGrown) this.#place(moved);
    }
    return { bytes: this.#emit(moved, offsetOf), offsetOf: (label) => offsetOf(label as PlacedLabel) };
  }

  /** Adds the gaps' sizes up, as the jumps are now; a padding's size follows from it. */
  #place(moved: Uint32Array): void {
    let sum = 0;
    for (let index = 0; index < this.#gaps.length; index++) {
      moved[index] = sum;
      const gap = this.#gaps[index]!;
      if (gap.label === undefined)
        gap.sizeBytes = Math.ceil((gap.at + sum) / gap.alignment) * gap.alignment - (gap.at + sum);
      sum += gap.sizeBytes;
    }
    moved[this.#gaps.length] = sum;
  }

  #emit(moved: Uint32Array, offsetOf: (label: PlacedLabel) => number): Uint8Array {
    const gaps = this.#gaps;
    const bytes = new Uint8Array(this.#sizeBytes + moved[gaps.length]!);
    const view = new DataView(bytes.buffer);
    let copied = 0;
    for (let index = 0; index < gaps.length; index++) {
      const gap = gaps[index]!;
      if (gap.at > copied) bytes.set(this.#bytes.subarray(copied, gap.at), copied + moved[index]!);
      copied = gap.at;
      const place = gap.at + moved[index]!;
      if (gap.label === undefined) bytes.fill(gap.fill, place, place + gap.sizeBytes);
      else emitJump(view, place, gap, offsetOf(gap.label) - (place + gap.sizeBytes));
    }
    bytes.set(this.#bytes.subarray(copied, this.#sizeBytes), copied + moved[gaps.length]!);
    for (const { at: known, gapCount, label, tail } of this.#references) {
      const place = known + moved[gapCount]!;
      view.setInt32(place, offsetOf(label) - (place + 4 + tail), true);
    }
    return bytes;
  }
}

const LOCK = 0xf0;
const scaleBits = { 1: 0, 2: 1, 4: 2, 8: 3 } as const;

function emitJump(view: DataView, place: number, { sizeBytes, condition }: Gap, distance: number): void {
  if (sizeBytes === SHORT_JUMP_SIZE_BYTES) {
    view.setUint8(place, condition === undefined ? 0xeb : 0x70 + conditionCodes[condition]);
    view.setInt8(place + 1, distance);
  } else if (condition === undefined) {
    view.setUint8(place, 0xe9);
    view.setInt32(place + 1, distance, true);
  } else {
    view.setUint8(place, 0x0f);
    view.setUint8(place + 1, 0x80 + conditionCodes[condition]);
    view.setInt32(place + 2, distance, true);
  }
}
