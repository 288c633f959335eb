import type { AgentCode } from '../linkage/agent-code.ts';

/** Code with its bytes in Base64. */
export type PrebuiltCode = Omit<AgentCode, 'bytes'> & { readonly bytes: string };

/**
 * The code of variants by their names. The bundle has those that `unclosed run` needs (scripts/bundle.js); the modules
 * themselves have none.
 */
export const prebuiltCode: ReadonlyMap<string, () => PrebuiltCode> = new Map();
