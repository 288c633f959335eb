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
  /** `[rip + displacement]`: memory behind the instruction. */
  readonly behind?: true;
}

/** A place in the code; made by {@link Assembler.label}, put by {@link Assembler.bind}. */
export interface Label {
  readonly kind: 'label';
  readonly name: string;
}

export type Condition = keyof typeof conditionCodes;

const conditionCodes = {
  b: 2, ae: 3, e: 4, ne: 5, be: 6, a: 7, s: 8, ns: 9, l: 12, ge: 13, le: 14, g: 15,
} as const; // prettier-ignore

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

type Item =
  | { readonly kind: 'bytes'; readonly bytes: number[]; readonly target?: Label; readonly targetAt?: number }
  | { readonly kind: 'jump'; readonly condition?: Condition; readonly target: Label; long: boolean }
  | { readonly kind: 'label'; readonly label: Label }
  | { readonly kind: 'align'; readonly sizeBytes: number; readonly fill: number };

type Operand = Register | Memory;

const int8 = (value: number): boolean => value >= -0x80 && value <= 0x7f;
const int32 = (value: number): boolean => value >= -0x8000_0000 && value <= 0x7fff_ffff;

function littleEndian(value: number | bigint, sizeBytes: number): number[] {
  if (typeof value === 'number' && sizeBytes <= 4) {
    return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24].slice(0, sizeBytes);
  }
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return [...bytes.subarray(0, sizeBytes)];
}

/** 32 bits that the processor extends with their sign where 64 are needed. */
function signed32(value: number): number[] {
  if (!int32(value)) throw new Error(`${value} does not fit in 32 bits`);
  return littleEndian(value, 4);
}

export class Assembler {
  readonly #items: Item[] = [];

  /** A new label, not yet bound to a place. */
  label(name: string): Label {
    return { kind: 'label', name };
  }

  /** Several new labels at once. */
  labels<const Names extends readonly string[]>(...names: Names): { [Index in keyof Names]: Label } {
    return names.map((name) => this.label(name)) as { [Index in keyof Names]: Label };
  }

  /** Binds a label to this place and returns it. */
  bind(label: Label): Label {
    this.#items.push({ kind: 'label', label });
    return label;
  }

  /** Bytes as they are: data, or an instruction that was copied from elsewhere. */
  data(bytes: Iterable<number>): void {
    const last = this.#items.at(-1);
    // Most instructions name no label: they make one item with those before them.
    if (last?.kind === 'bytes' && last.target === undefined) last.bytes.push(...bytes);
    else this.#items.push({ kind: 'bytes', bytes: [...bytes] });
  }

  /** 64 bits of data, little-endian. */
  data64(value: bigint): void {
    this.data(littleEndian(value, 8));
  }

  /** Pads to a multiple of `sizeBytes` with `int3`, so that running into it stops at once. */
  align(sizeBytes: number, fill = 0xcc): void {
    this.#items.push({ kind: 'align', sizeBytes, fill });
  }

  mov(target: Operand, source: Operand | number | bigint): void {
    if (typeof source === 'object') return this.#move(target, source);
    if (target.kind === 'memory') throw new Error('mov to memory needs a size: use movImmediate32 or movImmediate64');
    const value = BigInt(source);
    if (value >= 0n && value <= 0xffff_ffffn) {
      // mov r32, imm32 clears the upper half.
      this.#plusRegister(0xb8, low32(target), littleEndian(value, 4));
    } else if (target.sizeBytes === 8 && value >= -0x8000_0000n && value < 0n) {
      this.#encode({ opcode: [0xc7], extension: 0, operand: target, wide: true, immediate: littleEndian(value, 4) });
    } else {
      this.#plusRegister(0xb8, target, littleEndian(value, target.sizeBytes));
    }
  }

  /** `mov dword ptr [memory], value`. */
  movImmediate32(target: Memory, value: number): void {
    this.#encode({ opcode: [0xc7], extension: 0, operand: target, wide: false, immediate: littleEndian(value, 4) });
  }

  /** `mov qword ptr [memory], value`, the 32-bit value sign-extended. */
  movImmediate64(target: Memory, value: number): void {
    this.#encode({ opcode: [0xc7], extension: 0, operand: target, wide: true, immediate: signed32(value) });
  }

  #move(target: Operand, source: Operand): void {
    if (source.kind === 'register') this.#registerForm(0x89, source, target);
    else if (target.kind === 'register') this.#registerForm(0x8b, target, source);
    else throw new Error('mov between two memory operands does not exist');
  }

  /** `movzx r32, word ptr [memory]`. */
  movzx16(target: Register, source: Memory): void {
    this.#encode({ opcode: [0x0f, 0xb7], register: target, operand: source, wide: false });
  }

  /** `movzx r32, byte ptr [memory]`. */
  movzx8(target: Register, source: Memory): void {
    this.#encode({ opcode: [0x0f, 0xb6], register: target, operand: source, wide: false });
  }

  /** `movsxd r64, r/m32`. */
  movsxd(target: Register, source: Operand): void {
    this.#encode({ opcode: [0x63], register: target, operand: source, wide: true });
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
    const short = int8(value);
    const immediate = littleEndian(value, short ? 1 : 4);
    this.#encode({ opcode: [short ? 0x83 : 0x81], extension: 7, operand: target, wide: false, immediate });
  }

  #arithmetic(operation: number, target: Operand, source: Operand | number): void {
    if (typeof source === 'number') {
      const wide = target.kind === 'memory' || target.sizeBytes === 8;
      const short = int8(source);
      const immediate = short ? littleEndian(source, 1) : signed32(source);
      this.#encode({ opcode: [short ? 0x83 : 0x81], extension: operation, operand: target, wide, immediate });
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
      const wide = target.sizeBytes === 8;
      this.#encode({ opcode: [0xf7], extension: 0, operand: target, wide, immediate: signed32(source) });
    } else {
      this.#registerForm(0x85, source, target);
    }
  }

  imul(target: Register, source: Operand): void {
    this.#encode({ opcode: [0x0f, 0xaf], register: target, operand: source, wide: target.sizeBytes === 8 });
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
    this.#encode({ opcode: [0xc1], extension, operand: target, wide: target.sizeBytes === 8, immediate: [count] });
  }

  push(source: Register): void {
    this.data([...(source.code >= 8 ? [0x41] : []), 0x50 + (source.code & 7)]);
  }

  pop(target: Register): void {
    this.data([...(target.code >= 8 ? [0x41] : []), 0x58 + (target.code & 7)]);
  }

  /** `lock cmpxchg [target], source`: compares with rax (eax), sets the zero flag on success. */
  lockCmpxchg(target: Memory, source: Register): void {
    this.#encode({ prefix: 0xf0, opcode: [0x0f, 0xb1], register: source, operand: target, wide: source.sizeBytes === 8 });
  }

  /** `lock xadd [target], source`: source receives the old value. */
  lockXadd(target: Memory, source: Register): void {
    this.#encode({ prefix: 0xf0, opcode: [0x0f, 0xc1], register: source, operand: target, wide: source.sizeBytes === 8 });
  }

  /** `lock inc dword ptr [target]`. */
  lockInc32(target: Memory): void {
    this.#encode({ prefix: 0xf0, opcode: [0xff], extension: 0, operand: target, wide: false });
  }

  /** `lock dec dword ptr [target]`. */
  lockDec32(target: Memory): void {
    this.#encode({ prefix: 0xf0, opcode: [0xff], extension: 1, operand: target, wide: false });
  }

  call(target: Label | Operand): void {
    if (target.kind === 'label') {
      this.#items.push({ kind: 'bytes', bytes: [0xe8, 0, 0, 0, 0], target, targetAt: 1 });
    } else {
      this.#encode({ opcode: [0xff], extension: 2, operand: target, wide: false });
    }
  }

  jmp(target: Label | Operand): void {
    if (target.kind === 'label') this.#items.push({ kind: 'jump', target, long: false });
    else this.#encode({ opcode: [0xff], extension: 4, operand: target, wide: false });
  }

  j(condition: Condition, target: Label): void {
    this.#items.push({ kind: 'jump', condition, target, long: false });
  }

  ret(): void {
    this.data([0xc3]);
  }

  pause(): void {
    this.data([0xf3, 0x90]);
  }

  #plusRegister(opcode: number, target: Register, immediate: number[]): void {
    const rex = (target.sizeBytes === 8 ? 0x48 : 0x40) | (target.code >= 8 ? 1 : 0);
    this.data([...(rex === 0x40 ? [] : [rex]), opcode + (target.code & 7), ...immediate]);
  }

  /** An instruction `opcode r/m, r` (or `r, r/m`): the register's size is the instruction's. */
  #registerForm(opcode: number, register: Register, operand: Operand): void {
    this.#encode({ opcode: [opcode], register, operand, wide: register.sizeBytes === 8 });
  }

  #encode(instruction: {
    prefix?: number;
    opcode: readonly number[];
    register?: Register;
    extension?: number;
    operand: Operand;
    wide: boolean;
    immediate?: readonly number[];
  }): void {
    const { operand, immediate = [] } = instruction;
    const reg = instruction.register?.code ?? instruction.extension ?? 0;
    const base = operand.kind === 'register' ? operand : operand.base;
    const index = operand.kind === 'memory' ? operand.index : undefined;
    const rex =
      (instruction.wide ? 8 : 0) |
      (instruction.register !== undefined && reg >= 8 ? 4 : 0) |
      ((index?.code ?? 0) >= 8 ? 2 : 0) |
      ((base?.code ?? 0) >= 8 ? 1 : 0);
    const head = [
      ...(instruction.prefix === undefined ? [] : [instruction.prefix]),
      ...(operand.kind === 'memory' && operand.gs ? [0x65] : []),
      ...(rex === 0 ? [] : [0x40 | rex]),
      ...instruction.opcode,
    ];
    const address = encodeAddress(reg & 7, operand);
    const bytes = [...head, ...address, ...immediate];
    if (operand.kind === 'memory' && operand.label) {
      this.#items.push({ kind: 'bytes', bytes, target: operand.label, targetAt: head.length + 1 });
    } else {
      this.data(bytes);
    }
  }

  /**
   * Lays the code out with the shortest jumps that reach, and resolves every label.
   *
   * @throws Error when a label is used but not bound, or bound twice
   */
  assemble(): Assembly {
    const jumps = this.#items.filter((item) => item.kind === 'jump');
    for (const jump of jumps) jump.long = false;
    let places = this.#place();
    // A jump that grew can push another out of reach, never back into it: this ends.
    for (let grown = true; grown; ) {
      grown = false;
      for (const jump of jumps) {
        const distance = offset(places.labels, jump.target) - ((places.items.get(jump) ?? 0) + 2);
        if (!jump.long && !int8(distance)) grown = jump.long = true;
      }
      if (grown) places = this.#place();
    }
    const bytes = new Uint8Array(places.sizeBytes);
    for (const item of this.#items) bytes.set(emit(item, places), places.items.get(item));
    return { bytes, offsetOf: (label) => offset(places.labels, label) };
  }

  #place(): Places {
    const labels = new Map<Label, number>();
    const items = new Map<Item, number>();
    let here = 0;
    for (const item of this.#items) {
      items.set(item, here);
      if (item.kind === 'label') {
        if (labels.has(item.label)) throw new Error(`label ${item.label.name} is bound twice`);
        labels.set(item.label, here);
      } else if (item.kind === 'align') {
        here = Math.ceil(here / item.sizeBytes) * item.sizeBytes;
      } else {
        here += item.kind === 'jump' ? jumpSize(item) : item.bytes.length;
      }
    }
    return { labels, items, sizeBytes: here };
  }
}

interface Places {
  readonly labels: ReadonlyMap<Label, number>;
  readonly items: ReadonlyMap<Item, number>;
  readonly sizeBytes: number;
}

function offset(labels: ReadonlyMap<Label, number>, label: Label): number {
  const found = labels.get(label);
  if (found === undefined) throw new Error(`label ${label.name} is not bound`);
  return found;
}

function jumpSize(jump: Extract<Item, { kind: 'jump' }>): number {
  if (!jump.long) return 2;
  return jump.condition === undefined ? 5 : 6;
}

function emit(item: Item, places: Places): readonly number[] {
  const here = places.items.get(item) ?? 0;
  switch (item.kind) {
    case 'label':
      return [];
    case 'align':
      return Array.from({ length: Math.ceil(here / item.sizeBytes) * item.sizeBytes - here }, () => item.fill);
    case 'bytes': {
      if (item.target === undefined || item.targetAt === undefined) return item.bytes;
      const bytes = [...item.bytes];
      const distance = offset(places.labels, item.target) - (here + bytes.length);
      bytes.splice(item.targetAt, 4, ...littleEndian(distance, 4));
      return bytes;
    }
    case 'jump': {
      const distance = offset(places.labels, item.target) - (here + jumpSize(item));
      const code = item.condition === undefined ? undefined : conditionCodes[item.condition];
      if (!item.long) return [code === undefined ? 0xeb : 0x70 + code, ...littleEndian(distance, 1)];
      return [...(code === undefined ? [0xe9] : [0x0f, 0x80 + code]), ...littleEndian(distance, 4)];
    }
  }
}

/** ModRM, SIB and displacement. */
function encodeAddress(reg: number, operand: Operand): number[] {
  if (operand.kind === 'register') return [0xc0 | (reg << 3) | (operand.code & 7)];
  const { base, index, displacement } = operand;
  if (operand.label || operand.behind) return [(reg << 3) | 5, ...signed32(displacement)];
  // Without a base, mod 00 rm 101 would be rip-relative: SIB without base and index is the absolute form.
  if (base === undefined) return [(reg << 3) | 4, 0x25, ...signed32(displacement)];
  // rbp and r13 as base have no form without displacement; rsp and r12 need a SIB byte.
  const mod = displacement === 0 && (base.code & 7) !== 5 ? 0 : int8(displacement) ? 1 : 2;
  const tail = mod === 0 ? [] : mod === 1 ? littleEndian(displacement, 1) : signed32(displacement);
  if (index === undefined && (base.code & 7) !== 4) return [(mod << 6) | (reg << 3) | (base.code & 7), ...tail];
  const scaleBits = Math.log2(operand.scale ?? 1);
  const sib = (scaleBits << 6) | ((index === undefined ? 4 : index.code & 7) << 3) | (base.code & 7);
  return [(mod << 6) | (reg << 3) | 4, sib, ...tail];
}
