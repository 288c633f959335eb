import { describe, expect, it } from 'vitest';
import { type Actor, attributeMisuse, attributeOpening } from '../../../src/analyze/attribution.ts';
import { called, mainBottom, misuse, stack } from './evidence.ts';

interface Opening {
  readonly title: string;
  readonly type: string;
  readonly name?: string;
  readonly frames: readonly string[];
  readonly actor: Actor;
}

// Marked [ran]: the frames are those that Wine 8 shows, with the nearest export for functions without a symbol.
const openings: readonly Opening[] = [
  {
    title: '[ran] an unnamed event of CreateEventW is the program’s',
    type: 'Event',
    frames: ['kernelbase!CreateEventExW+0x152', 'kernelbase!CreateEventW+0x35', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] a named event is the program’s',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventExW+0x152',
      'kernelbase!CreateEventExA+0x5a',
      'kernelbase!CreateEventA+0x35',
      ...mainBottom,
    ],
    actor: 'program',
  },
  {
    title: '[ran] the directory of named objects that CreateEventA opened on the way is the system’s',
    type: 'Directory',
    frames: [
      'kernelbase!BaseGetNamedObjectDirectory+0xaa',
      'kernelbase!CreateEventExW+0x108',
      'kernelbase!CreateEventA+0x35',
      ...mainBottom,
    ],
    actor: 'system',
  },
  {
    title: 'an event through an API set is the program’s',
    type: 'Event',
    frames: ['kernelbase!CreateEventW', 'api-ms-win-core-synch-l1-1-0!CreateEventW', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a system call made by the program itself is the program’s',
    type: 'File',
    frames: mainBottom,
    actor: 'program',
  },
  {
    title: 'a nameless function of kernelbase is taken to serve the program',
    type: 'File',
    frames: ['kernelbase+0x5120', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a name 64 KiB away is no name',
    type: 'File',
    frames: ['kernelbase!GetLastError+0x23456', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a nameless function of another system DLL is not',
    type: 'File',
    frames: ['kernelbase!CreateFileW', 'dxcore+0x5120', ...mainBottom],
    actor: 'system',
  },
  {
    title: '[ran] a file of CreateFileA is the program’s',
    type: 'File',
    frames: ['kernelbase!CreateFileW+0x3e4', 'kernelbase!CreateFileA+0x66', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] a file of fopen is the program’s',
    type: 'File',
    frames: [
      'kernelbase!CreateFileW+0x3e4',
      'msvcrt!_pipe+0x5f9',
      'msvcrt!_wsopen+0x2c',
      'msvcrt!_wfsopen+0x69',
      'msvcrt!_fsopen+0x45',
      'msvcrt!fopen+0xf',
      ...mainBottom,
    ],
    actor: 'program',
  },
  {
    title: '[ran] a descriptor of _dup is the program’s',
    type: 'File',
    frames: ['kernelbase!DuplicateHandle+0x39', 'msvcrt!_dup2+0x20c', 'msvcrt!_dup+0x23', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a file of std::ofstream is the program’s: the C++ runtime only passes the call on',
    type: 'File',
    frames: [
      'kernelbase!CreateFileW',
      'ucrtbase!_wfsopen',
      'msvcp140!std::_Fiopen',
      'msvcp140!std::basic_filebuf<char>::open',
      ...mainBottom,
    ],
    actor: 'program',
  },
  {
    title: '[ran] the pipe of _popen is the program’s',
    type: 'File',
    frames: [
      'kernelbase!CreatePipe+0x17e',
      'msvcrt!_pipe+0x4b',
      'msvcrt!_wpopen+0xf2',
      'msvcrt!_popen+0x57',
      ...mainBottom,
    ],
    actor: 'program',
  },
  {
    title: 'the thread of _beginthread closes its own handle',
    type: 'Thread',
    frames: ['kernelbase!CreateThread', 'msvcrt!_beginthread', ...mainBottom],
    actor: 'system',
  },
  {
    title: '[ran] the thread of _beginthreadex is the program’s',
    type: 'Thread',
    frames: [
      'ntdll!RtlCreateUserThread+0x12c',
      'kernelbase!CreateRemoteThreadEx+0xa5',
      'kernelbase!CreateThread+0x41',
      'msvcrt!_beginthreadex+0x7b',
      ...mainBottom,
    ],
    actor: 'program',
  },
  {
    title: '[ran] the process of CreateProcessA is the program’s',
    type: 'Process',
    frames: [
      'kernelbase!IsInternetESCEnabled+0x39c',
      'kernelbase!CreateProcessInternalW+0x88b',
      'kernelbase!CreateProcessA+0x74',
      ...mainBottom,
    ],
    actor: 'program',
  },
  {
    title: 'a section that CreateProcessW kept is the system’s',
    type: 'Section',
    frames: ['kernelbase!CreateProcessInternalW', 'kernelbase!CreateProcessW', ...mainBottom],
    actor: 'system',
  },
  {
    title: '[ran] a key of RegOpenKeyExW is the program’s',
    type: 'Key',
    name: 'HKCU\\Software',
    frames: ['kernelbase!CompareObjectHandles+0xc65', 'kernelbase!RegOpenKeyExW+0xdd', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] a key of RegOpenKeyA is the program’s',
    type: 'Key',
    name: 'HKLM\\Software',
    frames: ['kernelbase!RegOpenKeyExA+0x1ab', 'advapi32!RegOpenKeyA+0x33', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] the root key that RegOpenKeyExW remembers is the system’s',
    type: 'Key',
    name: 'HKLM\\Software\\Classes',
    frames: [
      'kernelbase!CompareObjectHandles+0x413',
      'kernelbase!CompareObjectHandles+0xe2c',
      'kernelbase!RegOpenKeyExW+0x1b2',
      ...mainBottom,
    ],
    actor: 'system',
  },
  {
    title: 'the user’s root key that RegOpenKeyExW remembers is the system’s',
    type: 'Key',
    name: '\\REGISTRY\\USER\\S-1-5-21-0-0-0-1000',
    frames: ['kernelbase!RegOpenKeyExW', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'a root key asked for by RegOpenCurrentUser is the program’s',
    type: 'Key',
    name: 'HKCU',
    frames: ['kernelbase!RegOpenCurrentUser', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] a socket of socket is the program’s',
    type: 'Socket',
    frames: ['ws2_32!WSASocketW+0x19f', 'ws2_32!socket+0x53', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a socket on Windows, through its provider, is the program’s',
    type: 'Socket',
    frames: ['mswsock!WSPSocket', 'ws2_32!WSASocketW', 'ws2_32!socket', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a key that the provider opened in the first socket call is the system’s',
    type: 'Key',
    frames: ['kernelbase!RegOpenKeyExW', 'mswsock!WSPStartup', 'ws2_32!socket', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'an unrecognised socket is a nameless File and the program’s',
    type: 'File',
    frames: ['mswsock!WSPSocket', 'ws2_32!socket', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a device that socket opened for itself is the system’s',
    type: 'File',
    name: '\\Device\\Nsi',
    frames: ['mswsock!WSPSocket', 'ws2_32!socket', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'an accepted socket is the program’s',
    type: 'Socket',
    frames: ['ws2_32!accept', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] the event that bind keeps for its thread is the system’s',
    type: 'Event',
    frames: ['kernelbase!CreateEventW+0x35', 'ws2_32!WSCEnumProtocols+0x123c', 'ws2_32!bind+0x6b', ...mainBottom],
    actor: 'system',
  },
  {
    title: '[ran] an event of WSACreateEvent is the program’s',
    type: 'Event',
    frames: ['kernelbase!CreateEventW', 'ws2_32!WSACreateEvent', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'what WSAStartup opens is the system’s',
    type: 'File',
    name: '\\Device\\Nsi',
    frames: ['kernelbase!CreateFileW', 'ws2_32!WSAStartup', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'what getaddrinfo opens is the system’s',
    type: 'Socket',
    frames: ['mswsock!WSPSocket', 'ws2_32!WSASocketW', 'ws2_32!getaddrinfo', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'a section that the loader holds is the system’s',
    type: 'Section',
    frames: ['ntdll!LdrLoadDll', 'kernelbase!LoadLibraryExW', 'kernelbase!LoadLibraryA', ...mainBottom],
    actor: 'system',
  },
  {
    title: '[ran] the event of a timer queue is the system’s',
    type: 'Event',
    frames: [
      'ntdll!RtlCreateTimerQueue+0x7b',
      'ntdll!RtlCreateTimer+0x142',
      'kernelbase!CreateTimerQueueTimer+0x37',
      ...mainBottom,
    ],
    actor: 'system',
  },
  {
    title: 'the worker factory of a thread pool is the system’s',
    type: 'TpWorkerFactory',
    frames: ['ntdll!TpAllocPool', 'kernelbase!CreateThreadpool', ...mainBottom],
    actor: 'system',
  },
  {
    title: '[ran] the directory that SetCurrentDirectoryA keeps open is the system’s',
    type: 'File',
    frames: ['ntdll!RtlSetCurrentDirectory_U+0xb1', 'kernelbase!SetCurrentDirectoryA+0x35', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'the semaphore of a contended critical section is the system’s',
    type: 'Semaphore',
    frames: ['ntdll!RtlEnterCriticalSection', ...mainBottom],
    actor: 'system',
  },
  {
    title: '[ran] a section of CreateToolhelp32Snapshot is the program’s',
    type: 'Section',
    frames: ['kernelbase!CreateFileMappingW+0x11b', 'kernel32!CreateToolhelp32Snapshot+0x452', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] a search of FindFirstFileA is the program’s',
    type: 'File',
    frames: ['kernelbase!FindFirstFileExW+0x350', 'kernelbase!FindFirstFileA+0x2a', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] an end of CreatePipe is the program’s',
    type: 'File',
    frames: ['kernelbase!CreatePipe+0x1b5', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'the root of the pipes that CreatePipe keeps is the system’s',
    type: 'File',
    name: '\\Device\\NamedPipe\\',
    frames: ['kernelbase!CreatePipe', ...mainBottom],
    actor: 'system',
  },
  {
    title: '[ran] a completion port is the program’s',
    type: 'IoCompletion',
    frames: ['kernelbase!CreateIoCompletionPort+0xda', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a mutex of CreateMutexA is the program’s',
    type: 'Mutant',
    frames: ['kernelbase!CreateMutexExW+0x96', 'kernelbase!CreateMutexA+0x26', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a duplicate is the program’s whatever its type',
    type: 'Token',
    frames: ['kernelbase!DuplicateHandle', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a token of OpenProcessToken is the program’s',
    type: 'Token',
    frames: ['kernelbase!OpenProcessToken+0xb', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a desktop of CreateDesktopW is the program’s',
    type: 'Desktop',
    frames: ['user32!CreateDesktopW', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a desktop that CreateWindowExW opened is the system’s',
    type: 'Desktop',
    frames: ['user32!CreateWindowExW', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'the process that ShellExecuteExW returns is the program’s',
    type: 'Process',
    frames: ['kernelbase!CreateProcessW', 'shell32!ShellExecuteExW', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a Create function that no table knows is taken at its word',
    type: 'Event',
    frames: ['kernelbase!CreateFutureThing', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'an object of unknown type is taken to be what the function gives',
    type: 'Unknown',
    frames: ['kernelbase!CreateEventW', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a thread of the system alone is the system’s',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'rpcrt4!NdrClientCall3',
      'ntdll!TppWorkerThread',
      'kernel32!BaseThreadInitThunk',
      'ntdll!RtlUserThreadStart',
    ],
    actor: 'system',
  },
  {
    title: '[ran] garbage above the thread’s beginning is no frame of the program',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'kernel32!BaseThreadInitThunk+0x9',
      'ntdll!RtlUserThreadStart+0x88',
      'app+0xc0000000',
      '?',
    ],
    actor: 'system',
  },
  {
    title: 'a callback of the system into the program is the program’s',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'app!onTimer',
      'ntdll!TppWorkerThread',
      'kernel32!BaseThreadInitThunk',
      'ntdll!RtlUserThreadStart',
    ],
    actor: 'program',
  },
  { title: 'an unwalkable stack says nothing', type: 'Event', frames: [], actor: 'unknown' },
  {
    title: 'a constructor of a static object runs before main',
    type: 'Mutant',
    frames: [
      'kernelbase!CreateMutexW',
      'app!Registry::Registry',
      'app!_GLOBAL__sub_I_registry',
      'app!__do_global_ctors',
      'app!__main',
      'app!__tmainCRTStartup',
      'app!mainCRTStartup',
      'kernel32!BaseThreadInitThunk',
      'ntdll!RtlUserThreadStart',
    ],
    actor: 'startup',
  },
  {
    title: 'an initialiser that the UCRT calls runs before main',
    type: 'Mutant',
    frames: [
      'kernelbase!CreateMutexW',
      "app!`dynamic initializer for 'lock''",
      'ucrtbase!_initterm',
      'app!__scrt_common_main_seh',
      'kernel32!BaseThreadInitThunk',
      'ntdll!RtlUserThreadStart',
    ],
    actor: 'startup',
  },
  {
    title: 'start-up code itself runs before main',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'app!__tmainCRTStartup',
      'app!mainCRTStartup',
      'kernel32!BaseThreadInitThunk',
      'ntdll!RtlUserThreadStart',
    ],
    actor: 'startup',
  },
  {
    title: 'a DLL attached by the loader runs before main',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'plugin!DllMain',
      'plugin!DllMainCRTStartup',
      'ntdll!LdrpCallInitRoutine',
      'ntdll!LdrInitializeThunk',
    ],
    actor: 'startup',
  },
  {
    title: 'a DLL told of a new thread does not',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'plugin!DllMain',
      'plugin!DllMainCRTStartup',
      'ntdll!LdrpCallInitRoutine',
      'ntdll!LdrpInitializeThread',
      'ntdll!LdrInitializeThunk',
    ],
    actor: 'program',
  },
  {
    title: 'a DLL that main loaded does not',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'plugin!DllMain',
      'ntdll!LdrpCallInitRoutine',
      'kernelbase!LoadLibraryW',
      ...mainBottom,
    ],
    actor: 'program',
  },
  {
    title: 'a main that vanished by a tail call is not mistaken for start-up',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'app!run',
      'app!__tmainCRTStartup',
      'app!mainCRTStartup',
      'kernel32!BaseThreadInitThunk',
      'ntdll!RtlUserThreadStart',
    ],
    actor: 'program',
  },
  {
    title: 'a program without symbols has no main, and none is missed',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'app+0x13ae',
      'app+0x14e6',
      'kernel32!BaseThreadInitThunk',
      'ntdll!RtlUserThreadStart',
    ],
    actor: 'program',
  },
];

describe('whose an opened handle is', () => {
  it.each(openings)('$title', ({ type, name, frames, actor }) => {
    expect(attributeOpening(stack(...frames), { type, ...(name === undefined ? {} : { name }) })).toBe(actor);
  });
});

const byProgram = called('NtCreateEvent', 'kernelbase!CreateEventW', ...mainBottom);
const bySystem = called('NtCreateEvent', 'kernelbase!CreateEventW', 'ws2_32!WSAStartup', ...mainBottom);

const misuses: readonly {
  title: string;
  kind: 'close' | 'use';
  frames: readonly string[];
  opened?: typeof byProgram;
  actor: Actor;
}[] = [
  {
    title: '[ran] CloseHandle closes what the program gave it',
    kind: 'close',
    frames: ['kernelbase!CloseHandle+0x35', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] RegCloseKey closes what the program gave it',
    kind: 'close',
    frames: ['kernelbase!RegCloseKey+0x2e', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'fclose closes what the program gave it',
    kind: 'close',
    frames: ['kernelbase!CloseHandle', 'msvcrt!_close', 'msvcrt!fclose', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'closesocket closes what the program gave it',
    kind: 'close',
    frames: ['mswsock!WSPCloseSocket', 'ws2_32!closesocket', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'DuplicateHandle may close its source',
    kind: 'close',
    frames: ['kernelbase!DuplicateHandle', ...mainBottom],
    actor: 'program',
  },
  { title: 'NtClose called by the program', kind: 'close', frames: mainBottom, actor: 'program' },
  {
    title: 'CreateProcessW closes handles of its own',
    kind: 'close',
    frames: ['kernelbase!CreateProcessInternalW', 'kernelbase!CreateProcessW', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'a DLL that is unloaded closes handles of its own',
    kind: 'close',
    frames: ['kernelbase!CloseHandle', 'winhttp!DllMain', 'kernelbase!FreeLibrary', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'a thread of the system closes for itself',
    kind: 'close',
    frames: ['kernelbase!CloseHandle', 'rpcrt4!NdrClientCall3', 'ntdll!RtlUserThreadStart'],
    opened: byProgram,
    actor: 'system',
  },
  {
    title: 'SetEvent uses what the program gave it',
    kind: 'use',
    frames: ['kernelbase!SetEvent', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'fwrite uses what the program gave it',
    kind: 'use',
    frames: ['kernelbase!WriteFile', 'msvcrt!_write', 'msvcrt!fwrite', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'CreateFileMappingW is given a file',
    kind: 'use',
    frames: ['kernelbase!CreateFileMappingW', ...mainBottom],
    actor: 'program',
  },
  { title: 'accept is given a socket', kind: 'use', frames: ['ws2_32!accept', ...mainBottom], actor: 'program' },
  {
    title: 'LoadLibraryW is given no handle',
    kind: 'use',
    frames: ['kernelbase!LoadLibraryW', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'getaddrinfo is given no handle',
    kind: 'use',
    frames: ['mswsock!WSPSend', 'ws2_32!getaddrinfo', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'MsgWaitForMultipleObjects of user32 is given handles',
    kind: 'use',
    frames: ['user32!MsgWaitForMultipleObjects', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'an unknown function of another DLL that used the program’s handle was given it',
    kind: 'use',
    frames: ['kernelbase!WriteFile', 'gdiplus!GdipSave', ...mainBottom],
    opened: byProgram,
    actor: 'program',
  },
  {
    title: 'an unknown function of another DLL that used a handle of the system’s was not',
    kind: 'use',
    frames: ['kernelbase!WriteFile', 'gdiplus!GdipSave', ...mainBottom],
    opened: bySystem,
    actor: 'system',
  },
  {
    title: 'start-up code that asks about the standard handles is a runtime’s',
    kind: 'use',
    frames: ['kernelbase!GetFileType', 'app!__scrt_common_main_seh', 'kernel32!BaseThreadInitThunk'],
    actor: 'startup',
  },
];

describe('whose a refused call is', () => {
  it.each(misuses)('$title', ({ kind, frames, opened, actor }) => {
    const record = misuse({
      kind,
      offending: called('NtX', ...frames),
      object: { type: 'Event' },
      ...(opened === undefined ? {} : { opened }),
    });
    expect(attributeMisuse(record)).toBe(actor);
  });
});
