import { STUB_TRAMPOLINE_SIZE_BYTES } from '../patch/stub.ts';

/** The agent's code comes in variants. */
export interface AgentVariant {
  /** Closed values are quarantined. */
  readonly quarantine: boolean;
  /** Every stack is walked with the unwinder too, and differences are counted: for tests. */
  readonly checked: boolean;
  /** Threads may be stopped at a misuse or an opening: hooks/stop-there.ts. */
  readonly stops?: boolean;
}

/** Room for a {@link stubTrampoline}, in steps that a processor likes to jump to. */
export const CALL_TRAMPOLINE_SIZE_BYTES: number = Math.ceil(STUB_TRAMPOLINE_SIZE_BYTES / 16) * 16;
/**
 * The agent's code before it is linked for one target (link-agent.ts). It is position-independent and the same on every
 * machine, so that it can be assembled long before it is needed. All offsets are in bytes from its beginning.
 */
export interface AgentCode {
  /** They begin with room for the {@link agentHeader}. */
  readonly bytes: Uint8Array;
  /** {@link hashCode} of the bytes. */
  readonly hash: readonly [number, number];
  /** Offset of the {@link linkSlots}, in their order. */
  readonly linkSlotsOffset: number;
  /** Functions of ntdll whose addresses the code reads, and the offset of the first one's slot. */
  readonly ntdllImports: readonly string[];
  readonly ntdllImportsOffset: number;
  /** Offsets of the gate's names; see {@link setGateName}. */
  readonly arrivedNameOffset: number;
  readonly judgedNameOffset: number;
  readonly threadsSeenNameOffset: number;
  readonly childNameOffset: number;
  /** Offsets of the hooks of the hook table's rows. */
  readonly callHooks: readonly number[];
  /** Offset of the rows' trampolines, {@link CALL_TRAMPOLINE_SIZE_BYTES} each. */
  readonly callTrampolinesOffset: number;
  /** Offsets of the hooks of the function table's rows. */
  readonly functionHooks: readonly number[];
  /** Offset of 64-bit slots with the addresses of the rows' trampolines, which lie near the functions. */
  readonly functionTrampolineSlotsOffset: number;
  /** Offset of the {@link runtimeObjectRow} of each of the function table's rows; 0 for a function of Winsock. */
  readonly runtimeObjectRows: readonly number[];
  /** For each of the {@link functionModules} the offset of its {@link patchedModule}, ... */
  readonly patchedModules: readonly number[];
  /** ... and that of its first {@link patchedFunction}. */
  readonly patchedFunctions: readonly number[];
}

/** The name by which a bundle keeps a variant. */
export function variantName({ quarantine, checked, stops = false }: AgentVariant): string {
  return [...(quarantine ? ['quarantine'] : []), ...(checked ? ['checked'] : []), ...(stops ? ['stops'] : [])].join(
    ' ',
  );
}
