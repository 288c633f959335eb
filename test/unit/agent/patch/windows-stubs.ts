/**
 * System-call stubs of Microsoft's ntdll, as others have published them. Nothing here was read from a Windows of ours.
 */

const CHROMIUM =
  'https://chromium.googlesource.com/chromium/src/+/1a5e19b59f677b58aeb53ccef1c430d3a7f11c05/sandbox/win/src/service_resolver_64.cc';

/** Forms of whole stubs, with the number of the call as the source has it. */
export const stubForms: readonly {
  readonly system: string;
  readonly code: string;
  readonly isHookable: boolean;
  readonly source: string;
}[] = [
  {
    system: 'Windows 7',
    code: '4c 8b d1 b8 52 00 00 00 0f 05 c3 66 66 90 66 90',
    isHookable: true,
    source: CHROMIUM,
  },
  {
    // It keeps the arguments first: Windows 8, and Windows 10 1507 (build 10240), which has no support any more.
    system: 'Windows 10 1507',
    code: '48 89 4c 24 08 48 89 54 24 10 4c 89 44 24 18 4c 89 4c 24 20 4c 8b d1 b8 25 00 00 00 0f 05 c3 90',
    isHookable: false,
    source: CHROMIUM,
  },
  {
    system: 'Windows 10 1511 and newer',
    code: '4c 8b d1 b8 55 00 00 00 f6 04 25 08 03 fe 7f 01 75 03 0f 05 c3 cd 2e c3',
    isHookable: true,
    source: CHROMIUM,
  },
  {
    system: 'Wine 8 and newer',
    code: '4c 8b d1 b8 0f 00 00 00 f6 04 25 08 03 fe 7f 01 75 03 0f 05 c3 eb 01 c3 ff 14 25 00 10 fe 7f c3',
    isHookable: true,
    source: 'ntdll.dll of Wine 8.0 (Debian 12) and 10.0 (Debian 13), read by objdump',
  },
];

/** Stubs that other software has hooked. */
export const hookedStubs: readonly { readonly software: string; readonly code: string; readonly source: string }[] = [
  {
    // mov rax, 123456789abcdef0h; jmp rax
    software: 'the sandbox of Chromium',
    code: '48 b8 f0 de bc 9a 78 56 34 12 ff e0 75 03 0f 05 c3 cd 2e c3',
    source:
      'https://chromium.googlesource.com/chromium/src/+/098756533733ea50b2dcb1c40d9a9e18d49febbe/sandbox/win/src/resolver_64.cc',
  },
  // The distances of these two are not published; any do.
  {
    software: 'CrowdStrike Falcon: its near jump follows the first instruction',
    code: '4c 8b d1 e9 44 33 22 11 f6 04 25 08 03 fe 7f 01 75 03 0f 05 c3 cd 2e c3',
    source:
      'https://github.com/inb1ts/inb1ts.github.io/blob/35084e4e78c184d76847bef33e6857939bd7847f/content/posts/in-memory-unhooking.md',
  },
  {
    software: 'Sophos: it begins with a near jump',
    code: 'e9 44 33 22 11 00 00 00 f6 04 25 08 03 fe 7f 01 75 03 0f 05 c3 cd 2e c3',
    source: 'https://signal-labs.com/analysis-of-edr-hooks-bypasses-amp-our-rust-sample/',
  },
];

/**
 * The numbers of two calls by version: the first never changes, the second with almost every version. With the forms
 * above they make the heads of the stubs.
 * Source: https://github.com/j00ru/windows-syscalls/blob/8a6806ac9148633e8afbbdb42e6002930b002741/x64/json/nt-per-system.json
 */
export const callNumbers: readonly (readonly [version: string, NtClose: number, NtCreateUserProcess: number])[] = [
  ['Windows 10 1511', 0x0f, 0xbb],
  ['Windows 10 1607, Server 2016', 0x0f, 0xbd],
  ['Windows 10 1703', 0x0f, 0xc0],
  ['Windows 10 1709', 0x0f, 0xc1],
  ['Windows 10 1803', 0x0f, 0xc2],
  ['Windows 10 1809, Server 2019', 0x0f, 0xc3],
  ['Windows 10 1903', 0x0f, 0xc4],
  ['Windows 10 1909', 0x0f, 0xc4],
  ['Windows 10 2004', 0x0f, 0xc8],
  ['Windows 10 20H2', 0x0f, 0xc8],
  ['Windows 10 21H1', 0x0f, 0xc8],
  ['Windows 10 21H2', 0x0f, 0xc9],
  ['Windows 10 22H2', 0x0f, 0xc9],
  ['Server 2022', 0x0f, 0xcd],
  ['Windows 11 21H2', 0x0f, 0xce],
  ['Windows 11 22H2', 0x0f, 0xcf],
  ['Windows 11 23H2', 0x0f, 0xcf],
  ['Server 23H2', 0x0f, 0xd0],
  ['Windows 11 24H2', 0x0f, 0xd1],
  ['Server 2025', 0x0f, 0xd1],
  ['Windows 11 25H2', 0x0f, 0xd1],
];
