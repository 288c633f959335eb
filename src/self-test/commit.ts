import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

import {
  CloseHandle,
  CreateEventW,
  CreatePipe,
  GetModuleHandleW,
  GetProcAddress,
  SetHandleInformation,
  WaitForSingleObject,
} from '../ffi/kernel32.ts';
import type { HANDLE, SOCKET } from '../ffi/library.ts';
import { closesocket, WSASocketW } from '../ffi/ws2_32.ts';
import { BorrowedHandle, CURRENT_PROCESS } from '../io/index.ts';
import { readMitigations } from '../process/machine/machine.ts';
import { listModules } from '../process/modules.ts';
import { type Account, type Mode, SCRIPT_EXIT_CODE } from './account.ts';
import { faults } from './faults.ts';
import {
  _close,
  _get_osfhandle,
  _set_thread_local_invalid_parameter_handler,
  _wopen,
  CreateFileW,
  CreateMutexW,
  CreateThread,
  listen,
  RegCloseKey,
  RegOpenKeyExW,
  SetEvent,
} from './native-calls.ts';

const NO_HANDLE = 0n as HANDLE;
const GENERIC_READ = 0x8000_0000;
const SHARE_ALL = 7;
const OPEN_EXISTING = 3;
const HANDLE_FLAG_INHERIT = 1;
const HANDLE_FLAG_PROTECT_FROM_CLOSE = 2;
const HKEY_LOCAL_MACHINE = -0x7fff_fffen as HANDLE;
const KEY_READ = 0x2_0019;
const AF_INET = 2;
const SOCK_STREAM = 1;
const IPPROTO_TCP = 6;
const WSA_FLAG_OVERLAPPED = 1;
const O_BINARY = 0x8000;
const THREAD_END_MS_MAX = 10_000;
/** No program has so many handles. */
const NEVER_OPENED = 0x7fff_fff0n as HANDLE;
const CHILD_MS_MAX = 60_000;

/** A fault, or its correct twin. The result is the value that the finding is about. */
type Act = (isFault: boolean) => bigint;

const kernel32 = GetModuleHandleW('kernel32.dll');

const openEvent = (): HANDLE => CreateEventW(null, false, false, null);
const openMutant = (): HANDLE => CreateMutexW(null, false, null);
const openFile = (): HANDLE =>
  CreateFileW(process.execPath, GENERIC_READ, SHARE_ALL, null, OPEN_EXISTING, 0, NO_HANDLE);
const openSocket = (): SOCKET => WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, null, 0, WSA_FLAG_OVERLAPPED);
const openDescriptor = (): number => _wopen(process.execPath, O_BINARY, 0);

function openKey(): HANDLE {
  const key = new BigInt64Array(1);
  RegOpenKeyExW(HKEY_LOCAL_MACHINE, 'SOFTWARE', 0, KEY_READ, key);
  return key[0]! as HANDLE;
}

/** The writing end of a pipe, whose other end is closed. */
function openPipe(): HANDLE {
  const [read, write] = [new BigInt64Array(1), new BigInt64Array(1)];
  CreatePipe(read, write, null, 0);
  CloseHandle(read[0]! as HANDLE);
  return write[0]! as HANDLE;
}

/** A thread that has ended: its first function is the one that ends it. */
function openThread(): HANDLE {
  const thread = CreateThread(null, null, GetProcAddress(kernel32, 'ExitThread'), null, 0, null);
  WaitForSingleObject(thread, THREAD_END_MS_MAX);
  return thread;
}

function leak<Value>(open: () => Value, close: (value: Value) => unknown, valueOf: (value: Value) => bigint): Act {
  return (isFault) => {
    const opened = open();
    const value = valueOf(opened);
    if (!isFault) close(opened);
    return value;
  };
}

function closeTwice<Value>(open: () => Value, close: (value: Value) => unknown): Act {
  return (isFault) => {
    const opened = open();
    close(opened);
    if (isFault) close(opened);
    return BigInt(opened as bigint | number);
  };
}

function useAfterClose<Value extends bigint>(
  open: () => Value,
  close: (value: Value) => unknown,
  use: (value: Value) => unknown,
): Act {
  return (isFault) => {
    const opened = open();
    if (!isFault) use(opened);
    close(opened);
    if (isFault) use(opened);
    return opened;
  };
}

/** Calls with a value whose handle was closed before the next one was opened. */
function callStale(call: (value: HANDLE) => unknown): Act {
  return (isFault) => {
    const stale = openEvent();
    CloseHandle(stale);
    const next = openEvent();
    if (isFault) call(stale);
    CloseHandle(next);
    return stale;
  };
}

const self = (value: bigint): bigint => value;

const acts: Readonly<Record<string, Act>> = {
  'event-leak': leak(openEvent, CloseHandle, self),
  'file-leak': leak(openFile, CloseHandle, self),
  'pipe-leak': leak(openPipe, CloseHandle, self),
  'socket-leak': leak(openSocket, closesocket, self),
  'key-leak': leak(openKey, RegCloseKey, self),
  'thread-leak': leak(openThread, CloseHandle, self),
  'descriptor-leak': leak(openDescriptor, _close, _get_osfhandle),
  'event-double': closeTwice(openEvent, CloseHandle),
  'file-double': closeTwice(openFile, CloseHandle),
  'pipe-double': closeTwice(openPipe, CloseHandle),
  'socket-double': closeTwice(openSocket, closesocket),
  'key-double': closeTwice(openKey, RegCloseKey),
  'thread-double': closeTwice(openThread, CloseHandle),
  'descriptor-double': closeTwice(openDescriptor, _close),
  'event-use': useAfterClose(openEvent, CloseHandle, SetEvent),
  'socket-use': useAfterClose(openSocket, closesocket, (socket) => listen(socket, 1)),
  'socket-by-handle': (isFault) => {
    const socket = openSocket();
    // By a stack of its own: a refused wrong closer hides what is refused beneath it, and all calls have one place.
    if (isFault) [socket as bigint as HANDLE].forEach((handle) => CloseHandle(handle));
    else closesocket(socket);
    return socket;
  },
  'event-protected': (isFault) => {
    const event = openEvent();
    if (isFault) {
      SetHandleInformation(event, HANDLE_FLAG_PROTECT_FROM_CLOSE, HANDLE_FLAG_PROTECT_FROM_CLOSE);
      CloseHandle(event);
      SetHandleInformation(event, HANDLE_FLAG_PROTECT_FROM_CLOSE, 0);
    }
    CloseHandle(event);
    return event;
  },
  'value-close': (isFault) => {
    if (isFault) CloseHandle(NEVER_OPENED);
    return NEVER_OPENED;
  },
  'value-use': (isFault) => {
    if (isFault) SetEvent(NEVER_OPENED);
    return NEVER_OPENED;
  },
  'mutant-as-event': (isFault) => {
    const mutant = openMutant();
    if (isFault) SetEvent(mutant);
    CloseHandle(mutant);
    return mutant;
  },
  'event-inherited': (isFault) => {
    const event = openEvent();
    if (isFault) SetHandleInformation(event, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
    const [, script = '', account = '', mode = ''] = process.argv;
    const childMode: Mode = mode === 'clean' ? 'clean-child' : 'child';
    spawnSync(process.execPath, [script, `${account}.child`, childMode], { stdio: 'ignore', timeout: CHILD_MS_MAX });
    CloseHandle(event);
    return event;
  },
  'child-leak': leak(openMutant, CloseHandle, self),
  'child-double': closeTwice(openMutant, CloseHandle),
  'stale-close': callStale(CloseHandle),
  'stale-use': callStale(SetEvent),
  'attach-double': closeTwice(openEvent, CloseHandle),
  'attach-use': useAfterClose(openEvent, CloseHandle, SetEvent),
};

/** Faults that are left out, so that a test can see them missed: names with commas between them. */
const OMIT_VARIABLE = 'UNCLOSED_SELF_TEST_OMIT';

/** The parts whose faults are committed in a mode. A clean mode commits their correct twins. */
const partsOfMode: Readonly<Record<Mode, readonly string[]>> = {
  faults: ['faults'],
  clean: ['faults', 'quarantine', 'attach'],
  child: ['child'],
  'clean-child': ['child'],
  quarantine: ['quarantine'],
  attach: ['attach'],
};

function commit(mode: Mode): Account {
  const isFault = mode !== 'clean' && mode !== 'clean-child';
  const omitted = (process.env[OMIT_VARIABLE] ?? '').split(',');
  // Without a handler, the C runtime ends a process that closes a descriptor twice. Any function will do.
  _set_thread_local_invalid_parameter_handler(GetProcAddress(kernel32, 'GetCurrentProcessId'));
  // All calls come from one place in koffi, so only their values tell them apart. Events keep each value taken; a pipe
  // has two.
  const placeholders: HANDLE[] = [];
  const values = faults
    .filter(({ part }) => partsOfMode[mode].includes(part))
    .map(({ name }) => {
      const value = acts[name]!(isFault && !omitted.includes(name));
      placeholders.push(openEvent(), openEvent());
      return [name, `0x${value.toString(16)}`] as const;
    });
  for (const placeholder of placeholders) CloseHandle(placeholder);
  return {
    pid: process.pid,
    values: Object.fromEntries(values),
    modules: listModules(BorrowedHandle.borrowRaw(CURRENT_PROCESS)).map(({ name, isSystem }) => ({ name, isSystem })),
    mitigations: readMitigations(),
  };
}

/** Commits the faults of a mode, and writes the account of it into a file. */
export function commitFaults(file: string, mode: string): void {
  const write = (): void => writeFileSync(file, JSON.stringify(commit(mode as Mode)));
  process.exitCode = SCRIPT_EXIT_CODE;
  if (mode !== 'attach') return write();
  // It goes on until the channel is closed.
  process.on('message', () => {
    write();
    process.send?.('done');
  });
  process.send?.('ready');
}
