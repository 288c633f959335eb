import { type Gap, mayHideFindings } from '../../../../src/completeness.ts';
import type { Finding, Frame, HandleObject, Report, Stack } from '../../../../src/model.ts';

/** A gap of each kind, with figures of all sorts. */
const gaps: readonly Gap[] = Object.keys(mayHideFindings).map((kind) => {
  const figures: Readonly<Record<string, object>> = {
    interrupted: {},
    'inherited-cut': {},
    'settled-without-marks': {},
    'calls-unrecognised': { names: ['NtClose'] },
    'functions-unmovable': { names: ['msvcrt.dll!_lseek'] },
    'handle-table-lost': { why: 'failed-fast' },
    'no-sections': { mark: '\\\\.\\pipe\\done' },
    'no-marks': { mark: 'Local\\done' },
    'too-few-marks': { iterations: 1, warmUpIterations: 2, needed: 5 },
    'process-left': { image: 'C:\\b.exe' },
    'process-skipped': { image: 'C:\\b.exe' },
    'process-unrecorded': { image: 'C:\\b.exe', why: 'it is 32-bit' },
    'programs-missing': { names: ['worker.exe'] },
    'modules-interposed': { names: ['guard64.dll'] },
    'too-few-intervals': { intervals: 1, needed: 4 },
    'watched-for': { durationMs: 12.5 },
    'left-in-target': { sizeBytes: 1 << 20 },
    'marks-joined': { iterations: 5_000_000 },
    'runs-missing': { done: 1, wanted: 2 },
  };
  return { kind, ...(figures[kind] ?? { count: 3 }), runs: [1], processes: [4, 8], indexes: [0, 1] } as unknown as Gap;
});

const system: Frame = { module: 'kernelbase.dll', function: 'CreateFileW', offset: 60, system: true };
const hook: Frame = { module: 'guard64.dll', function: 'on_close', offset: 8, system: true, interposed: true };
const inlined: Frame = {
  module: 'app.exe',
  function: 'open_log',
  offset: 20,
  file: 'C:\\repo\\src\\log file.c',
  line: 4,
  inlined: true,
};
const own: Frame = { module: 'app.exe', function: 'rotate', offset: 40, file: 'C:\\repo\\src\\rotate.c', line: 30 };
const main: Frame = { module: 'app.exe', function: 'main', offset: 9, file: 'src\\main.c', line: 61 };
const library: Frame = { module: 'lib.dll', function: 'run', offset: 1, file: 'D:\\lib\\run.c', line: 7 };
const script: Frame = {
  module: 'leak.cjs',
  function: 'load',
  offset: 0,
  file: 'C:\\repo\\src\\leak.cjs',
  line: 9,
  column: 16,
  javascript: true,
};
const nameless: Frame = { module: 'app.exe', offset: 0x13ae };
const start: Frame = { module: 'app.exe', function: 'mainCRTStartup', offset: 9, runtime: true };

/** `CreateFileW` by `open_log`, which was inlined into `rotate`, with a library between it and `main`. */
export const opened: Stack = [system, inlined, own, library, main, start];
const closedByScript: Stack = [system, hook, script];
const closed: Stack = [system, own, main, start];
const offending: Stack = [system, { ...own, function: 'finish', line: 44 }, nameless, main, start];

const socket: HandleObject = {
  type: 'Socket',
  socket: { protocol: 'TCP', local: '127.0.0.1:1', remote: '127.0.0.1:80', state: 'connected' },
};
const stream: HandleObject = {
  type: 'FILE',
  name: 'C:\\a.log',
  wrapper: { type: 'FILE', value: 0x2283n, descriptor: 3 },
};
const byLine = {
  line: 'leak:app.exe!open_log',
  source: 'known.txt',
  lineNumber: 3,
  reason: 'a pool',
  expires: '2027-01-31',
};

const leak: Finding = {
  rule: 'leak',
  level: 'error',
  status: 'new',
  message: '3 File handles opened at open_log (log file.c:4) are still open.',
  count: 3,
  object: { type: 'File' },
  handles: [0x1a4n, 0x1a8n],
  objects: [stream, socket],
  stacks: { opened, siblingsClosed: closed },
  fingerprint: '00000000000000a1',
  baseline: { count: 2, perIteration: true },
  growth: { iterations: 8, grewIn: 8, handlesPerIteration: 1.5 },
  sections: {
    opened: [
      { names: ['Cache.evicts'], count: 2 },
      { names: [], of: 1, count: 1 },
    ],
    called: [{ names: ['Log.rotates'], count: 1 }],
    leftIn: 2,
  },
  processes: [
    { pid: 4, index: 0, count: 1 },
    { pid: 8, index: 1, count: 2 },
  ],
  runs: [3, 0],
  suppression: 'leak:app.exe!open_log',
  dump: 'C:\\work\\app-4242-leak-1.dmp',
};
const misuse: Finding = {
  ...leak,
  rule: 'stale-close',
  level: 'warning',
  message: 'File handle 0x1a4 was closed again at finish (rotate.c:44).',
  count: 2,
  stacks: { opened: [...opened, { ...script, requested: true }], closed, offending, victim: opened },
  history: {
    handle: 0x1a4n,
    events: [
      { event: 'opened', life: 1, type: 'File', call: 'NtCreateFile', threadId: 36, timeMs: 1.25, stack: opened },
      { event: 'closed', life: 1, type: 'File', call: 'NtClose', threadId: 36, timeMs: 2.5, stack: closed },
      { event: 'opened', life: 2, type: 'Event', stack: opened },
      { event: 'closed-by-stranger', life: 2, type: 'Event', closerOf: 1, timeMs: 3, threadId: 40, stack: closed },
      { event: 'misused', life: 2, type: 'Event', call: 'NtSetEvent', threadId: 36, timeMs: 4, stack: offending },
    ],
  },
  fingerprint: '00000000000000a2',
  processes: [{ pid: 8, index: 1, count: 2 }],
};
const note: Finding = {
  ...leak,
  level: 'note',
  message: 'One Key handle is still open.',
  count: 1,
  object: { type: 'Key', name: 'HKLM\\Software' },
  stacks: { opened: [], closed: closedByScript },
  fingerprint: '00000000000000a3',
  processes: [{ pid: 6, image: 'C:\\repo\\build\\app.exe', count: 1 }],
};

/** A report in which every member of every value is there. */
export const everything: Report = {
  schemaVersion: 1,
  tool: { name: 'unclosed', version: '0.1.0' },
  target: {
    command: ['C:\\repo\\build\\app.exe', '--days', '7'],
    pid: 4,
    attached: true,
    added: ['--days'],
    exitCode: 0xc0000005,
  },
  findings: [
    leak,
    { ...leak, status: 'suppressed', suppressedBy: byLine, fingerprint: '00000000000000a4' },
    misuse,
    { ...misuse, status: 'known', fingerprint: '00000000000000a5' },
    note,
  ],
  completeness: { complete: false, gaps },
  modulesWithoutNames: [
    {
      module: 'app.exe',
      why: 'pdb-not-found',
      debugFile: 'C:\\b\\app.pdb',
      pdbId: '3249D99D0C4049318610F4E4FB0B69361',
      trouble: 'https://symbols.example answered with HTTP 500',
    },
  ],
  suppressions: [
    { ...byLine, findings: 1 },
    { ...byLine, findings: 0, expired: true },
  ],
  baseline: {
    file: 'unclosed.baseline',
    entries: 2,
    stale: [{ rule: 'leak', fingerprint: '00000000000000b1', site: 'File', count: 3, perIteration: true, found: 1 }],
    changes: { added: 1, raised: 0, lowered: 2, dropped: 0 },
  },
  processes: [
    { pid: 4, image: 'C:\\repo\\build\\app.exe', exitCode: 3, opens: 5, closes: 4, findings: 1 },
    { pid: 8, parentPid: 4, parentIndex: 0, image: 'C:\\repo\\build\\app.exe', opens: 5, closes: 4, findings: 2 },
    { pid: 12, parentPid: 8, parentIndex: 1, image: 'C:\\tools\\b.exe', exitCode: 0, opens: 5, closes: 4, findings: 0 },
  ],
  runs: [
    { pid: 4, exitCode: 0, durationMs: 12.5 },
    { pid: 5, durationMs: 13 },
  ],
  stats: {
    durationMs: 1240.5,
    opens: 1412,
    closes: 1281,
    openHandles: 131,
    hookedCalls: 83,
    distinctStacks: 211,
    iterations: 10,
    sections: 3,
  },
  openOverTime: {
    timesMs: [0, 20, 1240],
    types: [
      { type: 'File', counts: [1, 4, 4] },
      { type: 'Key', counts: [2, 2, 2] },
    ],
  },
};

/** The options of a tool that runs in `C:\repo`. */
export const atHome = {
  colorLevel: 3,
  columns: 80,
  baseDirectory: 'C:\\repo',
  repositoryDirectory: 'C:\\repo',
} as const;

/** The same, and all findings are listed. */
export const listAll = { ...atHome, showNotes: true, showSuppressed: true } as const;

/** The whole text of a report in pieces. */
export function whole(pieces: string | Iterable<string>): string {
  return typeof pieces === 'string' ? pieces : [...pieces].join('');
}
