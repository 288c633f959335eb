import { expect, test } from 'vitest';

import { gateDescriptor } from '../../../../src/agent/inject/gate/gate-descriptor.ts';
import { hex } from '../hex.ts';

// Compare: ConvertStringSecurityDescriptorToSecurityDescriptor of
// D:(A;;GA;;;WD)(A;;GA;;;AN)(A;;GA;;;RC)(A;;GA;;;AC)(A;;GA;;;S-1-15-2-2)S:(ML;;NW;;;S-1-16-0).
test('the objects of the gate are open to everybody, app containers and processes without trust included', () => {
  const pieces = [
    '01 00 14 80 00 00 00 00 00 00 00 00 14 00 00 00 30 00 00 00', // SECURITY_DESCRIPTOR_RELATIVE
    '02 00 1c 00 01 00 00 00', // SACL with one entry
    '11 00 14 00 01 00 00 00 01 01 00 00 00 00 00 10 00 00 00 00', // mandatory label, no write up, S-1-16-0
    '02 00 74 00 05 00 00 00', // DACL with five entries
    '00 00 14 00 00 00 00 10 01 01 00 00 00 00 00 01 00 00 00 00', // allow, GENERIC_ALL, S-1-1-0
    '00 00 14 00 00 00 00 10 01 01 00 00 00 00 00 05 07 00 00 00', // the same for S-1-5-7
    '00 00 14 00 00 00 00 10 01 01 00 00 00 00 00 05 0c 00 00 00', // S-1-5-12
    '00 00 18 00 00 00 00 10 01 02 00 00 00 00 00 0f 02 00 00 00 01 00 00 00', // S-1-15-2-1
    '00 00 18 00 00 00 00 10 01 02 00 00 00 00 00 0f 02 00 00 00 02 00 00 00', // S-1-15-2-2
  ];
  expect(hex(gateDescriptor())).toBe(pieces.join(' '));
});
