import type { AsHandle } from '../../io/index.ts';
import { functionModules, numberedFunctions } from '../tables/function-table.ts';
import type { AgentCode } from '../linkage/agent-code.ts';
import { type AgentPlace, type HookedModule, RELAY_SIZE_BYTES } from '../link/link-agent.ts';
import type { CodePatch } from '../patch/code-patch.ts';
import { ntdllBase } from './locate/locate-hooks.ts';
import { allocateNear, isInReach } from './target-code.ts';

/** Room for the relays of all functions that a module may have. */
export function relaysSizeBytes(moduleNumber: number): number {
  const name = functionModules[moduleNumber];
  return numberedFunctions.filter(({ row }) => row.module === name).length * RELAY_SIZE_BYTES;
}

/** Bytes of memory for the agent's image, and for the relays of these modules behind it. */
export function agentSizeBytes(code: AgentCode, modules: readonly HookedModule[]): number {
  return modules.reduce((sum, { number }) => sum + relaysSizeBytes(number), imageSizeBytes(code));
}

function imageSizeBytes({ bytes }: AgentCode): number {
  return Math.ceil(bytes.length / RELAY_SIZE_BYTES) * RELAY_SIZE_BYTES;
}

/**
 * Reserves memory for the agent in a target: one piece, unless a module is out of reach of it.
 *
 * @throws Win32Error when there is no room in reach
 */
export function placeAgent(target: AsHandle, code: AgentCode, modules: readonly HookedModule[]): AgentPlace {
  const base = allocateNear(target, ntdllBase(), agentSizeBytes(code, modules));
  let next = base + BigInt(imageSizeBytes(code));
  const relays = functionModules.map((_, number) => {
    const module = modules.find((each) => each.number === number);
    if (module === undefined) return 0n;
    const place = next;
    next += BigInt(relaysSizeBytes(number));
    const isNear = isInReach(place, module.base) && isInReach(place, module.base + BigInt(module.sizeBytes));
    return isNear ? place : allocateNear(target, module.base, relaysSizeBytes(number));
  });
  return { base, relays };
}

/** Joins code that lies side by side, up to the padding between: each write takes time. */
export function joinNeighbours(pieces: readonly CodePatch[]): readonly CodePatch[] {
  const joined: { address: bigint; bytes: Uint8Array }[] = [];
  for (const { address, bytes } of pieces) {
    const last = joined.at(-1);
    const gap = last === undefined ? -1n : address - last.address - BigInt(last.bytes.length);
    if (last === undefined || gap < 0n || gap > PADDING_SIZE_BYTES_MAX) {
      joined.push({ address, bytes });
      continue;
    }
    const whole = new Uint8Array(last.bytes.length + Number(gap) + bytes.length).fill(0xcc);
    whole.set(last.bytes);
    whole.set(bytes, last.bytes.length + Number(gap));
    last.bytes = whole;
  }
  return joined;
}

/** A module has room for all of its functions, but relays only for those that can be hooked. */
const PADDING_SIZE_BYTES_MAX = 0x4000n;
