import { Decoder, DecoderOptions, FlowControl, Mnemonic, Register } from 'iced-x86';

import { type MachineState, nonVolatile, readPlace, valueAtEntry } from './machine-state.ts';
import type { UnwoundFunction } from './unwind-table.ts';

/**
 * Unwinds one frame as RtlVirtualUnwind does, by what the unwind data say, or in an epilogue by its instructions, and
 * says what differs from the truth: undefined where the caller's frame comes out.
 *
 * @param unwound the function's unwind data; undefined for a leaf
 */
export function findUnwindError(
  bytes: Uint8Array,
  at: number,
  state: MachineState,
  unwound: UnwoundFunction | undefined,
): string | undefined {
  const pops = unwound && (readEpilogue(bytes, at, unwound) ?? unwound.codes.filter((code) => code.at <= at));
  const values = new Map(state.values);
  let { rsp } = state;
  for (const { register, sizeBytes } of pops ?? []) {
    if (register !== undefined) values.set(register, readPlace(state, rsp));
    rsp += sizeBytes;
  }
  if (rsp !== 0) return `the return address is not at ${rsp}`;
  const wrong = nonVolatile.find((each) => values.get(each) !== valueAtEntry(each));
  return wrong === undefined ? undefined : `${Register[wrong]} is not the caller's`;
}

/** The rest of an epilogue; undefined where the code goes on in another way. */
function readEpilogue(
  bytes: Uint8Array,
  begin: number,
  { begin: functionBegin, end: functionEnd }: UnwoundFunction,
): readonly { readonly register: Register | undefined; readonly sizeBytes: number }[] | undefined {
  const pops: { register: Register | undefined; sizeBytes: number }[] = [];
  const decoder = new Decoder(64, bytes.subarray(begin, begin + 64), DecoderOptions.None);
  try {
    decoder.ip = BigInt(begin);
    for (;;) {
      const instruction = decoder.decode();
      const { mnemonic, op0Register: register, flowControl } = instruction;
      const isAdd = mnemonic === Mnemonic.Add && register === Register.RSP && pops.length === 0;
      if (isAdd) pops.push({ register: undefined, sizeBytes: Number(instruction.immediate(1)) });
      else if (mnemonic === Mnemonic.Pop) pops.push({ register, sizeBytes: 8 });
      const target = Number(instruction.nearBranchTarget);
      instruction.free();
      const isTailJump =
        flowControl === FlowControl.UnconditionalBranch && (target < functionBegin || target >= functionEnd);
      if (flowControl === FlowControl.Return || isTailJump) return pops;
      if (!isAdd && mnemonic !== Mnemonic.Pop) return undefined;
    }
  } finally {
    decoder.free();
  }
}
