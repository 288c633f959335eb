import { familyBits } from '../tables/families.ts';
import { functionModules, type NumberedFunction } from '../tables/function-table.ts';
import type { NumberedRow } from '../tables/hook-row.ts';
import { REQUEST_MODULE } from '../tables/request-functions.ts';
import { hookTable } from '../tables/hook-table.ts';
import type { LedgerLayout } from '../ledger/layout.ts';
import { lentHandleOffset } from '../ledger/lent-handles.ts';
import { firstSlots, STACK_POOL_CHUNK_SIZE_BYTES, STACK_POOL_SPARE_BYTES } from '../ledger/memory-parts.ts';
import type { CodePatch } from '../patch/code-patch.ts';
import { copyPrologue, type MovedPrologue } from '../patch/prologue.ts';
import { farJump, hookedHead, jumpHead, stubTrampoline } from '../patch/stub.ts';
import { type AgentCode, CALL_TRAMPOLINE_SIZE_BYTES } from '../linkage/agent-code.ts';
import { AGENT_MAGIC, agentHeader } from '../linkage/agent-header.ts';
import { setGateName } from '../linkage/gate-name.ts';
import { type LinkSlot, linkSlots } from '../linkage/link-slots.ts';
import { PATCHED_FUNCTION_SIZE_BYTES, patchedFunction, patchedModule } from '../linkage/patch-table.ts';
import { type RuntimeModule, setRuntimeModule } from '../linkage/runtime-object-row.ts';

/** A system call to hook. */
export interface HookedCall extends NumberedRow {
  readonly stubAddress: bigint;
  /** The stub's head, see stub.ts. */
  readonly head: Uint8Array;
}

/** A function of a DLL, to hook once the DLL is mapped. */
export interface HookedFunction extends NumberedFunction {
  readonly address: bigint;
  /** Its first eight bytes or more. */
  readonly code: Uint8Array;
  readonly moved: MovedPrologue;
}

/** A DLL with functions to hook. */
export interface HookedModule extends RuntimeModule {
  /** Its index among the {@link functionModules}. */
  readonly number: number;
  /** The values of its headers at the {@link identityOffsets}; none for the program, which is no DLL. */
  readonly identity: readonly number[];
  readonly functions: readonly HookedFunction[];
}

/** The code of a function, or of a part of a program. */
export interface CodeRange {
  readonly begin: bigint;
  readonly sizeBytes: number;
}

/** The inputs of linking: all that differs from target to target. */
export interface LinkInputs {
  readonly calls: readonly HookedCall[];
  readonly modules: readonly HookedModule[];
  /**
   * The code of CloseHandle; absent where it is not known. Sockets and registry keys have closing functions of their
   * own, so CloseHandle is the wrong one for them.
   */
  readonly closeHandle: CodeRange | undefined;
  /** The code of Go in a Go program, which walks by frame pointers. */
  readonly goCode?: CodeRange | undefined;
  /** Address of the ledger. */
  readonly ledger: bigint;
  readonly layout: LedgerLayout;
  /** Address of a function of ntdll; 0 where it has none of an {@link optionalNtdllImports | optional one}. */
  ntdllAddress(name: string): bigint;
  readonly arrivedName: string;
  readonly judgedName: string;
  readonly threadsSeenName: string;
  /** The event by which the auditor hears of a child process; absent where it does not want to. */
  readonly childName?: string | undefined;
  /** Stacks note which instruction of a function in V8's interpreter made a call. */
  readonly notesBytecode?: boolean;
}

/** Where the agent lies in a target. */
export interface AgentPlace {
  readonly base: bigint;
  /**
   * For each of the {@link functionModules} the address of memory within reach of its functions,
   * {@link RELAY_SIZE_BYTES} for each; 0 for a module without functions to hook.
   */
  readonly relays: readonly bigint[];
}

/** The agent linked for one target, and the changes of other code that put it to work. */
export interface LinkedAgent {
  readonly bytes: Uint8Array;
  /** For each module the jumps that lead on to the hooks, with the trampolines of its functions. */
  readonly relays: readonly CodePatch[];
  /** The new heads of the stubs. */
  readonly patches: readonly CodePatch[];
  /** For each module the new heads of its functions, in their order. */
  readonly functionPatches: readonly (readonly CodePatch[])[];
}

/** A relay is a {@link farJump} to the hook, and behind it the trampoline of the function. */
export const RELAY_SIZE_BYTES = 64;
const TRAMPOLINE_OFFSET = 16;

/**
 * Links the agent for one target and one place.
 *
 * @throws Error when a jump does not reach
 */
export function linkAgent(code: AgentCode, inputs: LinkInputs, place: AgentPlace): LinkedAgent {
  const { base: imageBase, relays } = place;
  const bytes = new Uint8Array(code.bytes); // a copy: a slice of a Buffer shares its memory
  const view = new DataView(bytes.buffer);
  const slotValues = fillLinkSlots(inputs);
  linkSlots.forEach((name, index) => view.setBigUint64(code.linkSlotsOffset + index * 8, slotValues[name], true));
  setGateName(bytes, code.arrivedNameOffset, inputs.arrivedName, lentHandleOffset('arrived'));
  setGateName(bytes, code.judgedNameOffset, inputs.judgedName, lentHandleOffset('judged'));
  setGateName(bytes, code.threadsSeenNameOffset, inputs.threadsSeenName, lentHandleOffset('threadsSeen'));
  setGateName(bytes, code.childNameOffset, inputs.childName ?? '', lentHandleOffset('child'));

  // The agent's own calls go past its hooks.
  const trampolines = new Map<string, bigint>();
  const patches = inputs.calls.map(({ row, rowNumber, head, stubAddress }) => {
    const trampoline = code.callTrampolinesOffset + (rowNumber - 1) * CALL_TRAMPOLINE_SIZE_BYTES;
    const address = imageBase + BigInt(trampoline);
    bytes.set(stubTrampoline(head, stubAddress, address), trampoline);
    trampolines.set(row.name, address);
    return { address: stubAddress, bytes: hookedHead(stubAddress, imageBase + BigInt(code.callHooks[rowNumber - 1]!)) };
  });
  code.ntdllImports.forEach((name, index) => {
    view.setBigUint64(code.ntdllImportsOffset + index * 8, trampolines.get(name) ?? inputs.ntdllAddress(name), true);
  });
  fillHeader(view, code, inputs, relays);
  const linkedModules = inputs.modules.map((module) =>
    linkModule(code, bytes, module, imageBase, relays[module.number]!),
  );
  return {
    bytes,
    relays: linkedModules.map(({ relay }) => relay),
    patches,
    functionPatches: linkedModules.map((module) => module.patches),
  };
}

function fillHeader(view: DataView, { hash }: AgentCode, inputs: LinkInputs, relays: readonly bigint[]): void {
  view.setBigUint64(agentHeader.magic, AGENT_MAGIC, true);
  hash.forEach((half, index) => view.setUint32(agentHeader.hash + index * 4, half, true));
  view.setBigUint64(agentHeader.ledger, inputs.ledger, true);
  view.setBigUint64(agentHeader.ledgerSizeBytes, BigInt(inputs.layout.sizeBytes), true);
  view.setBigUint64(agentHeader.slotsCommitted, BigInt(firstSlots(inputs.layout)), true);
  view.setBigUint64(agentHeader.stackPoolCommitted, BigInt(STACK_POOL_CHUNK_SIZE_BYTES), true);
  view.setBigUint64(agentHeader.stackPoolGrowAt, BigInt(STACK_POOL_CHUNK_SIZE_BYTES - STACK_POOL_SPARE_BYTES), true);
  relays.forEach((relay, index) => view.setBigUint64(agentHeader.relays + index * 8, relay, true));
}

function fillLinkSlots({
  ledger,
  layout,
  closeHandle,
  goCode,
  childName,
  notesBytecode = false,
  modules,
}: LinkInputs): Readonly<Record<LinkSlot, bigint>> {
  const at = (offset: number): bigint => ledger + BigInt(offset);
  return {
    ledger,
    misuses: at(layout.misusesOffset),
    runtimeObjects: at(layout.runtimeObjectsOffset),
    walkCache: at(layout.walkCacheOffset),
    stackPool: at(layout.stackPoolOffset),
    slots: at(layout.slotsOffset),
    slotCount: BigInt(layout.slotCount),
    earlierLives: at(layout.earlierLivesOffset),
    misuseLives: at(layout.misuseLivesOffset),
    earlierLivesSizeBytes: BigInt(layout.earlierLivesSizeBytes),
    earlierLivesMask: BigInt((layout.history - 1) << 1),
    quarantine: at(layout.quarantineOffset),
    quarantineMask: BigInt(Math.max(layout.quarantineCount - 1, 0)),
    recentOpens: at(layout.recentOpensOffset),
    closeHandle: closeHandle?.begin ?? 0n,
    closeHandleSizeBytes: BigInt(closeHandle?.sizeBytes ?? 0),
    goCode: goCode?.begin ?? 0n,
    goCodeSizeBytes: BigInt(goCode?.sizeBytes ?? 0),
    followsChildren: childName === undefined ? 0n : 1n,
    notesBytecode: notesBytecode ? 1n : 0n,
    requests: modules.some(({ number }) => functionModules[number] === REQUEST_MODULE) ? at(layout.requestsOffset) : 0n,
  };
}

/** Links the functions of one DLL, and returns their relays and their new heads. */
function linkModule(
  code: AgentCode,
  bytes: Uint8Array,
  module: HookedModule,
  imageBase: bigint,
  relays: bigint,
): { readonly relay: CodePatch; readonly patches: readonly CodePatch[] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const head = code.patchedModules[module.number]!;
  view.setBigUint64(head + patchedModule.base, module.base, true);
  module.identity.forEach((value, index) => view.setUint32(head + patchedModule.identity + index * 4, value, true));
  view.setUint32(head + patchedModule.count, module.functions.length, true);

  const jumps = new Uint8Array(module.functions.length * RELAY_SIZE_BYTES).fill(0xcc);
  const patches = module.functions.map(
    ({ row: hooked, rowNumber, address, code: original, moved }, index): CodePatch => {
      const row = rowNumber - hookTable.length - 1;
      const entry = code.patchedFunctions[module.number]! + index * PATCHED_FUNCTION_SIZE_BYTES;
      view.setBigUint64(entry + patchedFunction.address, address, true);
      bytes.set(original.subarray(0, 8), entry + patchedFunction.original);
      const replacement = new Uint8Array(original.subarray(0, 8)); // a slice of a Buffer shares its memory
      replacement.set(jumpHead(address, relays + BigInt(index * RELAY_SIZE_BYTES)));
      bytes.set(replacement, entry + patchedFunction.replacement);
      const { touched, needed } = familyBits(hooked);
      view.setUint32(entry + patchedFunction.touched, touched, true);
      view.setUint32(entry + patchedFunction.needed, needed, true);

      const at = index * RELAY_SIZE_BYTES;
      jumps.set(farJump(imageBase + BigInt(code.functionHooks[row]!)), at);
      const trampoline = relays + BigInt(at + TRAMPOLINE_OFFSET);
      jumps.set(copyPrologue(original, moved, address, trampoline), at + TRAMPOLINE_OFFSET);
      jumps.set(farJump(moved.continuesAt), at + TRAMPOLINE_OFFSET + moved.sizeBytes);
      view.setBigUint64(code.functionTrampolineSlotsOffset + row * 8, trampoline, true);
      const runtimeObjectRow = code.runtimeObjectRows[row]!;
      if (runtimeObjectRow !== 0) setRuntimeModule(view, runtimeObjectRow, module);
      return { address, bytes: replacement };
    },
  );
  return { relay: { address: relays, bytes: jumps }, patches };
}
