import type { HookRow } from './hook-row.ts';
import { hookTable } from './hook-table.ts';
import type { ObjectType } from './object-types.ts';
import { REQUEST_MODULE, type RequestFunction, requestFunctions } from './request-functions.ts';

/**
 * The function table: one row per function of a system DLL that is hooked itself, because system calls do not show its
 * effect. Winsock refuses a closed socket without a system call, and so does a C runtime a closed descriptor. Only the
 * runtime knows which FILE stands for which handle.
 */

/**
 * The DLLs whose functions are hooked. The functions of a C runtime that is linked into the program cannot be found by
 * their names.
 */
export const systemModules = ['ws2_32.dll', 'kernel32.dll', 'kernelbase.dll', 'msvcrt.dll', 'ucrtbase.dll'] as const;

/** All that have functions which are hooked: those DLLs, and the program that has libuv in it. */
export const functionModules: readonly FunctionModule[] = [...systemModules, REQUEST_MODULE];

type FunctionModule = (typeof systemModules)[number] | typeof REQUEST_MODULE;

/**
 * A library hands these out in place of a handle: a C runtime's descriptor or stream, FindFirstFile's search, or a
 * pseudo console (HPCON). A change notification is a handle, but one with a closing function of its own.
 */
export type RuntimeObjectType = Extract<
  ObjectType,
  'Descriptor' | 'FILE' | 'Search' | 'PseudoConsole' | 'ChangeNotification'
>;

/** A runtime object of this type is open or leaked itself: the handles beneath are the library's business. */
export const standaloneType: RuntimeObjectType = 'PseudoConsole';

/** A function that takes a socket, and refuses one that was closed. */
export interface SocketFunction {
  readonly kind: 'socket';
  readonly module: FunctionModule;
  readonly name: string;
  readonly argumentCount: number;
  /** The first argument is a socket that the function closes, or works on. */
  readonly role: 'closes-socket' | 'uses-socket';
}

/** An argument that is a runtime object. */
interface RuntimeObjectArgument {
  readonly type: RuntimeObjectType;
  readonly argument: number;
}

/** A function that opens, closes or works on runtime objects. */
export interface RuntimeObjectFunction {
  readonly kind: 'runtime-object';
  readonly module: FunctionModule;
  readonly name: string;
  readonly argumentCount: number;
  /**
   * The object that it opens is the function's result, or is stored at the pointer in an argument (`stored-at`, perhaps
   * several in a row), or has the number in an argument (`named-by`).
   */
  readonly opens?: {
    readonly type: RuntimeObjectType;
    readonly from: 'result' | 'stored-at' | 'named-by';
    readonly argument: number;
    readonly count: number;
  };
  /** A key is a handle that the recorder follows as such; its row only says that the function closes nothing else. */
  readonly closes?: { readonly type: RuntimeObjectType | 'Key'; readonly argument: number };
  /** The object in {@link closes} need not be open: the function opens another one under its name. */
  readonly replaces: boolean;
  /** A call that fails may leave the object in {@link closes} open, so it does not count as closed. */
  readonly keepsOnFailure: boolean;
  readonly uses?: RuntimeObjectArgument;
  /** The results that mean failure; `never` where the result does not show it. */
  readonly failure: Failure;
  /** Wine's function does nothing, and it is no gap when that cannot be hooked. */
  readonly isStubOnWine: boolean;
}

/**
 * `negative`: an int below 0; `error`: an errno_t, or an int, that is not 0; `null`: a NULL pointer; `invalid`:
 * INVALID_HANDLE_VALUE.
 */
export type Failure = 'never' | 'negative' | 'error' | 'null' | 'invalid';

/** The objects that a sweeping function closes: sockets, or streams with the handles beneath. */
export const sweptObjects = ['sockets', 'streams'] as const;

/** A function that closes what the program has left open, and that it should have closed one by one. */
export interface SweepFunction {
  readonly kind: 'sweep';
  readonly module: FunctionModule;
  readonly name: string;
  readonly argumentCount: number;
  readonly sweeps: (typeof sweptObjects)[number];
}

/**
 * A function that tells of a fast fail before it comes: the instruction `int 29h` ends a process past every handler and
 * every system call.
 */
export interface FastFailFunction {
  readonly kind: 'fast-fail';
  readonly module: FunctionModule;
  readonly name: string;
  readonly argumentCount: number;
  /** The process ends in the function itself, or behind a call that asks it whether the processor has `int 29h`. */
  readonly comes: 'inside' | 'behind';
  /**
   * A function of ntdll that this one does nothing but call, where it is as known. It is then called in its place, for
   * a function that calls another one at once cannot be moved.
   */
  readonly wraps?: string;
}

export type FunctionRow = SocketFunction | RuntimeObjectFunction | SweepFunction | RequestFunction | FastFailFunction;

function onSocket(name: string, argumentCount: number, role: SocketFunction['role'] = 'uses-socket'): SocketFunction {
  return { kind: 'socket', module: 'ws2_32.dll', name, argumentCount, role };
}

/**
 * Winsock first looks a socket up in a table of its own, and refuses a closed one without a system call (Wine 8 [ran];
 * Windows [?]). https://learn.microsoft.com/windows/win32/api/winsock2/
 */
const socketFunctions: readonly SocketFunction[] = [
  onSocket('closesocket', 1, 'closes-socket'),
  onSocket('shutdown', 2),
  onSocket('send', 4),
  onSocket('sendto', 6),
  onSocket('recv', 4),
  onSocket('recvfrom', 6),
  onSocket('WSASend', 7),
  onSocket('WSASendTo', 9),
  onSocket('WSARecv', 7),
  onSocket('WSARecvFrom', 9),
  onSocket('bind', 3),
  onSocket('listen', 2),
  onSocket('accept', 3),
  onSocket('WSAAccept', 5),
  onSocket('connect', 3),
  onSocket('WSAConnect', 7),
  onSocket('getsockname', 3),
  onSocket('getpeername', 3),
  onSocket('getsockopt', 5),
  onSocket('setsockopt', 5),
  onSocket('ioctlsocket', 3),
  onSocket('WSAIoctl', 9),
  onSocket('WSAEventSelect', 3),
  onSocket('WSAEnumNetworkEvents', 3),
];

type Effects = Pick<RuntimeObjectFunction, 'opens' | 'closes' | 'uses'> & {
  readonly replaces?: true;
  readonly keepsOnFailure?: true;
  readonly isStubOnWine?: true;
};

function onRuntimeObject(
  module: FunctionModule,
  name: string,
  argumentCount: number,
  failure: Failure,
  effects: Effects,
): RuntimeObjectFunction {
  return {
    kind: 'runtime-object',
    module,
    name,
    argumentCount,
    failure,
    replaces: false,
    keepsOnFailure: false,
    isStubOnWine: false,
    ...effects,
  };
}

function result(type: RuntimeObjectType): Effects {
  return { opens: { type, from: 'result', argument: 0, count: 1 } };
}

function storedAt(argument: number, type: RuntimeObjectType, count = 1): Effects {
  return { opens: { type, from: 'stored-at', argument, count } };
}

function closes(type: RuntimeObjectType | 'Key'): Effects {
  return { closes: { type, argument: 0 } };
}

function uses(type: RuntimeObjectType, argument = 0): Effects {
  return { uses: { type, argument } };
}

function replaces(type: RuntimeObjectType, argument: number): Effects {
  return { closes: { type, argument }, replaces: true, keepsOnFailure: true };
}

/** https://learn.microsoft.com/cpp/c-runtime-library/file-handling, …/low-level-i-o and …/stream-i-o */
function runtimeFunctions(module: FunctionModule): readonly RuntimeObjectFunction[] {
  const row = (
    name: string,
    argumentCount: number,
    failure: Failure,
    ...effects: readonly Effects[]
  ): RuntimeObjectFunction =>
    onRuntimeObject(module, name, argumentCount, failure, Object.assign({}, ...effects) as Effects);
  return [
    row('_open', 3, 'negative', result('Descriptor')),
    row('_wopen', 3, 'negative', result('Descriptor')),
    row('_sopen', 4, 'negative', result('Descriptor')),
    row('_wsopen', 4, 'negative', result('Descriptor')),
    row('_sopen_s', 5, 'error', storedAt(0, 'Descriptor')),
    row('_wsopen_s', 5, 'error', storedAt(0, 'Descriptor')),
    // Microsoft's headers make _open this function in C++.
    row('_sopen_dispatch', 6, 'error', storedAt(4, 'Descriptor')),
    row('_wsopen_dispatch', 6, 'error', storedAt(4, 'Descriptor')),
    row('_creat', 2, 'negative', result('Descriptor')),
    row('_wcreat', 2, 'negative', result('Descriptor')),
    row('_open_osfhandle', 2, 'negative', result('Descriptor')),
    row('_pipe', 3, 'error', storedAt(0, 'Descriptor', 2)),
    row('_dup', 1, 'negative', uses('Descriptor'), result('Descriptor')),
    row('_dup2', 2, 'error', uses('Descriptor'), replaces('Descriptor', 1), {
      opens: { type: 'Descriptor', from: 'named-by', argument: 1, count: 1 },
    }),
    row('_close', 1, 'error', closes('Descriptor')),
    row('_read', 3, 'negative', uses('Descriptor')),
    row('_write', 3, 'negative', uses('Descriptor')),
    row('_lseek', 3, 'negative', uses('Descriptor')),
    row('_lseeki64', 3, 'negative', uses('Descriptor')),
    row('_commit', 1, 'error', uses('Descriptor')),

    row('fopen', 2, 'null', result('FILE')),
    row('_wfopen', 2, 'null', result('FILE')),
    row('_fsopen', 3, 'null', result('FILE')),
    row('_wfsopen', 3, 'null', result('FILE')),
    row('fopen_s', 3, 'error', storedAt(0, 'FILE')),
    row('_wfopen_s', 3, 'error', storedAt(0, 'FILE')),
    row('_fdopen', 2, 'null', uses('Descriptor'), result('FILE')),
    row('_wfdopen', 2, 'null', uses('Descriptor'), result('FILE')),
    row('freopen', 3, 'null', replaces('FILE', 2), result('FILE')),
    row('_wfreopen', 3, 'null', replaces('FILE', 2), result('FILE')),
    row('freopen_s', 4, 'error', replaces('FILE', 3), storedAt(0, 'FILE')),
    row('_wfreopen_s', 4, 'error', replaces('FILE', 3), storedAt(0, 'FILE')),
    row('tmpfile', 0, 'null', result('FILE')),
    row('tmpfile_s', 1, 'error', storedAt(0, 'FILE')),
    row('_popen', 2, 'null', result('FILE')),
    row('_wpopen', 2, 'null', result('FILE')),
    row('fclose', 1, 'error', closes('FILE')),
    row('_fclose_nolock', 1, 'error', closes('FILE')),
    // It returns -1 also for a stream that does not come from _popen, and leaves that open.
    row('_pclose', 1, 'negative', closes('FILE'), { keepsOnFailure: true }),
    // Their results do not tell a closed stream. Functions for single characters are not hooked, for their speed.
    row('fread', 4, 'never', uses('FILE', 3)),
    row('fwrite', 4, 'never', uses('FILE', 3)),
    row('fgets', 3, 'never', uses('FILE', 2)),
    row('fputs', 2, 'never', uses('FILE', 1)),
    row('fflush', 1, 'never', uses('FILE')),
    row('fseek', 3, 'never', uses('FILE')),
    row('ftell', 1, 'never', uses('FILE')),
    row('vfprintf', 3, 'never', uses('FILE')),
    row('__stdio_common_vfprintf', 5, 'never', uses('FILE', 1)),
  ];
}

/**
 * All functions that return a search. If one were missing, it could return the value of a closed search again, and the
 * search would still seem closed. kernel32's functions of these names lead to kernelbase's where that has them.
 * https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-findclose
 */
const searchFunctions: readonly RuntimeObjectFunction[] = [
  onRuntimeObject('kernel32.dll', 'FindFirstFileTransactedA', 7, 'invalid', result('Search')),
  onRuntimeObject('kernel32.dll', 'FindFirstFileTransactedW', 7, 'invalid', result('Search')),
  onRuntimeObject('kernel32.dll', 'FindFirstFileNameTransactedW', 5, 'invalid', result('Search')),
  onRuntimeObject('kernel32.dll', 'FindFirstStreamTransactedW', 5, 'invalid', result('Search')),
  onRuntimeObject('kernelbase.dll', 'FindFirstFileA', 2, 'invalid', result('Search')),
  onRuntimeObject('kernelbase.dll', 'FindFirstFileW', 2, 'invalid', result('Search')),
  onRuntimeObject('kernelbase.dll', 'FindFirstFileExA', 6, 'invalid', result('Search')),
  onRuntimeObject('kernelbase.dll', 'FindFirstFileExW', 6, 'invalid', result('Search')),
  onRuntimeObject('kernelbase.dll', 'FindFirstFileNameW', 4, 'invalid', result('Search')),
  onRuntimeObject('kernelbase.dll', 'FindFirstStreamW', 4, 'invalid', result('Search')),
  onRuntimeObject('kernelbase.dll', 'FindNextFileA', 2, 'never', uses('Search')),
  onRuntimeObject('kernelbase.dll', 'FindNextFileW', 2, 'never', uses('Search')),
  // Wine 8 returns TRUE for a search that was closed before.
  onRuntimeObject('kernelbase.dll', 'FindClose', 1, 'never', closes('Search')),
];

/**
 * kernel32's functions of these names lead to kernelbase's. Windows 10 1809 has three of them, and Wine 8 too, whose
 * ResizePseudoConsole returns E_NOTIMPL. CreatePseudoConsoleAsUser and ReleasePseudoConsole are newer.
 * https://learn.microsoft.com/windows/console/createpseudoconsole and …/closepseudoconsole
 */
const consoleFunctions: readonly RuntimeObjectFunction[] = [
  onRuntimeObject('kernelbase.dll', 'CreatePseudoConsole', 5, 'negative', storedAt(4, 'PseudoConsole')),
  onRuntimeObject('kernelbase.dll', 'CreatePseudoConsoleAsUser', 6, 'negative', storedAt(5, 'PseudoConsole')),
  onRuntimeObject('kernelbase.dll', 'ResizePseudoConsole', 2, 'negative', {
    ...uses('PseudoConsole'),
    isStubOnWine: true,
  }),
  onRuntimeObject('kernelbase.dll', 'ReleasePseudoConsole', 1, 'negative', uses('PseudoConsole')),
  onRuntimeObject('kernelbase.dll', 'ClosePseudoConsole', 1, 'never', closes('PseudoConsole')),
];

function sweep(module: FunctionModule, name: string, sweeps: SweepFunction['sweeps']): SweepFunction {
  return { kind: 'sweep', module, name, argumentCount: 0, sweeps };
}

/**
 * The last WSACleanup closes all sockets of the process; _fcloseall closes all streams but the standard ones, and
 * _rmtmp those of tmpfile.
 * https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-wsacleanup
 * https://learn.microsoft.com/cpp/c-runtime-library/reference/fclose-fcloseall and …/rmtmp
 */
const sweepFunctions: readonly SweepFunction[] = [
  sweep('ws2_32.dll', 'WSACleanup', 'sockets'),
  ...(['msvcrt.dll', 'ucrtbase.dll'] as const).flatMap((module) => [
    sweep(module, '_fcloseall', 'streams'),
    sweep(module, '_rmtmp', 'streams'),
  ]),
];

/**
 * Functions that close handles of one kind. Both close whatever handle they are given (Wine 8 [ran]; Windows [?]), so
 * their results say nothing. advapi32's RegCloseKey leads to kernelbase's.
 * https://learn.microsoft.com/windows/win32/api/winreg/nf-winreg-regclosekey and
 * …/fileapi/nf-fileapi-findclosechangenotification
 */
const handleClosers: readonly RuntimeObjectFunction[] = [
  onRuntimeObject('kernelbase.dll', 'FindFirstChangeNotificationA', 3, 'invalid', result('ChangeNotification')),
  onRuntimeObject('kernelbase.dll', 'FindFirstChangeNotificationW', 3, 'invalid', result('ChangeNotification')),
  onRuntimeObject('kernelbase.dll', 'FindCloseChangeNotification', 1, 'never', closes('ChangeNotification')),
  onRuntimeObject('kernelbase.dll', 'RegCloseKey', 1, 'never', closes('Key')),
];

/**
 * Microsoft's C runtimes ask IsProcessorFeaturePresent for PF_FASTFAIL_AVAILABLE just before each `int 29h`, in
 * ucrtbase and where they are linked into a program: in abort(), to which terminate() and assert() lead, in the default
 * handler of invalid parameters, and behind a broken stack guard. abort() itself is not hooked: a handler of SIGABRT
 * may let the program go on.
 * https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-isprocessorfeaturepresent and
 * https://learn.microsoft.com/cpp/c-runtime-library/reference/invalid-parameter-functions
 */
const fastFailFunctions: readonly FastFailFunction[] = [
  {
    kind: 'fast-fail',
    module: 'kernelbase.dll',
    name: 'IsProcessorFeaturePresent',
    argumentCount: 1,
    comes: 'behind',
    wraps: 'RtlIsProcessorFeaturePresent',
  },
  { kind: 'fast-fail', module: 'ucrtbase.dll', name: '_invoke_watson', argumentCount: 5, comes: 'inside' },
];

/** The rows; a row's number in the ledger is its index in {@link recordedCalls}, plus 1. */
export const functionTable: readonly FunctionRow[] = [
  ...socketFunctions,
  ...searchFunctions,
  ...consoleFunctions,
  ...runtimeFunctions('msvcrt.dll'),
  ...runtimeFunctions('ucrtbase.dll'),
  ...sweepFunctions,
  ...requestFunctions,
  ...handleClosers,
  ...fastFailFunctions,
];

/** The rows by their numbers in the ledger, less 1: those of the hook table, then those of the function table. */
export const recordedCalls: readonly (HookRow | FunctionRow)[] = [...hookTable, ...functionTable];

/** A row with the number that stands for it in the ledger. */
export interface NumberedFunction {
  readonly row: FunctionRow;
  /** The numbers of the hook table come first. */
  readonly rowNumber: number;
}

export const numberedFunctions: readonly NumberedFunction[] = functionTable.map((row, index) => ({
  row,
  rowNumber: hookTable.length + index + 1,
}));
