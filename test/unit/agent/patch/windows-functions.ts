/**
 * Beginnings of functions of Microsoft's DLLs, and of changed ones, as others have published them. Nothing here was
 * read from a Windows of ours.
 */

interface Prologue {
  readonly name: string;
  readonly code: string;
  /** How many bytes the agent moves. */
  readonly movedBytes: number;
  readonly source: string;
}

const KERNELBASE =
  'https://github.com/turingcompl33t/windows-internals/blob/eba1bc5401b7b57b58d1a966e7dbc633b8e3f87c/SystemArchitecture/Experiments/Kernel32Forwarding/README.md';
/** The runtimes of Visual C++ 14 that the package brings. */
const RUNTIMES = 'https://www.npmjs.com/package/edge-js/v/26.1.0';

export const microsoftPrologues: readonly Prologue[] = [
  {
    name: 'kernelbase!CreateFileW, Windows 10 1903',
    // sub rsp, 58h; mov r10d, [rsp+88h]; mov eax, r10d
    code: '48 83 ec 58 44 8b 94 24 88 00 00 00 41 8b c2 25 b7 7f 00 00',
    movedBytes: 12,
    source: KERNELBASE,
  },
  {
    name: 'kernelbase!RaiseFailFastException, Windows 10 1903',
    // mov [rsp+18h], rbx; mov [rsp+20h], rsi; push rdi
    code: '48 89 5c 24 18 48 89 74 24 20 57 48 81 ec c0 05 00 00',
    movedBytes: 5,
    source: KERNELBASE,
  },
  {
    name: 'vcruntime140!_CreateFrameInfo',
    code: '40 53 48 83 ec 20', // push rbx; sub rsp, 20h
    movedBytes: 6,
    source: RUNTIMES,
  },
  {
    name: 'vcruntime140!__AdjustPointer',
    code: '48 63 02 48 03 c1', // movsxd rax, [rdx]; add rax, rcx
    movedBytes: 6,
    source: RUNTIMES,
  },
  {
    name: 'vcruntime140!memcmp',
    code: '48 2b d1 49 83 f8 08', // sub rdx, rcx; cmp r8, 8
    movedBytes: 7,
    source: RUNTIMES,
  },
  {
    name: 'vcruntime140!memset',
    code: '4c 8b d9 0f b6 d2', // mov r11, rcx; movzx edx, dl
    movedBytes: 6,
    source: RUNTIMES,
  },
  {
    name: 'vcruntime140!wcschr',
    code: '48 83 ec 18 66 0f 6f 14 24', // sub rsp, 18h; movdqa xmm2, [rsp]
    movedBytes: 9,
    source: RUNTIMES,
  },
  {
    name: 'vcruntime140!_SetWinRTOutOfMemoryExceptionCallback',
    code: '48 89 0d c9 03 01 00', // mov [rip+103c9h], rcx
    movedBytes: 7,
    source: RUNTIMES,
  },
  {
    name: 'vcruntime140!__CxxFrameHandler2',
    code: 'e9 5b ff ff ff', // jmp
    movedBytes: 0,
    source: RUNTIMES,
  },
  {
    name: 'msvcp140!_Cosh',
    code: '48 8b c4 f2 0f 11 40 08', // mov rax, rsp; movsd [rax+8], xmm0
    movedBytes: 8,
    source: RUNTIMES,
  },
  {
    name: 'msvcp140!_Mtx_trylock',
    code: '48 83 ec 38 83 64 24 28 00', // sub rsp, 38h; and dword ptr [rsp+28h], 0
    movedBytes: 9,
    source: RUNTIMES,
  },
  {
    name: 'msvcp140!_Cnd_init_in_situ',
    code: '48 83 ec 28 8b 05 0e ad 07 00', // sub rsp, 28h; mov eax, [rip+7ad0eh]
    movedBytes: 10,
    source: RUNTIMES,
  },
];

/**
 * A function that Windows has patched while it runs: the bytes at distances from its beginning. The long jump may have
 * any distance, for the page of pointers lies where there is room.
 */
export const hotpatchedFunctions: readonly {
  readonly what: string;
  readonly pieces: Readonly<Record<number, string>>;
  readonly source: string;
}[] = [
  {
    what: 'jmp -7; jmp rel32; jmp [rip+0ffah]',
    pieces: { 0: 'eb f9 5c 24 08', [-5]: 'e9 fb 0f 00 00', 4091: 'ff 25 fa 0f 00 00' },
    source: 'https://github.com/microsoft/Detours/blob/9764cebcb1a75940e68fa83d6730ffaf0f669401/src/detours.cpp',
  },
];

/** Jumps that are no function's own. */
export const jumpsOfOthers: readonly { readonly what: string; readonly code: string; readonly source: string }[] = [
  {
    what: 'mov rax, imm64; jmp rax',
    code: '48 b8 f0 de bc 9a 78 56 34 12 ff e0',
    source:
      'https://chromium.googlesource.com/chromium/src/+/098756533733ea50b2dcb1c40d9a9e18d49febbe/sandbox/win/src/resolver_64.cc',
  },
  {
    what: 'jmp [rip + disp32], also that of kernel32!CreateFileW to kernelbase',
    code: 'ff 25 82 59 05 00',
    source: KERNELBASE,
  },
  { what: 'jmp [rip + disp32] with a prefix', code: '48 ff 25 59 96 00 00', source: RUNTIMES },
  // The forms that follow have no source but the instruction set.
  { what: 'mov r11, imm64; jmp r11', code: '49 bb 88 77 66 55 44 33 22 11 41 ff e3', source: 'Intel SDM' },
  { what: 'push imm32; ret', code: '68 44 33 22 11 c3', source: 'Intel SDM' },
  {
    what: 'push rax; mov rax, imm64; xchg [rsp], rax; ret',
    code: '50 48 b8 88 77 66 55 44 33 22 11 48 87 04 24 c3',
    source: 'Intel SDM',
  },
  { what: 'int3', code: 'cc 89 5c 24 08', source: 'Intel SDM' },
];
