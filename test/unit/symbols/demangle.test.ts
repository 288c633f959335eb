import { describe, expect, it } from 'vitest';

import { demangleItanium } from '../../../src/symbols/demangle/itanium.ts';
import { demangleRust } from '../../../src/symbols/demangle/rust.ts';
import { ends } from '../../hang.ts';
import { randomNumbers } from './bytes.ts';

// The plain names are those of binutils' c++filt without parameters (-p).
const cplusplus = [
  ['_Z4leaki', 'leak'],
  ['_ZL4leaki', 'leak'],
  ['_ZN5store3Box4openEi', 'store::Box::open'],
  ['_ZNK5store3Box4sizeEv', 'store::Box::size'],
  ['_ZN5store3BoxC2Ev', 'store::Box::Box'],
  ['_ZN5store3BoxD0Ev', 'store::Box::~Box'],
  ['_ZN5store3BoxIiEC1Ev', 'store::Box<int>::Box'],
  ['_ZN12_GLOBAL__N_14leakEv', '(anonymous namespace)::leak'],
  ['_ZN5store3Box3getIiEET_S2_', 'store::Box::get<int>'],
  ['_Z3getIiET_S0_', 'get<int>'],
  ['_ZN5store4fillILi3EEEvRKNS_3BoxIiEE', 'store::fill<3>'],
  ['_ZN5store4fillILin3ELb1ELc97ELj4EEEvv', 'store::fill<-3, true, (char)97, 4u>'],
  ['_ZN5store3BoxaSERKS0_', 'store::Box::operator='],
  ['_ZN5storelsERSoRKNS_3BoxE', 'store::operator<<'],
  ['_ZN5store3BoxnwEy', 'store::Box::operator new'],
  ['_ZNK5store3BoxcvbEv', 'store::Box::operator bool'],
  ['_ZNSt6vectorIiSaIiEE9push_backEOi', 'std::vector<int, std::allocator<int> >::push_back'],
  ['_ZNSt8functionIFviPKcEEC2Ev', 'std::function<void (int, char const*)>::function'],
  ['_ZN1aIPFvPA4_cM1biEE1fEv', 'a<void (*)(char (*) [4], int b::*)>::f'],
  ['_ZN1aIRKPVcE1fEv', 'a<char volatile* const&>::f'],
  ['_ZN1aIJifcEE1fEv', 'a<int, float, char>::f'],
  ['_ZN1aIMS_KFivEE1fEv', 'a<int (a::*)() const>::f'],
  ['_ZZ4mainENKUliE_clEi', 'main::{lambda(int)#1}::operator()'],
  ['_ZZN5store4openEiENKUlvE0_clEv', 'store::open(int)::{lambda()#2}::operator()'],
  ['_ZZ4leakvE5local', 'leak()::local'],
  ['_ZN5store4openB5cxx11Ev', 'store::open[abi:cxx11]'],
  ['_ZThn16_N5store3BoxD1Ev', 'store::Box::~Box'],
  ['_ZN5store4openEi.constprop.0', 'store::open'],
] as const;

const rust = [
  ['_RNvNtCs15kBYyAo9fc_5store3box4open', 'store::box::open'],
  ['_RINvCskK7mfDs1mzF_1m5konstKb1_Kcdf_Kan5_EB2_', "m::konst::<true, 'ß', -5>"],
  ['_RNCNvCskK7mfDs1mzF_1m4main0B3_', 'm::main::{closure#0}'],
  ['_RNvXs_NtCskK7mfDs1mzF_1m5storeFlReEhNtB4_5Opens2goB6_', '<fn(i32, &str) -> u8 as m::store::Opens>::go'],
  ['_RNvMNtCskK7mfDs1mzF_1m5storeINtB2_4Box1hE4openB4_', '<m::store::Box1<u8>>::open'],
  ['_ZN5store3box4open17h0123456789abcdefE', 'store::box::open'],
  [
    '_ZN52_$LT$store..Box$u20$as$u20$core..ops..drop..Drop$GT$4drop17h0123456789abcdefE',
    '<store::Box as core::ops::drop::Drop>::drop',
  ],
  ['_ZN4core3ptr36drop_in_place$LT$$RF$mut$u20$i32$GT$17h0123456789abcdefE', 'core::ptr::drop_in_place<&mut i32>'],
] as const;

describe('a name of C++', () => {
  it.each(cplusplus)('%s is shown as %s', (decorated, plain) => expect(demangleItanium(decorated)).toBe(plain));

  it.each([
    '',
    '_',
    '_Z',
    '_ZN5sto',
    '_ZN5store',
    'main',
    '_Z9999999999a',
    '_ZN5store3BoxIXadL_Z1fvEEE1gEv',
    '_ZTV3Box',
    '_ZS_',
    '_ZN1aIT0_E1fEv',
  ])('%j is not understood, and left alone', (name) => expect(demangleItanium(name)).toBeUndefined());
});

describe('a name of Rust', () => {
  it.each(rust)('%s is shown as %s', (decorated, plain) => expect(demangleRust(decorated)).toBe(plain));

  it.each([
    '',
    '_R',
    '_RNv',
    '_RB_',
    '_RNvB_1a',
    '_ZN5store4openEi',
    '_ZN17h0123456789abcdefE',
    '_ZN99store4open17h0123456789abcdefE',
    'main',
  ])('%j is not understood, and left alone', (name) => {
    expect(demangleRust(name)).toBeUndefined();
  });
});

describe('a hostile name', () => {
  it.each([
    [
      'a type that doubles itself',
      demangleItanium,
      `_Z1fI${'S_'.repeat(3)}${Array.from({ length: 36 }, (_, i) => `1aIS${i.toString(36).toUpperCase()}_S${i.toString(36).toUpperCase()}_E`).join('')}EvT_`,
    ],
    ['pointers to pointers', demangleItanium, `_Z1fIP${'P'.repeat(3_900)}iEvT_`],
    ['packs in packs', demangleItanium, `_Z1fI${'J'.repeat(3_900)}`],
    ['names in names', demangleItanium, `_ZN${'1aI'.repeat(1_200)}`],
    ['local names in local names', demangleItanium, `_Z${'Z'.repeat(3_900)}`],
    ['a path that doubles itself', demangleRust, `_R${Array.from({ length: 60 }, () => 'INvB_1aB_B_').join('')}`],
    ['types in types', demangleRust, `_RINvC1a1b${'T'.repeat(3_900)}`],
    ['a name of a megabyte', demangleItanium, `_Z1000000${'a'.repeat(1_000_000)}`],
  ] as const)('(%s) comes to an end, in a name or none', (_, demangle, name) => {
    expect(ends(() => demangle(name))?.length ?? 0).toBeLessThan(210_000);
  });

  it('with any damage gives a name or none, and never throws', () => {
    const random = randomNumbers(11);
    const letters = 'NSTIEZLPRKFMA_0123456789abcdefilmnstvyBCDGQXYJOU$.';
    let understood = 0;
    for (let round = 0; round < 20_000; round++) {
      const [name] = round % 2 === 0 ? cplusplus[random(cplusplus.length)]! : rust[random(rust.length)]!;
      const characters = [...name];
      for (let i = random(3); i >= 0; i--)
        characters[2 + random(name.length - 2)] = letters.charAt(random(letters.length));
      const damaged = characters.join('');
      if ((demangleRust(damaged) ?? demangleItanium(damaged)) !== undefined) understood++;
    }
    expect(understood).toBeGreaterThan(1_000);
  });
});
