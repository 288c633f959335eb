import type { Frame, HandleObject } from '../model.ts';
import type { CallRecord } from '../evidence-model.ts';
import { dissect, exportedName, moduleName } from './stacks.ts';

/**
 * The effects of Windows' functions on handles, as far as rules need them: data, one row for each family.
 * Names are those of the documentation; a row covers the A, W, Ex and transacted variants of a function.
 */

/**
 * The DLLs whose business is to give handles to programs. A handle that another DLL opens is its own, unless a row says
 * otherwise.
 */
const baseModule: RegExp =
  /^(?:ntdll|kernel32|kernelbase|advapi32|sechost|ws2_32|wsock32|mswsock|msvcrt|msvcr\d\w*|ucrtbased?|crtdll|(?:api|ext)-ms-.*)\.dll$/;

/** The frame is in one of the DLLs whose business is handles. */
export function isBaseModule(frame: Frame): boolean {
  return baseModule.test(moduleName(frame));
}

interface Row {
  readonly names: RegExp;
  /** Types of the handles that the function hands to its caller; a handle of another type is one that it kept. */
  readonly gives: readonly string[] | 'any';
  /** A handle that the function keeps although its type is one of {@link gives}. */
  readonly keeps?: (object: HandleObject) => boolean;
}

/**
 * The roots of the registry: the first call that goes through HKEY_CURRENT_USER or HKEY_CLASSES_ROOT opens the root
 * and keeps it for all later ones (advapi32's predefined-handle cache; Wine's create_special_root_hkey).
 */
const registryRoot: RegExp = new RegExp(
  `^(?:${[
    String.raw`HK(?:LM|CU|CR|U|CC)|HKEY_[A-Z_]+|\\REGISTRY(?:\\MACHINE|\\USER)?`,
    String.raw`(?:HKU|HKEY_USERS|\\REGISTRY\\USER)\\(?:S-1-[\d-]+(?:_Classes)?|\.DEFAULT)`,
    String.raw`(?:HKLM|HKEY_LOCAL_MACHINE|\\REGISTRY\\MACHINE)\\Software\\Classes`,
  ].join('|')})\\\\?$`,
  'i',
);

/** The root of the named-pipe file system, which pipes are opened relative to. */
const pipeRoot: RegExp = /^(?:\\Device\\NamedPipe|\\\\\.\\pipe|\\\?\?\\pipe)\\?$/i;

const isNamedFile = (object: HandleObject): boolean =>
  object.type === 'File' && object.name !== undefined && !/^\\Device\\Afd(?:\\Endpoint)?$/i.test(object.name);
const isRegistryRoot = (object: HandleObject): boolean => object.name !== undefined && registryRoot.test(object.name);
const isPipeRoot = (object: HandleObject): boolean => object.name !== undefined && pipeRoot.test(object.name);

function startingWith(...beginnings: readonly string[]): RegExp {
  return new RegExp(`^(?:${beginnings.join('|')})`);
}

const baseRows: readonly Row[] = [
  { names: /^(?:(?:Create|Open)Event(?!Log)|WSACreateEvent$|CreateMemoryResourceNotification$)/, gives: ['Event'] },
  { names: /^(?:Create|Open)Mutex/, gives: ['Mutant'] },
  { names: /^(?:Create|Open)Semaphore/, gives: ['Semaphore'] },
  { names: /^(?:Create|Open)WaitableTimer/, gives: ['Timer', 'IRTimer'] },
  { names: /^(?:Create|Open)FileMapping|^CreateToolhelp32Snapshot$/, gives: ['Section'] },
  { names: /^(?:CreateNamedPipe|CreatePipe$)/, gives: ['File'], keeps: isPipeRoot },
  {
    names: /^(?:CreateFile|ReOpenFile$|OpenFile$|OpenFileById$|_lopen$|_lcreat$|CreateMailslot|FindFirst)/,
    gives: ['File'],
  },
  { names: /^(?:CreateConsoleScreenBuffer|OpenConsoleW)$/, gives: ['File'] },
  { names: /^RegOpen(?:CurrentUser|UserClassesRoot)$/, gives: ['Key'] },
  { names: /^Reg(?:(?:Open|Create)Key|ConnectRegistry|LoadAppKey)/, gives: ['Key'], keeps: isRegistryRoot },
  { names: /^CreateProcess/, gives: ['Process', 'Thread'] },
  { names: /^OpenProcess$/, gives: ['Process'] },
  { names: /^(?:Create(?:Remote)?Thread(?:Ex)?|OpenThread|_beginthreadex)$/, gives: ['Thread'] },
  { names: /^(?:Open(?:Process|Thread)Token|DuplicateToken|CreateRestrictedToken|LogonUser)/, gives: ['Token'] },
  { names: /^GetTokenInformation$/, gives: ['Token'] },
  // The debugger closes the files of programs and DLLs; ContinueDebugEvent closes processes and threads.
  // https://learn.microsoft.com/windows/win32/api/minwinbase/ns-minwinbase-load_dll_debug_info
  { names: /^WaitForDebugEvent(?:Ex)?$/, gives: ['File'] },
  { names: /^(?:Create|Open)JobObject/, gives: ['Job'] },
  { names: /^CreateIoCompletionPort$/, gives: ['IoCompletion'] },
  { names: /^(?:Create|Open)PrivateNamespace/, gives: ['Directory'] },
  // The pseudo console is the program's. The handles beneath it are not.
  { names: /^CreatePseudoConsole/, gives: ['PseudoConsole'] },
  { names: /^(?:DuplicateHandle|NtDuplicateObject|ZwDuplicateObject)$/, gives: 'any' },
  // A file descriptor or FILE belongs to the caller of the C runtime.
  { names: /^_?w?(?:fopen|freopen|fsopen|open|sopen|creat)(?:64)?(?:_s|_dispatch)?$/, gives: ['File'] },
  { names: /^(?:_?dup2?|_pipe|tmpfile(?:_s)?)$/, gives: ['File'] },
  { names: /^_w?findfirst(?:32|64|i64|32i64|64i32)?$/, gives: ['File'] },
  { names: /^_?w?popen$/, gives: ['File', 'Process'] },
  { names: /^_?w?spawn(?:l|le|lp|lpe|v|ve|vp|vpe)$/, gives: ['Process'] },
  // A socket that was not recognised is a File without a name, or `\Device\Afd` or `\Device\Afd\Endpoint`.
  {
    names: /^(?:socket|accept|WSASocket[AW]|WSAAccept|WSAJoinLeaf|AcceptEx|WSPSocket|WSPAccept)$/,
    gives: ['Socket', 'File'],
    keeps: isNamedFile,
  },
  { names: /^RtlCreateUserThread/, gives: ['Thread'] },
  { names: /^RtlCreateUserProcess/, gives: ['Process', 'Thread'] },
  { names: /^RtlOpenCurrentUser$/, gives: ['Key'] },
  // Their names promise a handle, but they return no kernel handle, and they keep the handles that they open.
  {
    names: startingWith(
      'Create(?:TimerQueue|Threadpool|ActCtx|Fiber|UmsCompletionList|Enclave|BoundaryDescriptor|WellKnownSid)',
      'Create(?:Directory|HardLink|SymbolicLink|Service|PrivateObjectSecurity)',
      'Open(?:SCManager|Service|EventLog|BackupEventLog|EncryptedFileRaw|Trace|ThreadWaitChainSession|Package)',
    ),
    gives: [],
  },
  // A function that this table does not know: Windows calls those that give a handle Create…, Open… or Duplicate….
  { names: /^(?:Nt|Zw)?(?:Create|Open|ReOpen|Duplicate)/, gives: 'any' },
];

const rowsElsewhere: readonly (Row & { readonly module: RegExp })[] = [
  { module: /^user32\.dll$/, names: /^(?:Create|Open|OpenInput)Desktop/, gives: ['Desktop'] },
  { module: /^user32\.dll$/, names: /^(?:Create|Open)WindowStation/, gives: ['WindowStation'] },
  { module: /^shell32\.dll$/, names: /^ShellExecuteEx/, gives: ['Process'] },
  { module: /^wtsapi32\.dll$/, names: /^WTSQueryUserToken$/, gives: ['Token'] },
  { module: /^(?:secur32|sspicli)\.dll$/, names: /^(?:LsaLogonUser|QuerySecurityContextToken)$/, gives: ['Token'] },
  { module: /^setupapi\.dll$/, names: /^SetupDi(?:Open|Create).*RegKey/, gives: ['Key'] },
  { module: /^(?:setupapi|cfgmgr32)\.dll$/, names: /^CM_Open_.*Key/, gives: ['Key'] },
  { module: /^(?:shlwapi|shcore)\.dll$/, names: /^SHRegDuplicateHKey$/, gives: ['Key'] },
  { module: /^ktmw32\.dll$/, names: /^(?:Create|Open)(?:Transaction|Enlistment|ResourceManager)/, gives: 'any' },
  { module: /^iphlpapi\.dll$/, names: /^Icmp6?CreateFile$/, gives: ['File'] },
  { module: /^virtdisk\.dll$/, names: /^(?:Create|Open)VirtualDisk/, gives: ['File'] },
  { module: /^fltlib\.dll$/, names: /^FilterConnectCommunicationPort$/, gives: 'any' },
];

/**
 * The system's function gives a handle of this object to its caller.
 *
 * A function without a name counts as such in the DLLs whose business is handles, and in no others.
 */
export function givesHandle(api: Frame, object: HandleObject): boolean {
  const name = exportedName(api);
  const base = isBaseModule(api);
  if (name === undefined) return base;
  const rows = base ? baseRows : rowsElsewhere.filter((row) => row.module.test(moduleName(api)));
  const row = rows.find((candidate) => candidate.names.test(name));
  if (row === undefined) return false;
  if (row.keeps?.(object) === true) return false;
  return row.gives === 'any' || object.type === 'Unknown' || row.gives.includes(object.type);
}

const closers: ReadonlySet<string> = new Set([
  ...['CloseHandle', 'NtClose', 'ZwClose', 'DuplicateHandle', 'NtDuplicateObject', 'ZwDuplicateObject', '_lclose'],
  ...[
    'RegCloseKey',
    'FindClose',
    '_findclose',
    'FindCloseChangeNotification',
    'FindVolumeClose',
    'FindVolumeMountPointClose',
  ],
  ...[
    'closesocket',
    'WSPCloseSocket',
    'WSACloseEvent',
    'IcmpCloseHandle',
    'ClosePrivateNamespace',
    'ClosePseudoConsole',
  ],
  ...['CloseDesktop', 'CloseWindowStation', 'CloseConsoleHandle'],
  ...['fclose', '_fclose_nolock', '_fcloseall', 'fcloseall', 'close', '_close', '_close_nolock', 'pclose', '_pclose'],
  ...['freopen', 'freopen_s', '_wfreopen', '_wfreopen_s', 'dup2', '_dup2', '_rmtmp'],
]);

/**
 * The system's function closes the handle that its caller gave it. A function without a name counts as such in the DLLs
 * whose business is handles.
 */
export function closesHandle(api: Frame): boolean {
  const name = exportedName(api);
  return name === undefined ? isBaseModule(api) : closers.has(name);
}

/** Functions of the base DLLs that take no handle: a handle that they use or close is their own. */
const handleless: RegExp = startingWith(
  'Create(?:Process[AW]|File[2AW]|FileTransacted|Event|Mutex|Semaphore|NamedPipe|Mailslot|WaitableTimer|Toolhelp|Directory|HardLink|SymbolicLink|ActCtx|Thread$)',
  'Open(?:Event|Mutex|Semaphore|WaitableTimer|FileMapping|JobObject)|OpenProcess$|OpenThread$|CreateJobObject|FindFirst',
  'LoadLibrary|LoadPackagedLibrary|FreeLibrary|GetModule|GetProcAddress|Ldr|WinExec',
  'ExitProcess|ExitThread|RtlExit|_?exit$|_c_exit|_cexit|quick_exit|abort$|FatalAppExit',
  '_?w?system$|_?w?popen$|_?w?spawn|_?w?exec[lv]|_?beginthread',
  'WSAStartup|WSACleanup|[Gg]et[Aa]ddr[Ii]nfo|[Ff]ree[Aa]ddr[Ii]nfo|[Gg]et[Nn]ame[Ii]nfo|gethostby|getservby|getprotoby|WSAAsync|WSALookup',
  'socket$|WSASocket',
  'SetCurrentDirectory|CopyFile|MoveFile|DeleteFile|ReplaceFile|RemoveDirectory|SearchPath|GetFileAttributes|SetFileAttributes',
  'GetVolume(?!InformationByHandle)|GetDrive|GetDisk|GetTemp|GetFullPath|GetLongPath|GetShortPath|GetLocale|GetTimeZone|GetUserName|GetComputerName',
  'OutputDebugString|DbgPrint|RaiseException|RtlRaise|UnhandledExceptionFilter|Sleep|AllocConsole|FreeConsole|AttachConsole',
  '(?:Rtl)?(?:Enter|Leave|Initialize|Delete|TryEnter)CriticalSection|(?:Rtl)?(?:Acquire|Release)SRWLock|Tp[A-Z]|Csr[A-Z]|Etw[A-Z]|Nls[A-Z]',
);

/** Functions of other DLLs that take kernel handles. */
const takersElsewhere: RegExp = startingWith(
  'MsgWaitForMultipleObjects|WaitForInputIdle|CoWaitForMultiple(?:Handles|Objects)',
  'SetThreadDesktop|SwitchDesktop|SetProcessWindowStation',
  'MiniDumpWriteDump|EnumProcessModules|GetModule(?:FileName|BaseName|Information)Ex|SymInitialize',
  'CommitTransaction|RollbackTransaction|IcmpSendEcho',
);

/** The system's function works on a handle that its caller gave it; `unknown` where the table has no answer. */
export function takesHandle(api: Frame): boolean | 'unknown' {
  const name = exportedName(api);
  if (isBaseModule(api)) return name === undefined || !handleless.test(name);
  return name !== undefined && (takersElsewhere.test(name) || closers.has(name)) ? true : 'unknown';
}

/** Functions whose purpose is to ask whether a value is a handle, and of what kind. */
const probes: RegExp = startingWith(
  'GetFileType|GetConsoleMode|GetHandleInformation|GetNumberOfConsole|_?isatty$|(?:Nt|Zw)QueryObject$',
  'getsockopt$', // SO_TYPE: programs ask by it whether a descriptor is a socket
);

/** The program called a function that refuses a value by way of an answer: that was a question, not a mistake. */
export function isProbe({ call, stack }: Pick<CallRecord, 'call' | 'stack'>): boolean {
  const { api } = dissect(stack);
  return probes.test(api === undefined ? call : (exportedName(api) ?? ''));
}
