import { type Assembly, CodeBuffer, type Condition, fitsInt8 } from './code-buffer.ts';
import { encode, encodeInOpcode, encodeRegisterForm } from './encoding.ts';
import type { Label, Memory, Operand } from './operands.ts';
import type { Register } from './registers.ts';

const LOCK = 0xf0;

/**
 * An x86-64 assembler that is just large enough for the agent: the instructions it needs, labels, and the shortest jump
 * that reaches. All code that goes into a target is written with it, so every injected byte has readable source.
 * Encodings: Intel SDM volume 2.
 */
export class Assembler {
  readonly #code = new CodeBuffer();

  /** A new label that is not bound yet. */
  label(name: string): Label {
    return this.#code.label(name);
  }

  /** Several new labels at once. */
  labels<const Names extends readonly string[]>(...names: Names): { [Index in keyof Names]: Label } {
    return names.map((name) => this.label(name)) as { [Index in keyof Names]: Label };
  }

  /**
   * Binds a label to this position and returns it.
   *
   * @throws Error when it is bound already
   */
  bind(label: Label): Label {
    return this.#code.bind(label);
  }

  /** Bytes as they are: data, or an instruction that was copied from elsewhere. */
  data(bytes: ArrayLike<number>): void {
    this.#code.data(bytes);
  }

  /** Pads to a multiple of `sizeBytes`: with `int3`, so that a thread that runs into the padding stops at once. */
  align(sizeBytes: number, fill = 0xcc): void {
    this.#code.pad(sizeBytes, fill);
  }

  /**
   * Lays the code out with the shortest jumps that reach, and resolves every label. Call it once.
   *
   * @throws Error when a label is used but not bound
   */
  assemble(): Assembly {
    return this.#code.assemble();
  }

  mov(target: Operand, source: Operand | number | bigint): void {
    if (typeof source === 'object') return this.#move(target, source);
    if (target.kind === 'memory') throw new Error('mov to memory needs a size: use movImmediate32 or movImmediate64');
    if (source >= 0 && source <= 0xffff_ffff) {
      // mov r32, imm32 clears the upper half.
      encodeInOpcode(this.#code, 0xb8, target.code, false);
      this.#code.immediate(Number(source), 4);
    } else if (target.sizeBytes === 8 && source >= -0x8000_0000 && source < 0) {
      encode(this.#code, 0xc7, 0, target, true);
      this.#code.immediate(Number(source), 4);
    } else {
      encodeInOpcode(this.#code, 0xb8, target.code, target.sizeBytes === 8);
      if (target.sizeBytes === 8) this.#code.immediate64(BigInt(source));
      else this.#code.immediate(Number(BigInt.asIntN(32, BigInt(source))), 4);
    }
  }

  /** `mov dword ptr [memory], value`. */
  movImmediate32(target: Memory, value: number): void {
    encode(this.#code, 0xc7, 0, target, false, 4);
    this.#code.immediate(value, 4);
  }

  /** `mov qword ptr [memory], value`, the 32-bit value sign-extended. */
  movImmediate64(target: Memory, value: number): void {
    encode(this.#code, 0xc7, 0, target, true, 4);
    this.#code.signed32(value);
  }

  #move(target: Operand, source: Operand): void {
    if (source.kind === 'register') encodeRegisterForm(this.#code, 0x89, source, target);
    else if (target.kind === 'register') encodeRegisterForm(this.#code, 0x8b, target, source);
    else throw new Error('mov between two memory operands does not exist');
  }

  /** `movzx r32, word ptr [memory]`. */
  movzx16(target: Register, source: Memory): void {
    encode(this.#code, 0x0fb7, target.code, source, false);
  }

  /** `movzx r32, byte ptr [memory]`. */
  movzx8(target: Register, source: Memory): void {
    encode(this.#code, 0x0fb6, target.code, source, false);
  }

  /** `movsxd r64, r/m32`. */
  movsxd(target: Register, source: Operand): void {
    encode(this.#code, 0x63, target.code, source, true);
  }

  lea(target: Register, source: Memory): void {
    encodeRegisterForm(this.#code, 0x8d, target, source);
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
    const size = fitsInt8(value) ? 1 : 4;
    encode(this.#code, size === 1 ? 0x83 : 0x81, 7, target, false, size);
    this.#code.immediate(value, size);
  }

  #arithmetic(operation: number, target: Operand, source: Operand | number): void {
    if (typeof source === 'number') {
      const wide = target.kind === 'memory' || target.sizeBytes === 8;
      const size = fitsInt8(source) ? 1 : 4;
      encode(this.#code, size === 1 ? 0x83 : 0x81, operation, target, wide, size);
      if (size === 1) this.#code.immediate(source, 1);
      else this.#code.signed32(source);
    } else if (source.kind === 'register') {
      encodeRegisterForm(this.#code, operation * 8 + 1, source, target);
    } else if (target.kind === 'register') {
      encodeRegisterForm(this.#code, operation * 8 + 3, target, source);
    } else {
      throw new Error('arithmetic between two memory operands does not exist');
    }
  }

  test(target: Register, source: Register | number): void {
    if (typeof source === 'number') {
      encode(this.#code, 0xf7, 0, target, target.sizeBytes === 8);
      this.#code.signed32(source);
    } else {
      encodeRegisterForm(this.#code, 0x85, source, target);
    }
  }

  imul(target: Register, source: Operand): void {
    encode(this.#code, 0x0faf, target.code, source, target.sizeBytes === 8);
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
    encode(this.#code, 0xc1, extension, target, target.sizeBytes === 8);
    this.#code.byte(count);
  }

  push(source: Register): void {
    encodeInOpcode(this.#code, 0x50, source.code, false);
  }

  pop(target: Register): void {
    encodeInOpcode(this.#code, 0x58, target.code, false);
  }

  /** `lock cmpxchg [target], source`: compares with rax (eax), sets the zero flag on success. */
  lockCmpxchg(target: Memory, source: Register): void {
    this.#code.byte(LOCK);
    encode(this.#code, 0x0fb1, source.code, target, source.sizeBytes === 8);
  }

  /** `lock xadd [target], source`: source receives the old value. */
  lockXadd(target: Memory, source: Register): void {
    this.#code.byte(LOCK);
    encode(this.#code, 0x0fc1, source.code, target, source.sizeBytes === 8);
  }

  /** `lock inc dword ptr [target]`. */
  lockInc32(target: Memory): void {
    this.#code.byte(LOCK);
    encode(this.#code, 0xff, 0, target, false);
  }

  /** `lock dec dword ptr [target]`. */
  lockDec32(target: Memory): void {
    this.#code.byte(LOCK);
    encode(this.#code, 0xff, 1, target, false);
  }

  call(target: Label | Operand): void {
    if (target.kind === 'label') {
      this.#code.byte(0xe8);
      this.#code.reference(target, 0);
    } else {
      encode(this.#code, 0xff, 2, target, false);
    }
  }

  jmp(target: Label | Operand): void {
    if (target.kind === 'label') this.#code.jump(undefined, target);
    else encode(this.#code, 0xff, 4, target, false);
  }

  j(condition: Condition, target: Label): void {
    this.#code.jump(condition, target);
  }

  ret(): void {
    this.#code.byte(0xc3);
  }

  pause(): void {
    this.#code.byte(0xf3);
    this.#code.byte(0x90);
  }
}
