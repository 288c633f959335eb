// Reports for the tests that look at pages in a browser.
/** @import { Finding, Frame, Report } from '../../../dist/model.js' */

/**
 * @param {string} name
 * @param {number} line
 * @returns {Frame}
 */
function own(name, line) {
  return { module: 'app.exe', function: name, offset: line, file: `C:\\src\\${name}.c`, line };
}

/** @returns {readonly Frame[]} */
function stack(/** @type {string} */ call, /** @type {readonly string[]} */ ...names) {
  return [
    { module: 'kernelbase.dll', function: call, offset: 53, system: true },
    ...names.map((name, depth) => own(name, 4 + depth)),
    { module: 'kernel32.dll', function: 'BaseThreadInitThunk', offset: 9, system: true },
  ];
}

/** @type {readonly Finding[]} */
const findings = [
  {
    rule: 'double-close',
    level: 'error',
    status: 'new',
    message: 'Event handle 0x38, opened at start (start.c:4), was closed again by CloseHandle at stop (stop.c:4).',
    count: 1,
    object: { type: 'Event' },
    handles: [0x38n],
    stacks: {
      offending: stack('CloseHandle', 'stop', 'main'),
      closed: stack('CloseHandle', 'shut', 'main'),
      opened: stack('CreateEventW', 'start', 'main'),
    },
    fingerprint: '1111111111111111',
    suppression: 'double-close:type:^Event$;^app.exe!stop$',
  },
  {
    rule: 'leak',
    level: 'warning',
    status: 'new',
    message: '3 File handles opened at open_log (open_log.c:4) are still open.',
    count: 3,
    object: { type: 'File' },
    handles: [0x40n, 0x44n, 0x48n],
    objects: [1, 2, 3].map((day) => ({ type: 'File', name: `C:\\a-rather-long-directory\\logs\\2026-11-0${day}.log` })),
    stacks: { opened: stack('CreateFileW', 'open_log', 'rotate', 'main') },
    fingerprint: '2222222222222222',
    runs: [3, 2, 3],
    growth: { iterations: 6, grewIn: 6, handlesPerIteration: 0.5 },
  },
  {
    rule: 'leak',
    level: 'note',
    status: 'new',
    message: 'One Key handle that ntdll opened for itself is still open.',
    count: 1,
    object: { type: 'Key', name: 'HKLM' },
    handles: [0x10n],
    stacks: { opened: [] },
    fingerprint: '3333333333333333',
    runs: [1, 1, 1],
  },
  {
    rule: 'leak',
    level: 'error',
    status: 'suppressed',
    suppressedBy: { line: 'leak:open_pool', source: 'known.supp', lineNumber: 2 },
    message: '8 sockets opened at open_pool (open_pool.c:4) are still open.',
    count: 8,
    object: { type: 'Socket', socket: { protocol: 'TCP', local: '127.0.0.1:5000', state: 'listening' } },
    handles: [0x50n],
    stacks: { opened: stack('WSASocketW', 'open_pool', 'main') },
    fingerprint: '4444444444444444',
    runs: [8, 8, 8],
  },
];

/** A leak of files, a pool of events that fills, and types of which the number does not change. */
function makeTimeline() {
  const timesMs = Array.from({ length: 120 }, (_, moment) => Math.round((moment * 1240) / 119));
  /** @type {Readonly<Record<string, (moment: number) => number>>} */
  const counts = {
    Directory: () => 2,
    Event: (moment) => Math.min(14, 4 + Math.floor(moment / 3)),
    File: (moment) => 3 + Math.floor(moment / 12),
    Key: () => 3,
    Mutant: () => 1,
    Process: (moment) => (moment > 40 && moment < 80 ? 2 : 0),
    Socket: (moment) => (moment % 30 < 12 ? 6 + (moment % 5) : 2),
    Thread: (moment) => (moment > 20 ? 8 : 1),
  };
  return {
    timesMs,
    types: Object.entries(counts).map(([type, countAt]) => ({
      type,
      counts: timesMs.map((_, moment) => countAt(moment)),
    })),
  };
}

/** @type {Report} */
export const full = {
  schemaVersion: 1,
  tool: { name: 'unclosed', version: '0.1.0' },
  target: { command: ['C:\\build\\app.exe', '--days', '7'], pid: 4242, exitCode: 0 },
  findings,
  completeness: { complete: false, gaps: [{ kind: 'stacks-dropped', count: 12 }] },
  modulesWithoutNames: [],
  suppressions: [{ line: 'leak:open_pool', source: 'known.supp', lineNumber: 2, findings: 1 }],
  processes: [
    { pid: 4242, image: 'C:\\build\\app.exe', exitCode: 0, opens: 500, closes: 480, findings: 2 },
    {
      pid: 4250,
      parentPid: 4242,
      parentIndex: 0,
      image: 'C:\\build\\worker.exe',
      exitCode: 3,
      opens: 20,
      closes: 20,
      findings: 0,
    },
    { pid: 4260, parentPid: 4250, parentIndex: 1, image: 'C:\\build\\helper.exe', opens: 1, closes: 1, findings: 0 },
  ],
  runs: [1, 2, 3].map((pid) => ({ pid, exitCode: 0, durationMs: 1200 })),
  stats: {
    durationMs: 1240,
    opens: 521,
    closes: 501,
    openHandles: 20,
    hookedCalls: 83,
    distinctStacks: 31,
    iterations: 8,
  },
  openOverTime: makeTimeline(),
};

/** @type {Report} */
export const clean = {
  schemaVersion: 1,
  tool: full.tool,
  target: full.target,
  findings: [],
  completeness: { complete: true, gaps: [] },
  stats: full.stats,
};

const weapon = `<img src="https://example.com/x.png" onerror="console.error('run')"></style></script><script>console.error('run')</script>${'\u202e\0\ud800'}${'W'.repeat(400)}`;

/**
 * @param {unknown} value
 * @param {string} key
 * @returns {unknown}
 */
function arm(value, key) {
  if (typeof value === 'string')
    return ['level', 'status', 'rule', 'kind', 'fingerprint'].includes(key) ? value : `${value}${weapon}`;
  if (Array.isArray(value)) return value.map((each) => arm(each, key));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, arm(each, name)]));
}

/** Every text of the report is an attack, and wider than a page. */
export const hostile = /** @type {Report} */ (arm(full, ''));

/** @type {Report} */
export const large = {
  ...full,
  findings: Array.from({ length: 400 }, (_, index) => {
    const kind = /** @type {Finding} */ (findings[index % 3]);
    const opened = stack('CreateFileW', `function_${index}`, `caller_${index % 20}`, 'main');
    return { ...kind, fingerprint: String(index).padStart(16, '0'), stacks: { ...kind.stacks, opened } };
  }),
};
