/** An instruction that may be moved to another address, at most after a change of its distance. */
interface PlainInstruction {
  readonly kind: 'plain';
  readonly sizeBytes: number;
  /** Offset of the 32-bit distance from the instruction's end to its operand; absent where it has none. */
  readonly distanceAt?: number;
}

/** A jump that is always taken. */
interface JumpInstruction {
  readonly kind: 'jump';
  readonly sizeBytes: number;
  /** From the instruction's end. */
  readonly distance: number;
}

/** How an opcode goes on: with a ModRM byte, and with an immediate of so many bytes. */
interface Form {
  readonly hasAddress: boolean;
  /** `z` is 4, or 2 with an operand-size prefix; `v` is 8 with REX.W, and else as `z`. */
  readonly immediate: 0 | 1 | 'z' | 'v';
  /** Values of the ModRM byte's middle field that are such an instruction; absent for all. */
  readonly extensions?: readonly number[];
}

const address: Form = { hasAddress: true, immediate: 0 };
const addressAnd8: Form = { hasAddress: true, immediate: 1 };
const addressAndZ: Form = { hasAddress: true, immediate: 'z' };
const bare: Form = { hasAddress: false, immediate: 0 };
const only8: Form = { hasAddress: false, immediate: 1 };
const onlyZ: Form = { hasAddress: false, immediate: 'z' };

function among(form: Form, ...extensions: readonly number[]): Form {
  return { ...form, extensions };
}

/** Forms by opcode, the first of a range to its last. Calls, returns, conditions and rare instructions are absent. */
type Forms = readonly (readonly [first: number, last: number, form: Form])[];

/** Intel SDM volume 2, appendix A.3, table A-2. */
const oneByte: Forms = [
  // add, or, adc, sbb, and, sub, xor, cmp: r/m and r, then al and eax with an immediate
  ...[0x00, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38].flatMap(
    (first): Forms => [
      [first, first + 3, address],
      [first + 4, first + 4, only8],
      [first + 5, first + 5, onlyZ],
    ],
  ),
  [0x50, 0x5f, bare], // push r64, pop r64
  [0x63, 0x63, address], // movsxd
  [0x68, 0x68, onlyZ], // push imm32
  [0x69, 0x69, addressAndZ], // imul
  [0x6a, 0x6a, only8], // push imm8
  [0x6b, 0x6b, addressAnd8], // imul
  [0x80, 0x80, addressAnd8], // add ... cmp r/m8, imm8
  [0x81, 0x81, addressAndZ],
  [0x83, 0x83, addressAnd8],
  [0x84, 0x8b, address], // test, xchg, mov
  [0x8d, 0x8d, address], // lea
  [0x90, 0x90, bare], // nop
  [0x98, 0x99, bare], // cdqe, cqo
  [0xa8, 0xa8, only8], // test al, imm8
  [0xa9, 0xa9, onlyZ],
  [0xb0, 0xb7, only8], // mov r8, imm8
  [0xb8, 0xbf, { hasAddress: false, immediate: 'v' }], // mov r, imm
  [0xc0, 0xc1, addressAnd8], // shifts
  [0xc6, 0xc6, among(addressAnd8, 0)], // mov r/m8, imm8; c6 f8 is xabort
  [0xc7, 0xc7, among(addressAndZ, 0)], // mov r/m, imm32; c7 f8 is xbegin, relative to itself
  [0xd0, 0xd3, address], // shifts
  [0xf6, 0xf6, among(addressAnd8, 0, 1)], // test r/m8, imm8
  [0xf7, 0xf7, among(addressAndZ, 0, 1)], // test r/m, imm32
  [0xfe, 0xfe, among(address, 0, 1)], // inc, dec r/m8
  [0xff, 0xff, among(address, 0, 1, 6)], // inc, dec, push r/m
];

/** The same opcodes with other values in the middle of the ModRM byte. */
const oneByteElse: Forms = [
  [0xf6, 0xf7, among(address, 2, 3, 4, 5, 6, 7)], // not, neg, mul, imul, div, idiv
];

/** Behind 0f: table A-3. The forms are the same with each of the prefixes 66, f2 and f3. */
const twoBytes: Forms = [
  [0x0d, 0x0d, address], // prefetchw
  [0x10, 0x17, address], // moves of vectors
  [0x18, 0x1f, address], // prefetch, nop, endbr64
  [0x28, 0x2f, address], // moves, conversions and comparisons of vectors
  [0x40, 0x4f, address], // cmov
  [0x50, 0x6f, address], // arithmetic of vectors, movd
  [0x70, 0x70, addressAnd8], // pshufd
  [0x74, 0x76, address], // pcmpeq
  [0x7e, 0x7f, address], // movd, movdqa
  [0x90, 0x9f, address], // setcc
  [0xa3, 0xa3, address], // bt
  [0xaf, 0xaf, address], // imul
  [0xb6, 0xb7, address], // movzx
  [0xba, 0xba, among(addressAnd8, 4, 5, 6, 7)], // bt, bts, btr, btc
  [0xbc, 0xbf, address], // bsf, bsr, movsx
  [0xc6, 0xc6, addressAnd8], // shufps
  [0xc8, 0xcf, bare], // bswap
  [0xd4, 0xd4, address], // paddq
  [0xd6, 0xd6, address], // movq
  [0xef, 0xef, address], // pxor
];

/**
 * Decodes the instruction at the beginning of x64 code, if it is one that compilers begin functions with; `undefined`
 * for any other, for a part of one, and for those that go elsewhere on a condition, or call or return.
 */
export function decodeInstruction(code: Uint8Array): PlainInstruction | JumpInstruction | undefined {
  let at = 0;
  let isNarrow = false;
  for (; at < PREFIXES_MAX; at++) {
    const prefix = code[at];
    if (prefix === 0x66) isNarrow = true;
    else if (prefix !== 0xf2 && prefix !== 0xf3 && prefix !== 0x65) break;
  }
  const hasPrefixes = at > 0;
  let isWide = false;
  const rex = code[at] ?? 0;
  if (rex >> 4 === 4) {
    isWide = (rex & 8) !== 0;
    at++;
  }
  const first = code[at] ?? 0;
  if ((first === 0xe9 || first === 0xeb) && !hasPrefixes) return decodeJump(code, at);
  const isTwoBytes = first === 0x0f;
  if (isTwoBytes) at++;
  const opcode = code[at];
  if (opcode === undefined) return undefined;
  at++;
  const extension = ((code[at] ?? 0) >> 3) & 7;
  const form = isTwoBytes
    ? find(twoBytes, opcode, extension)
    : (find(oneByte, opcode, extension) ?? find(oneByteElse, opcode, extension));
  if (form === undefined) return undefined;

  const narrowed = isNarrow && !isWide ? 2 : 4;
  const { immediate } = form;
  const immediateSize = immediate === 'v' && isWide ? 8 : typeof immediate === 'number' ? immediate : narrowed;
  const operand = form.hasAddress ? decodeAddress(code, at) : { sizeBytes: 0 };
  if (operand === undefined) return undefined;
  const sizeBytes = at + operand.sizeBytes + immediateSize;
  if (sizeBytes > code.length) return undefined;
  return operand.isDistance === true ? { kind: 'plain', sizeBytes, distanceAt: at + 1 } : { kind: 'plain', sizeBytes };
}

const PREFIXES_MAX = 4;

function find(forms: Forms, opcode: number, extension: number): Form | undefined {
  return forms.find(
    ([first, last, { extensions }]) =>
      opcode >= first && opcode <= last && (extensions === undefined || extensions.includes(extension)),
  )?.[2];
}

/** `jmp rel8` or `jmp rel32`. */
function decodeJump(code: Uint8Array, at: number): JumpInstruction | undefined {
  const view = new DataView(code.buffer, code.byteOffset, code.length);
  const distanceSize = code[at] === 0xe9 ? 4 : 1;
  const sizeBytes = at + 1 + distanceSize;
  if (sizeBytes > code.length) return undefined;
  return { kind: 'jump', sizeBytes, distance: distanceSize === 4 ? view.getInt32(at + 1, true) : view.getInt8(at + 1) };
}

/** The ModRM byte at an offset with what belongs to it. */
function decodeAddress(
  code: Uint8Array,
  at: number,
): { readonly sizeBytes: number; readonly isDistance?: boolean } | undefined {
  const modrm = code[at];
  if (modrm === undefined) return undefined;
  const mod = modrm >> 6;
  const rm = modrm & 7;
  if (mod === 3) return { sizeBytes: 1 };
  if (mod === 0 && rm === 5) return { sizeBytes: 5, isDistance: true }; // [rip + disp32]
  const sibSize = rm === 4 ? 1 : 0;
  const noBase = mod === 0 && sibSize === 1 && ((code[at + 1] ?? 0) & 7) === 5;
  return { sizeBytes: 1 + sibSize + (mod === 1 ? 1 : mod === 2 || noBase ? 4 : 0) };
}
