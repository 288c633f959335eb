import { describe, expect, it } from 'vitest';
import { type Actor, attributeMisuse } from '../../../../src/analyze/attribution.ts';
import { called, mainBottom, misuse } from '../evidence.ts';

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
