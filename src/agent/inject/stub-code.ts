import type { AsHandle } from '../../io/index.ts';
import { readMemory } from '../../process/memory.ts';
import { hookedHeadTarget, recogniseStub, STUB_HEAD_SIZE_BYTES } from '../patch/stub.ts';
import type { CodePatch } from '../patch/code-patch.ts';
import type { LeftAgents } from './left-agents.ts';
import { readOwnStubs, type StubRange } from './locate/locate-hooks.ts';
import { overwriteCode } from './target-code.ts';

/** The code of a target's stubs, range by range. */
export function readStubs(target: AsHandle, ranges: readonly StubRange[]): readonly Buffer[] {
  return ranges.map(({ begin, sizeBytes }) => readMemory(target, begin, sizeBytes));
}

/** The same as it is without any agent. */
export function readFreeStubs(target: AsHandle, ranges: readonly StubRange[], left: LeftAgents): readonly Buffer[] {
  return readStubs(target, ranges).map((code, index) => withoutJumps(ranges[index]!, code, left));
}

/** The code of a range of stubs without the jumps to agents. */
function withoutJumps(range: StubRange, code: Buffer, left: LeftAgents): Buffer {
  const own = Buffer.from(code);
  if (!left.areThere) return own;
  const ours = readOwnStubs(range);
  for (const { stubAddress } of range.stubs) {
    const at = Number(stubAddress - range.begin);
    const destination = hookedHeadTarget(code.subarray(at), stubAddress);
    const isAgents = destination !== undefined && left.hold(destination);
    if (isAgents && recogniseStub(ours.subarray(at)) !== undefined) ours.copy(own, at, at, at + STUB_HEAD_SIZE_BYTES);
  }
  return own;
}

/**
 * Replaces the heads of stubs, those of each range with one write.
 *
 * @param codes of the ranges before
 * @throws Win32Error when Windows refuses to write to the target
 */
export function hookStubs(
  target: AsHandle,
  ranges: readonly StubRange[],
  codes: readonly Buffer[],
  patches: readonly CodePatch[],
): void {
  ranges.forEach(({ begin, sizeBytes }, index) => {
    const code = Buffer.from(codes[index]!);
    const within = patches.filter(({ address }) => address >= begin && address < begin + BigInt(sizeBytes));
    for (const { address, bytes } of within) code.set(bytes, Number(address - begin));
    if (within.length > 0) overwriteCode(target, { address: begin, bytes: code });
  });
}

/**
 * Gives back their own code to stubs that jump to the agent of an audit.
 *
 * @throws Win32Error when Windows refuses to read or to write
 */
export function unhookStubs(target: AsHandle, ranges: readonly StubRange[], left: LeftAgents): void {
  const codes = readStubs(target, ranges);
  ranges.forEach((range, index) => {
    const own = withoutJumps(range, codes[index]!, left);
    if (!own.equals(codes[index]!)) overwriteCode(target, { address: range.begin, bytes: own });
  });
}
