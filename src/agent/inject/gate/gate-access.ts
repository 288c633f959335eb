import { NtSetSecurityObject } from '../../../ffi/ntdll.ts';
import { type AsHandle, failedWithStatus } from '../../../io/index.ts';
import { gateDescriptor } from './gate-descriptor.ts';

const DACL_SECURITY_INFORMATION = 0x04;
const LABEL_SECURITY_INFORMATION = 0x10;

/**
 * Lets every target open an object of the gate, whatever its rights.
 *
 * @throws NtStatusError when Windows refuses
 */
export function openToTargets(object: AsHandle): void {
  const information = DACL_SECURITY_INFORMATION | LABEL_SECURITY_INFORMATION;
  const status = NtSetSecurityObject(object.asHandle().asRawHandle(), information, gateDescriptor());
  if (status !== 0) throw failedWithStatus('let all targets open', 'the exit gate', status);
}
