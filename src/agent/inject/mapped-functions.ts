import type { AsHandle } from '../../io/index.ts';
import { tryReadMemory } from '../../process/memory.ts';
import type { StandingThread } from '../../process/thread-stacks.ts';
import { familyBits } from '../tables/families.ts';
import { identityOffsets } from '../linkage/patch-table.ts';
import type { HookedFunction, HookedModule } from '../link/link-agent.ts';
import type { CodePatch } from '../patch/code-patch.ts';
import { JUMP_SIZE_BYTES } from '../patch/prologue.ts';
import { farJumpTarget, jumpTarget } from '../patch/stub.ts';
import type { LeftAgents } from './left-agents.ts';
import { overwriteCode } from './target-code.ts';

/** The part of a function's beginning that is compared and replaced: see {@link patchedFunction}. */
const HEAD_SIZE_BYTES = 8;
const PE_HEADERS_SIZE_BYTES = 0x1000;
/**
 * Functions that lie so near to each other are read and written together: each call takes time for which the target
 * stands still. Windows gives the target pages of its own for the code that is written.
 */
const GAP_SIZE_BYTES_MAX = 0x8000n;

/** Functions that lie near to each other, and the code from the first one to the last. */
interface Cluster {
  readonly begin: bigint;
  readonly code: Buffer;
  readonly heads: readonly { readonly hooked: HookedFunction; readonly kind: HeadKind }[];
}

/** Its own code, a jump to the agent of an earlier audit, or anything else. */
type HeadKind = 'own' | 'hooked' | 'other';

/**
 * The functions of one DLL, or of the program, as they are in a target that has it mapped already. The agent hooks
 * those of a DLL that is mapped later by itself (function-patches.ts).
 */
export class MappedFunctions {
  readonly module: HookedModule;
  readonly #target: AsHandle;
  readonly #clusters: readonly Cluster[];

  private constructor(target: AsHandle, module: HookedModule, clusters: readonly Cluster[]) {
    this.#target = target;
    this.module = module;
    this.#clusters = clusters;
  }

  /** Looks at the functions of the modules that a target has mapped. */
  static read(target: AsHandle, modules: readonly HookedModule[], left: LeftAgents): readonly MappedFunctions[] {
    return modules
      .filter((module) => isMapped(target, module))
      .map((module) => {
        const clusters = group(module.functions).flatMap((functions) => readCluster(target, functions, left) ?? []);
        return new MappedFunctions(target, module, clusters);
      });
  }

  /**
   * Chooses new heads that may be written: those of functions that begin as they do in this process, or with a jump to
   * the agent of an earlier audit, and in which no thread stands. Without one of its family a function is left alone,
   * too: see {@link FamilyBits}.
   */
  choose(patches: readonly CodePatch[], threads: readonly StandingThread[]): readonly CodePatch[] {
    const heads = this.#clusters.flatMap((cluster) => cluster.heads);
    const fit = new Set(heads.flatMap(({ hooked, kind }) => (kind === 'other' ? [] : [hooked.address])));
    for (const { address } of this.module.functions) if (standsIn(threads, address)) fit.delete(address);
    const lost = this.module.functions.reduce(
      (bits, { row, address }) => (fit.has(address) ? bits : bits | familyBits(row).needed),
      0,
    );
    const chosen = this.module.functions.filter(
      ({ row, address }) => fit.has(address) && (familyBits(row).touched & lost) === 0,
    );
    const addresses = new Set(chosen.map(({ address }) => address));
    return patches.filter(({ address }) => addresses.has(address));
  }

  /** Whether they are still as they were read: they may have been changed since, or unmapped. */
  areUnchanged(): boolean {
    return this.#clusters.every(
      ({ begin, code }) => tryReadMemory(this.#target, begin, code.length)?.equals(code) === true,
    );
  }

  /** Whether a thread stands inside of the code that a jump replaces. */
  isInUse(threads: readonly StandingThread[]): boolean {
    return this.module.functions.some(({ address }) => standsIn(threads, address));
  }

  /**
   * Replaces the heads of functions.
   *
   * @param patches new heads of some or all of the functions
   * @throws Win32Error when Windows refuses
   */
  replace(patches: readonly CodePatch[]): void {
    for (const { begin, code } of this.#clusters) {
      const end = begin + BigInt(code.length);
      const within = patches.filter(({ address }) => address >= begin && address < end);
      if (within.length === 0) continue;
      const bytes = Buffer.from(code);
      for (const patch of within) bytes.set(patch.bytes, Number(patch.address - begin));
      overwriteCode(this.#target, { address: begin, bytes });
    }
  }

  /**
   * Gives back their own code to functions that jump to the agent of an earlier audit.
   *
   * @throws Win32Error when Windows refuses
   */
  unhook(): void {
    const hooked = this.#clusters.flatMap(({ heads }) => heads.filter(({ kind }) => kind === 'hooked'));
    this.replace(
      hooked.map(({ hooked: { address, code } }) => ({ address, bytes: code.subarray(0, HEAD_SIZE_BYTES) })),
    );
  }
}

function standsIn(threads: readonly StandingThread[], address: bigint): boolean {
  return threads.some(
    ({ instructionPointer }) => instructionPointer > address && instructionPointer < address + BigInt(JUMP_SIZE_BYTES),
  );
}

/** The very DLL that this process has lies at the same address in the target, or the program does. */
function isMapped(target: AsHandle, { base, identity }: HookedModule): boolean {
  const headers = tryReadMemory(target, base, PE_HEADERS_SIZE_BYTES);
  const at = headers?.readUInt32LE(0x3c) ?? 0; // LONG e_lfanew
  if (headers === undefined || at > PE_HEADERS_SIZE_BYTES - 0x60) return false;
  return identity.every((value, index) => headers.readUInt32LE(at + identityOffsets[index]!) === value);
}

function group(functions: readonly HookedFunction[]): readonly (readonly HookedFunction[])[] {
  const groups: HookedFunction[][] = [];
  for (const hooked of functions.toSorted((a, b) => (a.address < b.address ? -1 : 1))) {
    const last = groups.at(-1)?.at(-1);
    const isNear = last !== undefined && hooked.address - last.address < GAP_SIZE_BYTES_MAX;
    if (isNear) groups.at(-1)!.push(hooked);
    else groups.push([hooked]);
  }
  return groups;
}

function readCluster(target: AsHandle, functions: readonly HookedFunction[], left: LeftAgents): Cluster | undefined {
  const begin = functions[0]!.address;
  const code = tryReadMemory(target, begin, Number(functions.at(-1)!.address - begin) + HEAD_SIZE_BYTES);
  if (code === undefined) return undefined;
  const heads = functions.map((hooked) => {
    const at = Number(hooked.address - begin);
    return { hooked, kind: kindOf(target, hooked, code.subarray(at, at + HEAD_SIZE_BYTES), left) };
  });
  return { begin, code, heads };
}

function kindOf(target: AsHandle, { address, code }: HookedFunction, head: Buffer, left: LeftAgents): HeadKind {
  const own = Buffer.from(code.subarray(0, HEAD_SIZE_BYTES));
  if (head.equals(own)) return 'own';
  const relay = jumpTarget(head, address);
  const isTailKept = head.subarray(JUMP_SIZE_BYTES).equals(own.subarray(JUMP_SIZE_BYTES));
  if (relay === undefined || !isTailKept || !left.areThere) return 'other';
  const jump = tryReadMemory(target, relay, 14);
  const destination = jump && farJumpTarget(jump);
  return destination !== undefined && left.hold(destination) ? 'hooked' : 'other';
}
