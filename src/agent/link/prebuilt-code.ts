import type { AgentCode } from '../linkage/agent-code.ts';

/** Code with its bytes in Base64. */
type PrebuiltCode = Omit<AgentCode, 'bytes'> & { readonly bytes: string };

/**
 * Code of variants by their names. The bundle has the variants that `unclosed run` needs (scripts/bundle.js). The
 * modules themselves have none.
 */
export const prebuiltCode: ReadonlyMap<string, () => PrebuiltCode> = new Map();
