import { readRegistryNumber } from './machine.ts';

const POLICY = 'SYSTEM\\CurrentControlSet\\Control\\CI\\Policy';
const SMART_APP_CONTROL = ['off', 'on', 'in evaluation'] as const;

/** The state of Smart App Control, in a word or two; it refuses DLLs that are not signed, as koffi's. */
export function spellApplicationControl(): string {
  const state = readRegistryNumber(POLICY, 'VerifiedAndReputablePolicyState');
  if (state === undefined) return 'Smart App Control: not there';
  return `Smart App Control: ${SMART_APP_CONTROL[state] ?? state}`;
}
