import { readRegistryNumber } from './machine.ts';

const POLICY = 'SYSTEM\\CurrentControlSet\\Control\\CI\\Policy';
/** https://learn.microsoft.com/windows/apps/develop/smart-app-control/test-your-app-with-smart-app-control */
const SMART_APP_CONTROL = ['is off', 'is on', 'is in evaluation'] as const;

function readState(): number | undefined {
  return readRegistryNumber(POLICY, 'VerifiedAndReputablePolicyState');
}

/** Whether Smart App Control refuses DLLs that are not signed and that it does not know. */
export function isSmartAppControlEnforced(): boolean {
  return SMART_APP_CONTROL[readState() ?? 0] === 'is on';
}

/** The state of Smart App Control, as a clause. */
export function spellApplicationControl(): string {
  const state = readState();
  if (state === undefined) return 'there is no Smart App Control';
  return `Smart App Control ${SMART_APP_CONTROL[state] ?? `has the unknown state ${state}`}`;
}
