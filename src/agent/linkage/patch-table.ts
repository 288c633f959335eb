import { type Struct, struct } from '../ledger/struct.ts';
import type { Assembler } from '../asm/assembler.ts';
import type { Label } from '../asm/operands.ts';

// The data about the functions that the agent hooks once their DLLs are mapped (function-patches.ts).

const patchedModuleFields = {
  /** The address at which it must lie for the hooks to fit. */
  base: 'u64',
  /**
   * The values of its headers at the {@link identityOffsets}. They are all 0, and so those of no DLL, where there is
   * nothing to hook.
   */
  identity: 'u32[3]',
  /** Rows of its {@link patchedFunction | table}. */
  count: 'u32',
} as const;

const patchedModuleStruct: Struct<typeof patchedModuleFields> = struct(patchedModuleFields);

/** A row of data that tells a DLL from every other, and how many of its functions are to be hooked. */
export const patchedModule: Struct<typeof patchedModuleFields>['offsets'] = patchedModuleStruct.offsets;
export const PATCHED_MODULE_SIZE_BYTES: number = patchedModuleStruct.sizeBytes;

/**
 * Offsets of TimeDateStamp, AddressOfEntryPoint and SizeOfImage from the PE header. One alone may be shared:
 * reproducible builds give all their files the same time.
 */
export const identityOffsets = [0x08, 0x28, 0x50] as const;

const patchedFunctionFields = {
  address: 'u64',
  /** The eight bytes that must be there. */
  original: 'u8[8]',
  /** The eight bytes that replace them. */
  replacement: 'u8[8]',
  /** {@link FamilyBits} */
  touched: 'u32',
  needed: 'u32',
} as const;

const patchedFunctionStruct: Struct<typeof patchedFunctionFields> = struct(patchedFunctionFields);

/** A row of data about a function that is to be hooked once its DLL is mapped. */
export const patchedFunction: Struct<typeof patchedFunctionFields>['offsets'] = patchedFunctionStruct.offsets;
export const PATCHED_FUNCTION_SIZE_BYTES: number = patchedFunctionStruct.sizeBytes;

/** Labels of a module's row, and of the first row of its functions. */
export interface PatchTable {
  readonly module: Label;
  readonly functions: Label;
}

/** Reserves room for the rows of a module and of its functions. The linker fills them in. */
export function emitPatchTable(asm: Assembler, functionCount: number): PatchTable {
  asm.align(8);
  const [module, functions] = asm.labels('patched module', 'patched functions');
  asm.bind(module);
  asm.data(new Uint8Array(PATCHED_MODULE_SIZE_BYTES));
  asm.bind(functions);
  asm.data(new Uint8Array(functionCount * PATCHED_FUNCTION_SIZE_BYTES));
  return { module, functions };
}
