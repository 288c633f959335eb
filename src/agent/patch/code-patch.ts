/** Bytes that are written over others in the target. */
export interface CodePatch {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}
