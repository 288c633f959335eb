/** How the agent's code may differ beside what is linked in. */
export interface AgentVariant {
  /** Closed values are quarantined. */
  readonly quarantine: boolean;
  /** See {@link emitCaptureStack}. */
  readonly checked: boolean;
}

/**
 * The agent's code before it is linked for one target (agent-image.ts): position-independent, and the same on every
 * machine, so that it can be assembled long before it is needed. All offsets are in bytes, from its beginning.
 */
export interface AgentCode {
  readonly bytes: Uint8Array;
  /** Of the {@link linkSlots}, in their order. */
  readonly linkSlotsOffset: number;
  /** The functions of ntdll whose addresses it reads, and where the first one's address stands. */
  readonly ntdllImports: readonly string[];
  readonly ntdllImportsOffset: number;
  /** See {@link setGateName}. */
  readonly arrivedNameOffset: number;
  readonly judgedNameOffset: number;
  /** Of the hooks of the hook table's rows. */
  readonly callHooks: readonly number[];
  /** Of the rows' trampolines, {@link CALL_TRAMPOLINE_SIZE_BYTES} each. */
  readonly callTrampolinesOffset: number;
  /** Of the hooks of the function table's rows. */
  readonly functionHooks: readonly number[];
  /** Of the rows' trampolines, {@link FUNCTION_TRAMPOLINE_SIZE_BYTES} each. */
  readonly functionTrampolinesOffset: number;
  /** Of the runtime object rows of the function table's rows; 0 for one of a socket. */
  readonly runtimeObjectRows: readonly number[];
  /**
   * Of each {@link functionModules | module}'s {@link patchedModule}, and of the first {@link patchedFunction} that
   * belongs to it.
   */
  readonly patchedModules: readonly number[];
  readonly patchedFunctions: readonly number[];
}

export function variantName({ quarantine, checked }: AgentVariant): string {
  return [...(quarantine ? ['quarantine'] : []), ...(checked ? ['checked'] : [])].join(' ');
}
