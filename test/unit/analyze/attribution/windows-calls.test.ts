// The handles that Windows' functions give, close and take.
import { describe, expect, it } from 'vitest';

import { closesHandle, givesHandle, isProbe, takesHandle } from '../../../../src/analyze/windows-calls.ts';
import { called, frame, mainBottom } from '../evidence.ts';

describe('a function of Windows gives its caller', () => {
  it.each<[api: string, types: readonly string[]]>([
    ['kernelbase!CreateEventExW', ['Event']],
    ['kernel32!OpenEventA', ['Event']],
    ['ws2_32!WSACreateEvent', ['Event']],
    ['kernel32!CreateMemoryResourceNotification', ['Event']],
    ['kernelbase!CreateMutexW', ['Mutant']],
    ['kernelbase!OpenSemaphoreW', ['Semaphore']],
    ['kernelbase!CreateWaitableTimerExW', ['Timer', 'IRTimer']],
    ['kernelbase!CreateFileMappingW', ['Section']],
    ['kernel32!CreateToolhelp32Snapshot', ['Section']],
    ['kernelbase!CreateNamedPipeW', ['File']],
    ['kernelbase!CreatePipe', ['File']],
    ['kernelbase!CreateFileW', ['File']],
    ['kernelbase!CreateFile2', ['File']],
    ['kernelbase!ReOpenFile', ['File']],
    ['kernel32!OpenFile', ['File']],
    ['kernel32!OpenFileById', ['File']],
    ['kernel32!_lopen', ['File']],
    ['kernel32!_lcreat', ['File']],
    ['kernel32!CreateMailslotW', ['File']],
    ['kernelbase!FindFirstFileW', ['File']],
    ['kernel32!CreateConsoleScreenBuffer', ['File']],
    ['kernel32!OpenConsoleW', ['File']],
    ['advapi32!RegOpenCurrentUser', ['Key']],
    ['advapi32!RegOpenKeyExW', ['Key']],
    ['advapi32!RegCreateKeyW', ['Key']],
    ['advapi32!RegConnectRegistryW', ['Key']],
    ['advapi32!RegLoadAppKeyW', ['Key']],
    ['kernelbase!CreateProcessW', ['Process', 'Thread']],
    ['kernelbase!OpenProcess', ['Process']],
    ['kernelbase!CreateRemoteThreadEx', ['Thread']],
    ['kernelbase!OpenThread', ['Thread']],
    ['msvcrt!_beginthreadex', ['Thread']],
    ['advapi32!OpenProcessToken', ['Token']],
    ['advapi32!OpenThreadToken', ['Token']],
    ['advapi32!DuplicateTokenEx', ['Token']],
    ['advapi32!CreateRestrictedToken', ['Token']],
    ['advapi32!LogonUserW', ['Token']],
    ['advapi32!GetTokenInformation', ['Token']],
    ['kernel32!WaitForDebugEvent', ['File']],
    ['kernel32!WaitForDebugEventEx', ['File']],
    ['kernel32!CreateJobObjectW', ['Job']],
    ['kernelbase!CreateIoCompletionPort', ['IoCompletion']],
    ['kernelbase!OpenPrivateNamespaceW', ['Directory']],
    ['kernelbase!CreatePseudoConsole', ['PseudoConsole']],
    ['msvcrt!fopen', ['File']],
    ['ucrtbase!_wfopen_s', ['File']],
    ['ucrtbase!_sopen_dispatch', ['File']],
    ['msvcrt!_dup2', ['File']],
    ['msvcrt!_pipe', ['File']],
    ['msvcrt!tmpfile', ['File']],
    ['msvcrt!_wfindfirst64', ['File']],
    ['msvcrt!_popen', ['File', 'Process']],
    ['msvcrt!_wspawnvpe', ['Process']],
    ['ws2_32!socket', ['Socket', 'File']],
    ['ws2_32!WSASocketW', ['Socket', 'File']],
    ['mswsock!AcceptEx', ['Socket', 'File']],
    ['mswsock!WSPAccept', ['Socket', 'File']],
    ['ntdll!RtlCreateUserThread', ['Thread']],
    ['ntdll!RtlCreateUserProcess', ['Process', 'Thread']],
    ['ntdll!RtlOpenCurrentUser', ['Key']],
    ['kernel32!CreateTimerQueue', []],
    ['kernel32!CreateThreadpoolWork', []],
    ['kernel32!CreateActCtxW', []],
    ['kernel32!CreateDirectoryW', []],
    ['kernel32!CreateSymbolicLinkW', []],
    ['advapi32!CreateServiceW', []],
    ['advapi32!OpenSCManagerW', []],
    ['advapi32!OpenServiceW', []],
    ['advapi32!OpenEventLogW', []],
    ['user32!OpenInputDesktop', ['Desktop']],
    ['user32!CreateWindowStationW', ['WindowStation']],
    ['shell32!ShellExecuteExW', ['Process']],
    ['wtsapi32!WTSQueryUserToken', ['Token']],
    ['sspicli!QuerySecurityContextToken', ['Token']],
    ['secur32!LsaLogonUser', ['Token']],
    ['setupapi!SetupDiOpenDevRegKey', ['Key']],
    ['cfgmgr32!CM_Open_DevNode_Key', ['Key']],
    ['shlwapi!SHRegDuplicateHKey', ['Key']],
    ['iphlpapi!IcmpCreateFile', ['File']],
    ['iphlpapi!Icmp6CreateFile', ['File']],
    ['virtdisk!OpenVirtualDisk', ['File']],
    ['kernel32!LoadLibraryW', []],
    ['ws2_32!WSAStartup', []],
    ['winhttp!CreateEventW', []],
    ['user32!CreateEventW', []],
    ['myntdll!NtOpenFile', []],
  ])('%s: %j', (api, types) => {
    const all = ['Event', 'Mutant', 'Semaphore', 'Timer', 'IRTimer', 'Section', 'File', 'Key', 'Process', 'Thread'];
    const rest = ['Token', 'Job', 'IoCompletion', 'Directory', 'PseudoConsole', 'Socket', 'Desktop', 'WindowStation'];
    const given = [...all, ...rest].filter((type) => givesHandle(frame(api), { type }));
    expect(given.toSorted()).toEqual(types.toSorted());
  });

  it.each([
    'kernelbase!DuplicateHandle',
    'ntdll!NtDuplicateObject',
    'ntdll!NtCreateFoo',
    'kernel32!OpenFoo',
    'ktmw32!CreateTransaction',
    'fltlib!FilterConnectCommunicationPort',
  ])('a handle of any type: %s', (api) => {
    expect(['Event', 'Foo'].map((type) => givesHandle(frame(api), { type }))).toEqual([true, true]);
  });

  it.each([
    ['advapi32!RegOpenKeyExW', { type: 'Key', name: 'HKLM' }, false],
    ['advapi32!RegOpenKeyExW', { type: 'Key', name: 'HKEY_CURRENT_USER\\' }, false],
    ['advapi32!RegOpenKeyExW', { type: 'Key', name: '\\Registry\\Machine' }, false],
    ['advapi32!RegOpenKeyExW', { type: 'Key', name: 'HKU\\S-1-5-21-7_Classes' }, false],
    ['advapi32!RegOpenKeyExW', { type: 'Key', name: 'HKLM\\Software\\Classes' }, false],
    ['advapi32!RegOpenKeyExW', { type: 'Key', name: 'HKLM\\Software\\Classes\\app' }, true],
    ['advapi32!RegOpenKeyExW', { type: 'Key', name: 'HKLM\\Software' }, true],
    ['kernelbase!CreateNamedPipeW', { type: 'File', name: '\\Device\\NamedPipe\\' }, false],
    ['kernelbase!CreateNamedPipeW', { type: 'File', name: '\\\\.\\pipe\\jobs' }, true],
    ['ws2_32!socket', { type: 'File', name: 'C:\\a.log' }, false],
    ['ws2_32!socket', { type: 'File', name: '\\Device\\Afd' }, true],
    ['ws2_32!socket', { type: 'File', name: '\\Device\\Afd\\Endpoint' }, true],
    ['ws2_32!socket', { type: 'File', name: '\\Device\\Afd\\Other' }, false],
    ['ws2_32!socket', { type: 'Socket', name: 'x' }, true],
    ['kernelbase!CreateEventW', { type: 'Unknown' }, true],
    ['kernel32!CreateTimerQueue', { type: 'Unknown' }, true],
    ['kernel32!LoadLibraryW', { type: 'Unknown' }, false],
  ])('or keeps, by the name of the object: %s %j, %s', (api, object, gives) => {
    expect(givesHandle(frame(api), object)).toBe(gives);
  });

  it('a handle that nothing names, where handles are the business of its DLL', () => {
    expect(
      ['kernelbase+0x40', 'winhttp+0x40', 'myntdll+0x40'].map((api) => givesHandle(frame(api), { type: 'Event' })),
    ).toEqual([true, false, false]);
  });
});

describe('a function of Windows closes what it is given', () => {
  it.each([
    ...['kernelbase!CloseHandle', 'ntdll!NtClose', 'ntdll!ZwClose', 'kernelbase!DuplicateHandle', 'kernel32!_lclose'],
    ...['ntdll!NtDuplicateObject', 'ntdll!ZwDuplicateObject', 'advapi32!RegCloseKey', 'kernelbase!FindClose'],
    ...['msvcrt!_findclose', 'kernelbase!FindCloseChangeNotification', 'kernel32!FindVolumeClose'],
    ...['kernel32!FindVolumeMountPointClose', 'ws2_32!closesocket', 'mswsock!WSPCloseSocket', 'ws2_32!WSACloseEvent'],
    ...['iphlpapi!IcmpCloseHandle', 'kernelbase!ClosePrivateNamespace', 'kernelbase!ClosePseudoConsole'],
    ...['user32!CloseDesktop', 'user32!CloseWindowStation', 'kernel32!CloseConsoleHandle', 'msvcrt!fclose'],
    ...['msvcrt!_fclose_nolock', 'msvcrt!_fcloseall', 'msvcrt!fcloseall', 'msvcrt!close', 'msvcrt!_close'],
    ...['msvcrt!_close_nolock', 'msvcrt!pclose', 'msvcrt!_pclose', 'msvcrt!freopen', 'ucrtbase!freopen_s'],
    ...['msvcrt!_wfreopen', 'ucrtbase!_wfreopen_s', 'msvcrt!dup2', 'msvcrt!_dup2', 'msvcrt!_rmtmp', 'kernelbase+0x35'],
  ])('%s', (api) => {
    expect(closesHandle(frame(api))).toBe(true);
  });

  it.each(['kernelbase!SetEvent', 'kernelbase!CreateProcessW', 'winhttp+0x35', 'winhttp!DllMain'])(
    '%s does not',
    (api) => {
      expect(closesHandle(frame(api))).toBe(false);
    },
  );
});

describe('a function of Windows', () => {
  it.each([
    ...['CreateProcessW', 'CreateFileW', 'CreateFile2', 'CreateEventW', 'CreateMutexW', 'CreateThread', 'OpenProcess'],
    ...['OpenThread', 'OpenEventW', 'CreateJobObjectW', 'FindFirstFileW', 'LoadLibraryW', 'FreeLibrary', 'LdrLoadDll'],
    ...['GetModuleHandleW', 'GetProcAddress', 'WinExec', 'ExitProcess', 'RtlExitUserProcess', 'exit', '_exit', 'abort'],
    ...[
      'system',
      '_wsystem',
      '_popen',
      '_spawnl',
      '_execv',
      '_beginthreadex',
      'WSAStartup',
      'WSACleanup',
      'getaddrinfo',
    ],
    ...['GetAddrInfoW', 'freeaddrinfo', 'getnameinfo', 'gethostbyname', 'socket', 'WSASocketW', 'SetCurrentDirectoryW'],
    ...['CopyFileW', 'MoveFileExW', 'DeleteFileW', 'GetFileAttributesW', 'GetVolumeInformationW', 'GetTempPathW'],
    ...['OutputDebugStringW', 'RaiseException', 'Sleep', 'AllocConsole', 'EnterCriticalSection', 'TpAllocWork'],
    ...['RtlAcquireSRWLockExclusive', 'CsrClientCallServer', 'EtwEventWrite', 'NlsGetUserInfo'],
  ])('takes no handle: %s', (name) => {
    expect(takesHandle(frame(`kernelbase!${name}`))).toBe(false);
  });

  it.each([
    ...['kernelbase!SetEvent', 'kernelbase!GetVolumeInformationByHandleW', 'kernelbase!CreateThreadpoolWait'],
    ...['msvcrt!exit_all', 'ws2_32!socketpair', 'kernelbase+0x10', 'user32!MsgWaitForMultipleObjectsEx'],
    ...['user32!WaitForInputIdle', 'combase!CoWaitForMultipleHandles', 'user32!SetThreadDesktop'],
    ...['dbghelp!MiniDumpWriteDump', 'psapi!EnumProcessModules', 'psapi!GetModuleFileNameExW', 'dbghelp!SymInitialize'],
    ...['ktmw32!CommitTransaction', 'iphlpapi!IcmpSendEcho', 'user32!CloseDesktop'],
  ])('takes a handle: %s', (api) => {
    expect(takesHandle(frame(api))).toBe(true);
  });

  it.each(['winhttp!WinHttpOpen', 'winhttp+0x10', 'user32!GetMessageW'])('may take a handle or none: %s', (api) => {
    expect(takesHandle(frame(api))).toBe('unknown');
  });

  it.each([
    ...['kernelbase!GetFileType', 'kernelbase!GetConsoleMode', 'kernelbase!GetHandleInformation', 'msvcrt!_isatty'],
    ...['kernelbase!GetNumberOfConsoleInputEvents', 'ntdll!NtQueryObject', 'ntdll!ZwQueryObject', 'ws2_32!getsockopt'],
  ])('only asks: %s', (api) => {
    expect(isProbe(called('NtQuery', api, ...mainBottom))).toBe(true);
  });

  it.each(['kernelbase!SetEvent', 'ws2_32!getsockopts', 'ntdll!NtQueryObjects', 'kernelbase+0x8'])(
    'does not only ask: %s',
    (api) => {
      expect(isProbe(called('GetFileType', api, ...mainBottom))).toBe(false);
    },
  );

  it('only asks where the program makes the call itself', () => {
    expect(isProbe(called('NtQueryObject', ...mainBottom))).toBe(true);
    expect(isProbe(called('NtSetEvent', ...mainBottom))).toBe(false);
  });
});
