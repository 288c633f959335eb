import type { AsHandle } from '../../io/index.ts';
import { readMemory } from '../../process/memory.ts';
import { hookedHeadTarget, recogniseStub, STUB_HEAD_SIZE_BYTES } from '../patch/stub.ts';
import type { LeftAgents } from './left-agents.ts';
import { readOwnStubs, type StubRange } from './locate-hooks.ts';

/** The code of a target's stubs, range by range. */
export function readStubs(target: AsHandle, ranges: readonly StubRange[]): readonly Buffer[] {
  return ranges.map(({ begin, sizeBytes }) => readMemory(target, begin, sizeBytes));
}

/** The same as it is without any agent. */
export function readFreeStubs(target: AsHandle, ranges: readonly StubRange[], left: LeftAgents): readonly Buffer[] {
  return readStubs(target, ranges).map((code, index) => withoutJumps(ranges[index]!, code, left));
}

/** The code of a range of stubs without the jumps to agents. */
export function withoutJumps(range: StubRange, code: Buffer, left: LeftAgents): Buffer {
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
