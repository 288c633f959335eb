/**
 * System-call stubs of ntdll: what they look like, and how their head is turned into a jump.
 *
 * Both known shapes begin with the same eight bytes. They are position-independent, so the trampoline is a plain copy:
 * ```
 * 4c 8b d1                  mov r10, rcx
 * b8 nn nn nn nn            mov eax, system call number
 * f6 04 25 08 03 fe 7f 01   test byte ptr [7ffe0308h], 1
 * 75 03                     jne +3
 * 0f 05                     syscall
 * c3                        ret
 * cd 2e c3                  int 2eh; ret                              (Windows 10 and 11)
 * eb 01 c3 ff 14 25 00 10 fe 7f c3   jmp +1; ret; call [7ffe1000h]; ret   (Wine 8 to 10)
 * ```
 */
const HEAD = [0x4c, 0x8b, 0xd1, 0xb8];
const MIDDLE = [0xf6, 0x04, 0x25, 0x08, 0x03, 0xfe, 0x7f, 0x01, 0x75, 0x03, 0x0f, 0x05, 0xc3];
const TAILS = [
  [0xcd, 0x2e, 0xc3],
  [0xeb, 0x01, 0xc3, 0xff, 0x14, 0x25, 0x00, 0x10, 0xfe, 0x7f, 0xc3],
];

/** Size of the longest known stub. */
export const STUB_READ_SIZE_BYTES: number = 8 + MIDDLE.length + 11;

/** The part of a stub that the jump replaces. */
export const STUB_HEAD_SIZE_BYTES = 8;

/**
 * Returns the whole stub, ready to be copied as a trampoline; undefined when it has no known shape, or is hooked
 * already.
 */
export function recogniseStub(bytes: Uint8Array): Uint8Array | undefined {
  const matches = (offset: number, expected: readonly number[]) =>
    expected.every((byte, index) => bytes[offset + index] === byte);
  if (!matches(0, HEAD) || !matches(8, MIDDLE)) return undefined;
  const tail = TAILS.find((candidate) => matches(8 + MIDDLE.length, candidate));
  return tail && bytes.slice(0, 8 + MIDDLE.length + tail.length);
}

/**
 * The eight bytes that send a stub at `stubAddress` to `hookAddress`: `mov r10, rcx; jmp hook`.
 *
 * The first instruction stays, and the second is replaced by one of the same length.
 *
 * @throws Error when the hook is out of reach of a 32-bit jump
 */
export function hookedHead(stubAddress: bigint, hookAddress: bigint): Uint8Array {
  return Uint8Array.of(0x4c, 0x8b, 0xd1, ...jumpHead(stubAddress + 3n, hookAddress));
}

export const FAR_JUMP_SIZE_BYTES = 14;

/** `jmp [rip]; dq target`: reaches everywhere and changes no register. */
export function farJump(target: bigint): Uint8Array {
  const jump = new Uint8Array(FAR_JUMP_SIZE_BYTES);
  jump.set([0xff, 0x25]);
  new DataView(jump.buffer).setBigUint64(6, target, true);
  return jump;
}

/**
 * The five bytes of `jmp target` at `address`.
 *
 * @throws Error when the target is out of reach
 */
export function jumpHead(address: bigint, target: bigint): Uint8Array {
  const distance = target - (address + 5n);
  if (distance !== BigInt.asIntN(32, distance))
    throw new Error(`a hook is out of reach of what it hooks: ${distance} bytes`);
  const jump = new Uint8Array(5);
  jump[0] = 0xe9;
  new DataView(jump.buffer).setInt32(1, Number(distance), true);
  return jump;
}

/** Where code that begins with `jmp rel32` at `address` goes; `undefined` for any other code. */
export function jumpTarget(code: Uint8Array, address: bigint): bigint | undefined {
  if (code.length < 5 || code[0] !== 0xe9) return undefined;
  return address + 5n + BigInt(new DataView(code.buffer, code.byteOffset).getInt32(1, true));
}

/** Where a {@link farJump} goes; `undefined` for any other code. */
export function farJumpTarget(code: Uint8Array): bigint | undefined {
  const isFarJump = [0xff, 0x25, 0, 0, 0, 0].every((byte, index) => code[index] === byte);
  if (!isFarJump || code.length < FAR_JUMP_SIZE_BYTES) return undefined;
  return new DataView(code.buffer, code.byteOffset).getBigUint64(6, true);
}

/** Where the hooked head of a stub at `stubAddress` goes; `undefined` for a stub that has no such head. */
export function hookedHeadTarget(code: Uint8Array, stubAddress: bigint): bigint | undefined {
  const isKept = [0x4c, 0x8b, 0xd1].every((byte, index) => code[index] === byte);
  return isKept ? jumpTarget(code.subarray(3), stubAddress + 3n) : undefined;
}
