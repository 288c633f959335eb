import type { AsHandle } from '../../io/index.ts';
import { nowMs } from '../../process/clock.ts';
import { type MemoryRegion, queryMemory, readMemory, tryReadMemory } from '../../process/memory.ts';
import type { StandingThread } from '../../process/thread-stacks.ts';
import { functionModules } from '../tables/function-table.ts';
import { REQUEST_MODULE } from '../tables/request-functions.ts';
import { header } from '../ledger/layout.ts';
import type { AgentCode } from '../linkage/agent-code.ts';
import { AGENT_HEADER_SIZE_BYTES, AGENT_MAGIC, agentHeader } from '../linkage/agent-header.ts';
import { isInTrampoline, isReturnOfRealCall } from '../linkage/pass-through.ts';
import type { AgentPlace } from '../link/link-agent.ts';
import { hookedHeadTarget } from '../patch/stub.ts';
import { relaysSizeBytes } from './agent-place.ts';
import type { StubRange } from './locate/locate-hooks.ts';

const MEM_PRIVATE = 0x2_0000;
const MEM_MAPPED = 0x4_0000;
/** More than any agent takes. */
const AGENT_SIZE_BYTES_MAX = 16 << 20;
/** So far below a thread's innermost frame the recording code may have called functions of Windows. */
const STACK_SIZE_BYTES = 8192;
const PAGE_SIZE_BYTES = 4096;
/** Where an agent's header has the address of the relays of libuv's functions. */
const REQUEST_RELAYS: number = agentHeader.relays + functionModules.indexOf(REQUEST_MODULE) * 8;

/** A thread that has not moved for so long is not in the midst of a recording, which takes microseconds. */
const RECORDING_MS_MAX = 100;

/** An agent of the same code as ours, which an earlier audit has left in a target. */
export interface LeftAgent extends AgentPlace {
  readonly ledger: bigint;
  readonly ledgerSizeBytes: number;
  /** Its frames are known to the target's unwinder. */
  readonly isUnwindRegistered: boolean;
  /** No thread is in the midst of a recording. */
  readonly isQuiet: boolean;
}

interface WhereToLook {
  /** Where the system calls jump to: into an agent, or anywhere else. */
  readonly jumps: readonly bigint[];
  /** Where an agent may have been put; what comes first is looked at first. */
  readonly places: Iterable<bigint>;
  /** Whether the next agent could take the place of this one. */
  readonly isOfUse: (agent: LeftAgent) => boolean;
}

/** A thread that may be recording, and since when it has stood at one place. */
interface Suspect {
  readonly point: StandingThread;
  readonly sinceMs: number;
}

interface Region {
  readonly begin: bigint;
  readonly end: bigint;
}

/**
 * The agents that earlier audits have left in a target: they ended their auditing, and threads may still return through
 * the agent's code; or the auditor was killed, and its hooks are still at work.
 *
 * All of it is read from the target, which may have written anything there. So an address is used only where there is
 * memory of the right kind and size.
 */
export class LeftAgents {
  readonly reusable: LeftAgent | undefined;
  /** Whether functions of libuv may lead to one of them. */
  readonly haveRequests: boolean;
  readonly #regions: readonly Region[];
  readonly #code: AgentCode;
  #suspects: ReadonlyMap<number, Suspect> = new Map();

  private constructor(
    code: AgentCode,
    regions: readonly Region[],
    { reusable, haveRequests }: Pick<LeftAgents, 'reusable' | 'haveRequests'>,
  ) {
    this.#code = code;
    this.#regions = regions;
    this.reusable = reusable;
    this.haveRequests = haveRequests;
  }

  /** Looks for agents where jumps lead, and, if none of these can be used again, where an agent would be put. */
  static find(target: AsHandle, code: AgentCode, { jumps, places, isOfUse }: WhereToLook): LeftAgents {
    const regions = new Map<bigint, Region>();
    let reusable: LeftAgent | undefined;
    let haveRequests = false;
    const lookAt = (address: bigint): void => {
      if ([...regions.values()].some((region) => isIn(region, address))) return;
      const memory = queryCommitted(target, address);
      if (memory?.type !== MEM_PRIVATE || regions.has(memory.allocationBase)) return;
      const head = tryReadMemory(target, memory.allocationBase, AGENT_HEADER_SIZE_BYTES);
      if (head?.readBigUInt64LE(agentHeader.magic) !== AGENT_MAGIC) return;
      const region = regionOf(target, memory.allocationBase);
      if (region === undefined) return;
      regions.set(memory.allocationBase, region);
      haveRequests ||= head.readBigUInt64LE(REQUEST_RELAYS) !== 0n;
      const agent = reusable === undefined ? readLeftAgent(target, head, region, code) : undefined;
      if (agent !== undefined && isOfUse(agent)) reusable = agent;
    };
    for (const address of new Set(jumps)) lookAt(address);
    for (const address of places) {
      if (reusable !== undefined) break;
      lookAt(address);
    }
    return new LeftAgents(code, [...regions.values()], { reusable, haveRequests });
  }

  /** Whether there is any. */
  get areThere(): boolean {
    return this.#regions.length > 0;
  }

  /** Whether an address lies in one of them. */
  hold(address: bigint): boolean {
    return this.#regions.some((region) => isIn(region, address));
  }

  /** The same, of which none is used again: no thread that records for it is in the way then. */
  withoutReuse(): LeftAgents {
    return new LeftAgents(this.#code, this.#regions, { reusable: undefined, haveRequests: this.haveRequests });
  }

  /**
   * Whether any thread is in the midst of recording a call by the {@link reusable} agent: it may know a place in the
   * ledger that must not become another ledger's. A thread that waits in the real call of a hook knows none.
   *
   * Recording takes microseconds, and waits for nothing. So a thread outside of the agent's code that stands at one
   * place for long is not recording: an old return address lies on its stack. One that has stood there for a moment may
   * only have got no processor.
   */
  isAnyRecording(target: AsHandle, threads: readonly StandingThread[]): boolean {
    const agent = this.reusable;
    if (agent === undefined || agent.isQuiet) return false;
    const now = nowMs();
    const before = this.#suspects;
    const suspects = new Map<number, Suspect>();
    let isAny = false;
    for (const point of threads) {
      if (this.#isInCode(agent, point.instructionPointer)) isAny = true;
      else if (this.#mayReturnInto(agent, target, point)) {
        const last = before.get(point.threadId);
        const sinceMs = last !== undefined && isSamePoint(last.point, point) ? last.sinceMs : now;
        suspects.set(point.threadId, { point, sinceMs });
        if (now - sinceMs < RECORDING_MS_MAX) isAny = true;
      }
    }
    this.#suspects = suspects;
    return isAny;
  }

  /** Whether an instruction of the agent is a step of a recording, and not of a call that it leads on. */
  #isInCode(agent: LeftAgent, address: bigint): boolean {
    return this.#holds(agent, address) && !isInTrampoline(this.#code, Number(address - agent.base));
  }

  #holds({ base }: LeftAgent, address: bigint): boolean {
    return address >= base && address < base + BigInt(this.#code.bytes.length);
  }

  /** Whether the first address of the agent on a thread's stack is one at which a recording goes on. */
  #mayReturnInto(agent: LeftAgent, target: AsHandle, { stackPointer }: StandingThread): boolean {
    const stack =
      tryReadMemory(target, stackPointer, STACK_SIZE_BYTES) ??
      tryReadMemory(target, stackPointer, PAGE_SIZE_BYTES - Number(stackPointer % BigInt(PAGE_SIZE_BYTES)));
    for (let at = 0; stack !== undefined && at + 8 <= stack.length; at += 8) {
      const word = stack.readBigUInt64LE(at);
      if (this.#holds(agent, word)) return !isReturnOfRealCall(this.#code, Number(word - agent.base));
    }
    return false;
  }
}

function isSamePoint(one: StandingThread, other: StandingThread): boolean {
  return one.instructionPointer === other.instructionPointer && one.stackPointer === other.stackPointer;
}

/**
 * Where the system calls of a target jump to: into an agent, or anywhere else.
 *
 * @throws Win32Error when their code cannot be read
 */
export function listJumps(target: AsHandle, ranges: readonly StubRange[]): readonly bigint[] {
  return ranges.flatMap(({ begin, sizeBytes, stubs }) => {
    const code = readMemory(target, begin, sizeBytes);
    return stubs.flatMap(
      ({ stubAddress }) => hookedHeadTarget(code.subarray(Number(stubAddress - begin)), stubAddress) ?? [],
    );
  });
}

function readLeftAgent(target: AsHandle, head: Buffer, region: Region, code: AgentCode): LeftAgent | undefined {
  const isSameCode = code.hash.every((half, index) => half === head.readUInt32LE(agentHeader.hash + index * 4));
  if (!isSameCode || region.end - region.begin < BigInt(code.bytes.length)) return undefined;
  const relays = functionModules.map((_, number) => head.readBigUInt64LE(agentHeader.relays + number * 8));
  const isRoom = (relay: bigint, number: number): boolean =>
    (isIn(region, relay) && relay + BigInt(relaysSizeBytes(number)) <= region.end) ||
    isRelayMemory(target, relay, number);
  if (relays.some((relay, number) => relay !== 0n && !isRoom(relay, number))) return undefined;
  const ledger = head.readBigUInt64LE(agentHeader.ledger);
  const ledgerSizeBytes = Number(head.readBigUInt64LE(agentHeader.ledgerSizeBytes));
  const memory = queryCommitted(target, ledger);
  if (memory?.type !== MEM_MAPPED || memory.allocationBase !== ledger) return undefined;
  const registered = tryReadMemory(target, ledger + BigInt(header.unwindRegistered), 4)?.readUInt32LE(0) ?? 0;
  return {
    base: region.begin,
    relays,
    ledger,
    ledgerSizeBytes,
    isUnwindRegistered: registered !== 0,
    isQuiet: head.readUInt32LE(agentHeader.isQuiet) === 1,
  };
}

function isRelayMemory(target: AsHandle, address: bigint, number: number): boolean {
  const memory = queryCommitted(target, address);
  return (
    memory?.type === MEM_PRIVATE &&
    memory.allocationBase === address &&
    memory.end - address >= BigInt(relaysSizeBytes(number))
  );
}

function isIn({ begin, end }: Region, address: bigint): boolean {
  return address >= begin && address < end;
}

/** The committed memory of an allocation from its beginning on. */
function regionOf(target: AsHandle, base: bigint): Region | undefined {
  // The header is writable, and the code behind it is not.
  let end = base;
  for (
    let memory = queryCommitted(target, base);
    memory?.allocationBase === base && end - base <= BigInt(AGENT_SIZE_BYTES_MAX);
    memory = queryCommitted(target, end)
  )
    end = memory.end;
  return end === base || end - base > BigInt(AGENT_SIZE_BYTES_MAX) ? undefined : { begin: base, end };
}

/** The committed memory at an address; `undefined` where there is none. */
function queryCommitted(target: AsHandle, address: bigint): MemoryRegion | undefined {
  const region = queryMemory(target, address);
  return region?.isCommitted === true ? region : undefined;
}
