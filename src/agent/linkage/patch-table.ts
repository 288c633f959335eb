import type { Assembler } from '../asm/assembler.ts';
import type { Label } from '../asm/operands.ts';

// What the agent is told of the functions that it hooks once their DLLs are mapped (function-patches.ts).

/** What tells a DLL from every other, and how many of its functions are to be hooked where. A row of data: */
export const patchedModule = {
  /** u64: where it must come to lie for the hooks to fit. */
  base: 0x00,
  /**
   * 3 x u32: what its headers say, see {@link identityOffsets}; all of it 0, and so like no DLL, where there is nothing
   * to hook.
   */
  identity: 0x08,
  /** u32: rows of its {@link patchedFunction | table}. */
  count: 0x14,
  sizeBytes: 0x18,
} as const;

/**
 * TimeDateStamp, AddressOfEntryPoint and SizeOfImage: their offsets from the PE header. One alone may be shared:
 * reproducible builds give all their files the same time.
 */
export const identityOffsets = [0x08, 0x28, 0x50] as const;

/** A function that is to be hooked once its DLL is mapped. A row of data: */
export const patchedFunction = {
  /** u64 */
  address: 0x00,
  /** The eight bytes that must be there. */
  original: 0x08,
  /** The eight bytes that take their place. */
  replacement: 0x10,
  sizeBytes: 0x18,
} as const;

/** Where the rows of a module lie. */
export interface PatchTable {
  readonly module: Label;
  readonly functions: Label;
}

/** Reserves the rows of a module with so many functions. */
export function emitPatchTable(asm: Assembler, functionCount: number): PatchTable {
  asm.align(8);
  const [module, functions] = asm.labels('patched module', 'patched functions');
  asm.bind(module);
  asm.data(new Uint8Array(patchedModule.sizeBytes));
  asm.bind(functions);
  asm.data(new Uint8Array(functionCount * patchedFunction.sizeBytes));
  return { module, functions };
}
