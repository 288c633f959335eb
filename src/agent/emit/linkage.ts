import type { Memory } from '../asm/operands.ts';
import { PROLOGUE_SIZE_BYTES_MAX } from '../patch/prologue.ts';
import { FAR_JUMP_SIZE_BYTES, STUB_READ_SIZE_BYTES } from '../patch/stub.ts';

/**
 * What the agent's code cannot know when it is assembled: 64-bit words behind it, which it reads as compiled code reads
 * its import address table, and which are filled in for one target; and so are the trampolines, the names of the gate
 * and what is told of the functions of DLLs (patch-table.ts, runtime-object-row.ts). The code itself is the same for every
 * target.
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
  /** With a quarantine: its ring and the one of recent opens, and its count less one. */
  'quarantine',
  'quarantineMask',
  'recentOpens',
  /** Where CloseHandle lies, and how many bytes it has; 0 where that is not known. */
  'closeHandle',
  'closeHandleSizeBytes',
] as const;

export type LinkSlot = (typeof linkSlots)[number];

/** What emitted code that needs anything of the target is given. */
export interface LinkedEnvironment {
  readonly linkSlots: Readonly<Record<LinkSlot, Memory>>;
  /**
   * Where the address of a function of ntdll stands: of the function itself, past the agent's hook. For `call`; 0 where
   * this ntdll has none of an {@link optionalNtdllImports | optional one}.
   */
  ntdllImport(name: string): Memory;
}

/** NtCompareObjects is new in Windows 10; Wine 8 has none. */
export const optionalNtdllImports: ReadonlySet<string> = new Set(['NtCompareObjects']);

/**
 * Room for a name: its size in UTF-16 twice, as in a UNICODE_STRING, and its text. In an app container they have some
 * two hundred characters.
 */
export const GATE_NAME_SIZE_BYTES = 0x400;
export const GATE_NAME_TEXT = 8;

/** Puts a name in the place that was reserved for it. */
export function setGateName(image: Uint8Array, offset: number, name: string): void {
  const text = Buffer.from(name, 'utf16le');
  if (text.length > GATE_NAME_SIZE_BYTES - GATE_NAME_TEXT)
    throw new Error(`the name of the exit gate has ${name.length} characters`);
  const view = new DataView(image.buffer, image.byteOffset + offset);
  view.setUint16(0, text.length, true);
  view.setUint16(2, text.length, true);
  image.set(text, offset + GATE_NAME_TEXT);
}

/** Room for a whole stub. */
export const CALL_TRAMPOLINE_SIZE_BYTES: number = STUB_READ_SIZE_BYTES;
/** Room for a prologue and a {@link farJump}. */
export const FUNCTION_TRAMPOLINE_SIZE_BYTES: number = PROLOGUE_SIZE_BYTES_MAX + FAR_JUMP_SIZE_BYTES;
