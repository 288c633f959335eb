import { expect, it } from 'vitest';

import { undecorate } from '../../../src/symbols/undecorate.ts';

it.each([
  ['?open@Box@store@@QEAAXH@Z', 'store::Box::open'],
  ['_ZN5store3Box4openEi', 'store::Box::open'],
  ['_ZNK5store3Box4sizeEv', 'store::Box::size'],
  ['_ZN5store3BoxC2Ev', 'store::Box::Box'],
  ['_ZN5store3BoxD0Ev', 'store::Box::~Box'],
  ['_ZN12_GLOBAL__N_14leakEv', '(anonymous namespace)::leak'],
  ['_Z4leaki', 'leak'],
  ['_ZL4leaki', 'leak'],
  // Of these we understand too little, and say so by leaving them alone.
  ['_ZN5store3Box3getIiEET_S2_', '_ZN5store3Box3getIiEET_S2_'],
  ['_Z3getIiET_S0_', '_Z3getIiET_S0_'],
  ['_ZN5store3BoxaSERKS0_', '_ZN5store3BoxaSERKS0_'],
  ['_ZNSt6vectorIiSaIiEE9push_backEOi', '_ZNSt6vectorIiSaIiEE9push_backEOi'],
  ['_ZN5sto', '_ZN5sto'],
  ['_Z', '_Z'],
  ['main', 'main'],
  ['', ''],
])('%s is shown as %s', (decorated, plain) => {
  expect(undecorate(decorated)).toBe(plain);
});
