import { expect, it } from 'vitest';

import { undecorate } from '../../../src/symbols/undecorate.ts';

it.each([
  ['?open@Box@store@@QEAAXH@Z', 'store::Box::open'],
  ['??$fill@$02@store@@YAXH@Z', 'store::fill<3>'],
  ['_ZN5store3BoxIiE4openEi', 'store::Box<int>::open'],
  ['_ZN5store3box4open17h0123456789abcdefE', 'store::box::open'],
  ['_RNvNtCs15kBYyAo9fc_5store3box4open', 'store::box::open'],
  // A name that is not understood stays as it is.
  ['_ZN5store3BoxIXadL_Z1fvEEE1gEv', '_ZN5store3BoxIXadL_Z1fvEEE1gEv'],
  ['_ZN5sto', '_ZN5sto'],
  ['_Z', '_Z'],
  ['_R', '_R'],
  ['main', 'main'],
  ['', ''],
])('%s is shown as %s', (decorated, plain) => {
  expect(undecorate(decorated)).toBe(plain);
});
