import { type Struct, struct } from '../ledger/struct.ts';

const headerFields = {
  /** {@link AGENT_MAGIC}. */
  magic: 'u64',
  /** AgentCode.hash: an agent with another hash is of another version, or of another variant. */
  hash: 'u32[2]',
  /** Address and size of the ledger that it writes. */
  ledger: 'u64',
  ledgerSizeBytes: 'u64',
  /** For each of the functionModules the address of its relays; 0 where it has none, and in the rest. */
  relays: 'u64[8]',
  /** 1 once its hooks are gone and no thread is in the midst of a recording. */
  isQuiet: 'u32',
  padding: 'u32',
  /** How many slots of the ledger have memory. The agent raises it: emit/recorder/grow-ledger.ts. */
  slotsCommitted: 'u64',
  /** Bytes of the stack pool that have memory, ... */
  stackPoolCommitted: 'u64',
  /** ... and how many may be in use before more gets some; all bits set once the whole pool has. */
  stackPoolGrowAt: 'u64',
} as const;

const headerStruct: Struct<typeof headerFields> = struct(headerFields);

/**
 * The beginning of the agent's image, by which a later auditor finds out what an earlier one has left in a target. It
 * comes from the target: every value may be anything.
 */
export const agentHeader: Struct<typeof headerFields>['offsets'] = headerStruct.offsets;
export const AGENT_HEADER_SIZE_BYTES: number = headerStruct.sizeBytes;
/** The header has a page of its own, which stays writable: the pages of code behind it do not. */
export const AGENT_HEADER_ROOM_BYTES = 4096;

/** The fields that the agent writes. */
export const grownFields = ['slotsCommitted', 'stackPoolCommitted', 'stackPoolGrowAt'] as const;

export type GrownField = (typeof grownFields)[number];

export const AGENT_MAGIC = 0x544e_4547_4143_4e55n; // "UNCAGENT"

/** Two FNV-1a hashes of an agent's code. */
export function hashCode(bytes: Uint8Array): readonly [number, number] {
  let [low, high] = [0x811c_9dc5, 0x1000_193];
  for (const byte of bytes) {
    low = Math.imul(low ^ byte, 0x0100_0193);
    high = Math.imul(high ^ byte, 0x0100_01b3);
  }
  return [low >>> 0, high >>> 0];
}
