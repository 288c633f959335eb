/** Bytes of a function that show whether it is a thin wrapper. */
export const THIN_WRAPPER_SIZE_BYTES = 40;

/** Beginnings without effect, with room for a jump: `lea rsp, [rsp + 0]`, as Wine has it. */
const emptyBeginnings = [
  [0x48, 0x8d, 0xa4, 0x24, 0x00, 0x00, 0x00, 0x00],
  [0x48, 0x8d, 0x64, 0x24, 0x00],
];

/**
 * Finds the function that another one calls if that is all that it does, and that the result is a BOOLEAN which it
 * returns as a BOOL; `undefined` for any other function.
 *
 * @param code at least {@link THIN_WRAPPER_SIZE_BYTES} of it
 * @param address of the code
 * @param readPointer reads a slot of its import address table
 */
export function wrappedFunction(
  code: Uint8Array,
  address: bigint,
  readPointer: (address: bigint) => bigint | undefined,
): bigint | undefined {
  let at = 0;
  const take = (...bytes: readonly number[]): boolean => {
    if (!bytes.every((byte, index) => code[at + index] === byte)) return false;
    at += bytes.length;
    return true;
  };
  emptyBeginnings.some((bytes) => take(...bytes));
  if (!take(0x48, 0x83, 0xec, 0x28)) return undefined; // sub rsp, 28h
  take(0x48);
  if (!take(0xff, 0x15)) return undefined; // call [rip + disp32]
  const distance = new DataView(code.buffer, code.byteOffset, code.length).getInt32(at, true);
  at += 4;
  const slot = address + BigInt(at + distance);
  take(0x0f, 0x1f, 0x44, 0x00, 0x00); // nop
  // movzx eax, al; add rsp, 28h; ret
  return take(0x0f, 0xb6, 0xc0, 0x48, 0x83, 0xc4, 0x28, 0xc3) ? readPointer(slot) : undefined;
}
