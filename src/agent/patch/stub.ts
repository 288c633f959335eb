/**
 * System-call stubs of ntdll: how they begin, how their head is turned into a jump, and the way past that jump.
 *
 * The stubs of Windows 10, Windows 11 and Wine begin with the same eight bytes:
 * ```
 * 4c 8b d1          mov r10, rcx
 * b8 nn nn 00 00    mov eax, system call number
 * ```
 * No byte behind them is copied. The trampoline makes up for the two instructions and jumps behind them, so that the
 * `syscall` is executed inside of ntdll, as the kernel and other software expect of a system call.
 */
const HEAD = [0x4c, 0x8b, 0xd1, 0xb8];
const JMP_REL32 = 0xe9;

/** The part of a stub that the jump replaces. */
export const STUB_HEAD_SIZE_BYTES = 8;

/** Size of a {@link stubTrampoline}. */
export const STUB_TRAMPOLINE_SIZE_BYTES: number = STUB_HEAD_SIZE_BYTES + 5;

/**
 * Returns the head of a stub; undefined when the code does not begin as a stub does, for example because it is hooked
 * already.
 *
 * A system call number has twelve bits for the call, and two for the table: ntdll's or win32u's.
 */
export function recogniseStub(code: Uint8Array): Uint8Array | undefined {
  if (code.length < STUB_HEAD_SIZE_BYTES || !HEAD.every((byte, index) => code[index] === byte)) return undefined;
  const isNumber = code[5]! < 0x40 && code[6] === 0 && code[7] === 0;
  return isNumber ? new Uint8Array(code.subarray(0, STUB_HEAD_SIZE_BYTES)) : undefined;
}

/**
 * The code that makes the real call past a stub's hook: the stub's head, and a jump behind it.
 *
 * @param address of the trampoline
 * @throws Error when the stub is out of reach of a 32-bit jump
 */
export function stubTrampoline(head: Uint8Array, stubAddress: bigint, address: bigint): Uint8Array {
  const size = BigInt(STUB_HEAD_SIZE_BYTES);
  return Uint8Array.of(...head, ...jumpHead(address + size, stubAddress + size));
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

const FAR_JUMP_SIZE_BYTES = 14;

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
  jump[0] = JMP_REL32;
  new DataView(jump.buffer).setInt32(1, Number(distance), true);
  return jump;
}

/** Where code that begins with `jmp rel32` at `address` goes; `undefined` for any other code. */
export function jumpTarget(code: Uint8Array, address: bigint): bigint | undefined {
  if (code.length < 5 || code[0] !== JMP_REL32) return undefined;
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
