import type { Memory } from '../asm/operands.ts';
import type { GrownField } from './agent-header.ts';

/**
 * 64-bit slots behind the agent's code for what the code cannot know when it is assembled. The code reads them as
 * compiled code reads its import address table, and the linker fills them in for one target. The linker also fills in
 * the trampolines, the names of the gate, and the tables of DLLs and their functions (patch-table.ts,
 * runtime-object-row.ts). So the code itself is the same for every target.
 */
export const linkSlots = [
  /** Addresses of the ledger and its parts in the target. */
  'ledger',
  'misuses',
  'runtimeObjects',
  'walkCache',
  'stackPool',
  'slots',
  'slotCount',
  'earlierLives',
  'misuseLives',
  /** Bytes of the earlier lives of one value, and the bits of a slot's state that choose among them. */
  'earlierLivesSizeBytes',
  'earlierLivesMask',
  /** With a quarantine: the address of its ring, its count less one, and the address of the ring of recent opens. */
  'quarantine',
  'quarantineMask',
  'recentOpens',
  /** Address and size of CloseHandle; 0 where they are not known. */
  'closeHandle',
  'closeHandleSizeBytes',
  /** Address and size of the code of Go in a Go program; 0 in any other. */
  'goCode',
  'goCodeSizeBytes',
  /** 1 when the auditor wants to hear of child processes. */
  'followsChildren',
  /** 1 when stacks note which instruction of V8's interpreter made a call. */
  'notesBytecode',
  /** Address of the table of requests: see emit/hooks/functions/request-hook.ts; 0 where nothing is noted. */
  'requests',
] as const;

export type LinkSlot = (typeof linkSlots)[number];

/** Operands by which emitted code reads what was linked. */
export interface LinkedEnvironment {
  readonly linkSlots: Readonly<Record<LinkSlot, Memory>>;
  /** Fields of the agent's header, which the code writes too. */
  readonly grown: Readonly<Record<GrownField, Memory>>;
  /**
   * The slot with the address of a function of ntdll, for `call`. A call through it does not enter the agent's hook.
   * The slot holds 0 where this ntdll has none of an {@link optionalNtdllImports | optional function}.
   */
  ntdllImport(name: string): Memory;
}

/** Functions that an ntdll may lack: NtCompareObjects is new in Windows 10, and Wine 8 has none. */
export const optionalNtdllImports: ReadonlySet<string> = new Set(['NtCompareObjects', 'RtlAddGrowableFunctionTable']);
