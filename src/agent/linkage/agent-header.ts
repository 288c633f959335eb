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
} as const;

const headerStruct: Struct<typeof headerFields> = struct(headerFields);

/**
 * The beginning of the agent's image, by which a later auditor finds out what an earlier one has left in a target. It
 * comes from the target: every value may be anything.
 */
export const agentHeader: Struct<typeof headerFields>['offsets'] = headerStruct.offsets;
export const AGENT_HEADER_SIZE_BYTES: number = headerStruct.sizeBytes;

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
