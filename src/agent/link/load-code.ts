import { type AgentCode, type AgentVariant, variantName } from '../linkage/agent-code.ts';
import { prebuiltCode } from './prebuilt-code.ts';

/** By name, as a tree of processes needs the same code again and again. */
const loaded = new Map<string, Promise<AgentCode>>();

/** Loads the code of a variant, once: from the bundle if that has it, or else by assembling it now. */
export async function loadCode(variant: AgentVariant): Promise<AgentCode> {
  const name = variantName(variant);
  const code = loaded.get(name) ?? load(variant);
  loaded.set(name, code);
  return await code;
}

async function load(variant: AgentVariant): Promise<AgentCode> {
  const prebuilt = prebuiltCode.get(variantName(variant))?.();
  if (prebuilt !== undefined) return { ...prebuilt, bytes: Buffer.from(prebuilt.bytes, 'base64') };
  const { assembleAgent } = await import('../emit/assembly.ts');
  return assembleAgent(variant);
}
