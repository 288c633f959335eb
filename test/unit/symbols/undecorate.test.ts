import { describe, expect, it } from 'vitest';

import { demangleMicrosoft } from '../../../src/symbols/demangle/microsoft.ts';
import { undecorate } from '../../../src/symbols/undecorate.ts';

it.each([
  ['?open@Box@store@@QEAAXH@Z', 'store::Box::open'],
  ['??$fill@$02@store@@YAXH@Z', 'store::fill<3>'],
  ['_ZN5store3BoxIiE4openEi', 'store::Box<int>::open'],
  ['_ZN5store3box4open17h0123456789abcdefE', 'store::box::open'],
  ['_RNvNtCs15kBYyAo9fc_5store3box4open', 'store::box::open'],
  // A name that is not understood stays as it is.
  ['_ZN5store3BoxIXadL_Z1fvEEE1gEv', '_ZN5store3BoxIXadL_Z1fvEEE1gEv'],
  ['??_C@_00CNPNBAHC@@', '??_C@_00CNPNBAHC@@'],
  ['_ZN5sto', '_ZN5sto'],
  ['_Z', '_Z'],
  ['_R', '_R'],
  ['?', '?'],
  ['main', 'main'],
  ['', ''],
])('%s is shown as %s', (decorated, plain) => {
  expect(undecorate(decorated)).toBe(plain);
});

describe('the names of Visual C++', () => {
  it.each([
    // Names of real DLLs and PDBs, as llvm-undname understands them.
    ['??0exception@std@@QEAA@AEBV01@@Z', 'std::exception::exception'],
    ['??1?$numpunct@D@std@@MEAA@XZ', 'std::numpunct<char>::~numpunct<char>'],
    ['??_G?$ctype@D@std@@MEAAPEAXI@Z', "std::ctype<char>::`scalar deleting destructor'"],
    [
      '??_E?$basic_ios@DU?$char_traits@D@std@@@std@@$4PPPPPPPM@A@EAAPEAXI@Z',
      "std::basic_ios<char,std::char_traits<char> >::`vector deleting destructor'",
    ],
    ['??_F?$codecvt@GDH@std@@QEAAXXZ', "std::codecvt<unsigned short,char,int>::`default constructor closure'"],
    [
      '??$?6U?$char_traits@D@std@@@std@@YAAEAV?$basic_ostream@DU?$char_traits@D@std@@@0@AEAV10@PEBD@Z',
      'std::operator<<<std::char_traits<char> >',
    ],
    ['??$Set@VString@Napi@@@Object@Napi@@QEBA_NPEBDAEBVString@1@@Z', 'Napi::Object::Set<Napi::String>'],
    [
      '??$New@P6A?AVValue@Napi@@AEBVCallbackInfo@2@@Z@Function@Napi@@SA?AV01@PEAUnapi_env__@@P6A?AVValue@1@AEBVCallbackInfo@1@@ZPEBDPEAX@Z',
      'Napi::Function::New<Napi::Value (__cdecl*)(Napi::CallbackInfo const &)>',
    ],
    [
      '??$ftprintf@PEAU_iobuf@@PEB_WAEBQEB_WAEBI@?$__crt_char_traits@_W@@SAH$$QEAPEAU_iobuf@@$$QEAPEB_WAEBQEB_WAEBI@Z',
      '__crt_char_traits<wchar_t>::ftprintf<_iobuf *,wchar_t const *,wchar_t const * const &,unsigned int const &>',
    ],
    [
      '??1?$unique_ptr@$$BY0A@_WU?$default_delete@$$BY0A@_W@std@@@std@@QEAA@XZ',
      'std::unique_ptr<wchar_t[],std::default_delete<wchar_t[]> >::~unique_ptr<wchar_t[],std::default_delete<wchar_t[]> >',
    ],
    ['??BValue@Napi@@QEBAPEAUnapi_value__@@XZ', 'Napi::Value::operator napi_value__ *'],
    ['?hidden@?A0x1234abcd@store@@YAHH@Z', 'store::(anonymous namespace)::hidden'],
    ['??R<lambda_0>@?0??go@K@store@@UEAAHH@Z@QEBA?A?<auto>@@H@Z', 'store::K::go::<lambda_0>::operator()'],
    ['??R<lambda_1>@?0??main@@9@QEBA?A?<auto>@@H@Z', 'main::<lambda_1>::operator()'],
    ['?f@?$A@$0?1$0CA@@@QEAAXXZ', 'A<-2,32>::f'],
    ['?f@?$A@P8B@@EAAHH@Z@@QEAAXXZ', 'A<int (__cdecl B::*)(int)>::f'],
    ['?f@?$A@PEQB@@H@@QEAAXXZ', 'A<int B::*>::f'],
    ['?f@?$A@PEAY02H$$T$$CBH@@QEAAXXZ', 'A<int (*)[3],std::nullptr_t,int const>::f'],
    ['?f@?$A@$$V@@QEAAXXZ', 'A<>::f'],
    ['??__Eapp@@YAXXZ', "`dynamic initializer for 'app''"],
    ['??__FAt@box@@YAXXZ', "box::`dynamic atexit destructor for 'At''"],
  ])('%s is %s', (decorated, plain) => {
    expect(demangleMicrosoft(decorated)).toBe(plain);
  });

  it.each([
    ['an address as a template argument', '?f@?$A@$1?x@@3HA@@QEAAXXZ'],
    ['a digit without a name', '?f@7@@QEAAXXZ'],
    ['no end', '?f@store'],
    ['a constructor without a class', '??0@QEAA@XZ'],
    ['a code that has no meaning', '??_Zf@@YAXXZ'],
    ['nesting without end', `?f@${'?$A@V'.repeat(500)}`],
    ['names that double without end', `?f@${'?$A@V0@V0@'.repeat(300)}@@YAXXZ`],
    ['more letters than any compiler writes', `?${'f'.repeat(5000)}@@YAXXZ`],
    ['another decoration', '_Z1fv'],
  ])('one with %s is not understood', (_, decorated) => {
    expect(demangleMicrosoft(decorated)).toBeUndefined();
  });
});
