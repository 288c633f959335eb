import { analyze } from '../../../src/analyze/index.ts';
import type { HandleObject, Report } from '../../../src/model.ts';
import type { OpenHandle } from '../../../src/evidence-model.ts';
import { called, mainBottom, misuse, openSite, stack } from '../analyze/evidence.ts';

const bottom = ['app!main @Z:\\work\\rotate\\src\\main.c:61', ...mainBottom.slice(1)];

function handles(objects: readonly HandleObject[], first: number): readonly OpenHandle[] {
  return objects.map((object, index) => ({
    value: BigInt(first + 4 * index),
    object,
    access: 1,
    inheritable: false,
    protectFromClose: false,
  }));
}

const logs = ['2026-11-20', '2026-11-21', '2026-11-22'].map(
  (day): HandleObject => ({ type: 'File', name: `C:\\ProgramData\\Rotate\\logs\\archive\\app.${day}.log` }),
);
const client: HandleObject = {
  type: 'Socket',
  socket: { protocol: 'TCP', local: '127.0.0.1:52110', remote: '127.0.0.1:8080', state: 'connected' },
};

const openGate = called(
  'NtCreateEvent',
  'kernelbase!CreateEventExW+0x152',
  'kernelbase!CreateEventW+0x35',
  'app!open_gate @Z:\\work\\rotate\\src\\gate.c:5',
  ...bottom,
);
const shutGate = called(
  'NtClose',
  'kernelbase!CloseHandle+0x35',
  'app!shut_gate @Z:\\work\\rotate\\src\\gate.c:12',
  ...bottom,
);
const shutAgain = called(
  'NtClose',
  'kernelbase!CloseHandle+0x35',
  'app!finish @Z:\\work\\rotate\\src\\main.c:44',
  ...bottom,
);
const setGate = called(
  'NtSetEvent',
  'kernelbase!SetEvent+0x1c',
  'plugin!notify_all @Z:\\work\\rotate\\plugin\\a-directory-of-a-rather-long-name\\notify.c:140',
  'app!finish @Z:\\work\\rotate\\src\\main.c:47',
  ...bottom,
);

/** A report as a real program would give it: every level, a DLL, sockets, names, notes, something not seen. */
export const sample: Report = {
  schemaVersion: 1,
  tool: { name: 'unclosed', version: '0.1.0' },
  target: { command: ['Z:\\work\\rotate\\build\\app.exe', '--days', '7', 'two words'], pid: 4242, exitCode: 0 },
  findings: analyze({
    open: [
      openSite({
        object: { type: 'File' },
        count: 3,
        examples: handles(logs, 0x1a4),
        opened: called(
          'NtCreateFile',
          'kernelbase!CreateFileW+0x3e4',
          'msvcrt!_wsopen+0x2c',
          'msvcrt!_wfsopen+0x69',
          'msvcrt!fopen+0xf',
          'app!open_log @Z:\\work\\rotate\\src\\log.c:4',
          'app!rotate_all @Z:\\work\\rotate\\src\\log.c:30',
          ...bottom,
        ),
        siblingsClosedAt: stack(
          'kernelbase!CloseHandle+0x35',
          'msvcrt!_close+0x40',
          'msvcrt!fclose+0x51',
          'app!close_log @Z:\\work\\rotate\\src\\log.c:11',
          ...bottom,
        ),
      }),
      openSite({
        object: { type: 'Event' },
        count: 128,
        opened: called(
          'NtCreateEvent',
          'kernelbase!CreateEventW+0x35',
          'app+0x13ae',
          'app+0x14e6',
          'kernel32!BaseThreadInitThunk',
          'ntdll!RtlUserThreadStart',
        ),
      }),
      openSite({
        object: client,
        examples: handles([client], 0x2b0),
        opened: called(
          'NtOpenFile',
          'ws2_32!WSASocketW+0x19f',
          'ws2_32!socket+0x53',
          'app!net::vector<rotate::Connection, std::allocator<rotate::Connection>>::emplace_back<rotate::Endpoint const&> @Z:\\work\\rotate\\src\\net.cpp:77',
          ...bottom,
        ),
      }),
      openSite({
        object: { type: 'Key', name: 'HKLM\\Software\\Classes' },
        opened: called('NtCreateKey', 'kernelbase!RegOpenKeyExW+0x1b2', ...bottom),
      }),
      openSite({ opened: called('NtCreateEvent', 'kernelbase!CreateEventW', 'ws2_32!bind+0x6b', ...bottom) }),
    ],
    misuses: [
      misuse({
        object: { type: 'Event', name: 'Local\\rotate-gate' },
        count: 7,
        values: [0x1f0n, 0x1f4n],
        offending: shutAgain,
        opened: openGate,
        closed: shutGate,
      }),
      misuse({
        kind: 'use',
        object: { type: 'Event' },
        values: [0x1f0n],
        offending: setGate,
        opened: openGate,
        closed: shutGate,
      }),
      misuse({ values: [0xdeadbeefn], offending: shutAgain }),
    ],
  }),
  completeness: {
    complete: false,
    gaps: [
      { kind: 'calls-unrecognised', names: ['NtCreateLowBoxToken'] },
      { kind: 'names-timed-out', count: 2 },
    ],
  },
  stats: { durationMs: 1240, opens: 1412, closes: 1281, openHandles: 131, hookedCalls: 83, distinctStacks: 211 },
};

/** Nothing found, nothing missed. */
export const clean: Report = {
  ...sample,
  findings: [],
  completeness: { complete: true, gaps: [] },
};

const gate = [
  '#include "gate.h"',
  '',
  'HANDLE open_gate(const wchar_t *name)',
  '{',
  '\tHANDLE gate = CreateEventW(NULL, TRUE, FALSE, name);',
  '\treturn gate;',
  '}',
  '',
  'void shut_gate(HANDLE gate)',
  '{',
  '\tif (gate)',
  '\t\tCloseHandle(gate);',
  '}',
];
const main = Array.from({ length: 70 }, (_, index) => `\t/* line ${index + 1} */`);
main[42] = '\t/* the caller believes that it still owns the gate */';
main[43] = '\tCloseHandle(gate);';
const log = [
  'FILE *open_log(const char *day)',
  '{',
  '\tchar path[MAX_PATH];',
  '\tFILE *log = fopen(log_path(path, sizeof path, day), "a"); /* a comment that makes this line far too wide */',
  '\treturn log;',
  '}',
];

/** The sources of {@link sample} that are there. */
export function readSource(file: string): readonly string[] | undefined {
  return file.endsWith('gate.c') ? gate : file.endsWith('main.c') ? main : file.endsWith('log.c') ? log : undefined;
}
