/** `0x1a4`: a handle's value, or an address, as it is shown; unsigned. */
export function hexadecimal(value: bigint): string {
  return `0x${BigInt.asUintN(64, value).toString(16)}`;
}
