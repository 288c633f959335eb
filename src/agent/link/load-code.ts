import { type AgentCode, type AgentVariant, variantName } from '../linkage/agent-code.ts';
import { prebuiltCode } from './prebuilt-code.ts';

/** Loads the code of a variant: from the bundle if that has it, or else by assembling it now. */
export async function loadCode(variant: AgentVariant): Promise<AgentCode> {
  const prebuilt = prebuiltCode.get(variantName(variant))?.();
  if (prebuilt !== undefined) return { ...prebuilt, bytes: Buffer.from(prebuilt.bytes, 'base64') };
  const { assembleAgent } = await import('../emit/assembly.ts');
  return assembleAgent(variant);
}
