import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import type { Report } from '../../../src/model.ts';
import { isReporterName, reporterNames, reporters } from '../../../src/report/index.ts';
import type { ReportOptions } from '../../../src/report/reporter.ts';
import { table } from '../../../src/report/formats/table.ts';
import { textWidth } from '../../../src/report/text-width.ts';
import { makeHostile, randomNumbers } from './hostile.ts';
import { clean, readSource, sample } from './sample.ts';

const plain: ReportOptions = { colorLevel: 0, columns: 80, readSource, baseDirectory: 'Z:/WORK/rotate' };

/** With one finding in two suppressed by a line of a file. */
const withSuppressed: Report = {
  ...sample,
  findings: sample.findings.map((finding, index) =>
    index % 2 === 0
      ? finding
      : { ...finding, status: 'suppressed', suppressedBy: { line: 'leak:x', source: 'a.supp', lineNumber: 7 } },
  ),
  suppressions: [{ line: 'leak:x', source: 'a.supp', lineNumber: 7, findings: 4 }],
};

function draw(options: Partial<ReportOptions> = {}, report: Report = sample): string {
  return table(report, { ...plain, ...options });
}

function section(title: string): string {
  return (
    draw({ showAll: true })
      .split(/\n(?=ERROR|WARNING|NOTE|level )/)
      .find((text) => text.startsWith(title)) ?? ''
  );
}

/** The text without the colours that chalk wrote. */
function withoutColour(text: string): string {
  return text.replace(/\x1b\[\d+(?:;\d+)*m/g, '');
}

describe('the table report', () => {
  it('shows a double close with its three stacks, the mistake first, and the lines of source', () => {
    expect(section('ERROR double-close')).toMatchInlineSnapshot(`
      "ERROR double-close  Event handle, 7 times                       62230070c41d4871
        Event handles 0x1f0 and 0x1f4, opened at open_gate (gate.c:5) and closed at
        shut_gate (gate.c:12), were closed again by CloseHandle at finish (main.c:44),
        7 times.

        handles  0x1f0 0x1f4
                 Local\\rotate-gate

        closed again at
          CloseHandle  kernelbase.dll
          finish       src\\main.c:44
              43 │ /* the caller believes that it still owns the gate */
            ❯ 44 │ CloseHandle(gate);
              45 │ /* line 45 */
          main         src\\main.c:61

        first closed at
          CloseHandle  kernelbase.dll
          shut_gate    src\\gate.c:12
              11 │     if (gate)
            ❯ 12 │         CloseHandle(gate);
              13 │ }
          main         src\\main.c:61

        opened at
          CreateEventW  kernelbase.dll +1 frame
          open_gate     src\\gate.c:5
              4 │ {
            ❯ 5 │     HANDLE gate = CreateEventW(NULL, TRUE, FALSE, name);
              6 │     return gate;
          main          src\\main.c:61
      "
    `);
  });

  it('shows a leak with its handles and the place where its siblings are closed', () => {
    expect(section('ERROR leak  3 File')).toMatchInlineSnapshot(`
      "ERROR leak  3 File handles                                      1beb9871d44c1516
        3 File handles opened at open_log (log.c:4) are still open; others from this
        site are closed at close_log (log.c:11).

        handles  0x1a4  C:\\ProgramData\\Rotate\\logs\\archive\\app.2026-11-20.log
                 0x1a8  C:\\ProgramData\\Rotate\\logs\\archive\\app.2026-11-21.log
                 0x1ac  C:\\ProgramData\\Rotate\\logs\\archive\\app.2026-11-22.log

        opened at
          fopen       msvcrt.dll +3 frames
          open_log    src\\log.c:4
              3 │ char path[MAX_PATH];
            ❯ 4 │ FILE *log = fopen(log_path(path, sizeof path, day), "a"); /* a comm…
              5 │ return log;
          rotate_all  src\\log.c:30
          main        src\\main.c:61

        others are closed at
          fclose     msvcrt.dll +2 frames
          close_log  src\\log.c:11
          main       src\\main.c:61
      "
    `);
  });

  it('shows a socket with its endpoints', () => {
    expect(section('WARNING leak')).toContain('handle  0x2b0  TCP 127.0.0.1:52110 → 127.0.0.1:8080, connected\n');
  });

  it('sums up in a table, then says what was not seen, then counts', () => {
    const text = draw({ showAll: true });
    expect(text.slice(text.indexOf('level '))).toMatchInlineSnapshot(`
      "level    rule             object  count  site
      ───────  ───────────────  ──────  ─────  ───────────────────────────────────────
      error    double-close     Event       7  finish (main.c:44)
      error    leak             Event     128  app.exe+0x13ae
      error    leak             File        3  open_log (log.c:4)
      error    use-after-close  Event       1  notify_all (notify.c:140)
      warning  invalid-close    -           1  finish (main.c:44)
      warning  leak             Socket      1  net::vector<…point const&> (net.cpp:77)

      Incomplete: this could not be seen and may hide findings:
        • Calls of ntdll in an unknown form, perhaps hooked by other software, were
          not recorded: NtCreateLowBoxToken.
        • 2 handles have no name in this report: the question for it did not end in
          time.

      ✗ 4 errors, 2 warnings, 2 notes (--notes); the report is incomplete.
      "
    `);
  });

  it('folds the system’s and the runtime’s frames unless told otherwise', () => {
    expect(draw()).not.toMatch(/RtlUserThreadStart|__tmainCRTStartup|_wfsopen/);
    expect(draw({ showSystemFrames: true, showAll: true })).toMatch(
      /_wfsopen +msvcrt\.dll\+0x69[\s\S]*__tmainCRTStartup[\s\S]*RtlUserThreadStart/,
    );
  });

  it('names the function of Windows that the program called, and not the hook that came first', () => {
    const hook = { module: 'guard64.dll', function: 'on_call', offset: 8, system: true, interposed: true } as const;
    const found = sample.findings.find(({ stacks }) => stacks.opened?.[0]?.function === 'CreateEventW')!;
    const { opened = [] } = found.stacks;
    const own = opened.findIndex(({ system }) => system !== true);
    const stacks = { opened: [...opened.slice(0, own), hook, ...opened.slice(own)] };
    const text = table({ ...sample, findings: [{ ...found, stacks }] }, plain);
    expect(text).toMatch(/CreateEventW +kernelbase\.dll \+\d frame/);
    expect(text).not.toContain('on_call');
  });

  it('hides notes but says how many there are, and shows them when told to', () => {
    expect(draw()).not.toContain('NOTE');
    expect(draw()).toContain('2 notes (--notes)');
    expect(draw({ showNotes: true }).match(/^NOTE/gm)).toHaveLength(2);
    expect(draw({ showNotes: true })).toMatch(/4 errors, 2 warnings, 2 notes;/);
  });

  it('shows no source where there is none', () => {
    const { readSource: _readSource, ...options } = plain;
    expect(table(sample, options)).not.toContain('❯');
    expect(draw({ readSource: () => [] })).not.toContain('❯');
  });

  it('shows paths as they are without a base directory', () => {
    const { baseDirectory: _baseDirectory, ...options } = plain;
    expect(table(sample, { ...options, showAll: true })).toContain('Z:\\work\\rotate\\src\\gate.c:12');
  });

  it.each<[string, Report, string]>([
    ['nothing was found and nothing missed', clean, '\n✓ No leaks and no misused handles in app.exe.\n'],
    [
      'nothing was found in partial data',
      { ...clean, completeness: { complete: false, gaps: [{ kind: 'stacks-dropped', count: 1 }] } },
      "\n\nIncomplete: this could not be seen and may hide findings:\n  • 1 call has no stack: the recorder's room for stacks was full.\n\n? No leaks and no misused handles in what could be seen of app.exe, but the\nreport is incomplete.\n",
    ],
    [
      'only notes were found',
      {
        ...sample,
        findings: sample.findings.filter(({ level }) => level === 'note'),
        completeness: { complete: true, gaps: [{ kind: 'names-timed-out', count: 1 }] },
      },
      '\n\nTo know:\n  • 1 handle has no name in this report: the question for it did not end in\n    time.\n\n✓ No leaks and no misused handles in app.exe, 2 notes (--notes).\n',
    ],
  ])('says it when %s', (_title, report, end) => {
    expect(draw({}, report).endsWith(end)).toBe(true);
  });

  it('has three lines when there is nothing to say', () => {
    expect(draw({}, { ...clean, target: { ...clean.target, command: ['C:\\app.exe'] } }).split('\n')).toEqual([
      'unclosed 0.1.0 C:\\app.exe',
      'pid 4242, exited with 0, 1.2 s, 1,412 handles opened, 1,281 closed, 131 open',
      '✓ No leaks and no misused handles in app.exe.',
      '',
    ]);
  });

  it.each([
    [0, 'exited with 0'],
    [3, 'exited with 3'],
    [0xc0000005, 'exited with 0xc0000005 (access violation)'],
    [0xc0000420, 'exited with 0xc0000420'],
    [undefined, 'still running'],
  ])('says of exit code %s: %s', (exitCode, said) => {
    const { exitCode: _exitCode, ...target } = sample.target;
    expect(draw({}, { ...clean, target: exitCode === undefined ? target : { ...target, exitCode } })).toContain(
      `pid 4242, ${said}, 1.2 s`,
    );
  });

  it('has the same text in every colour', () => {
    const badges = (text: string): string =>
      text.replace(/ (ERROR|WARNING) (?=[^\n]*[0-9a-f]{16})/g, '$1').replace(/ {2,}(?=[0-9a-f]{16})/g, '  ');
    for (const colorLevel of [1, 2, 3] as const) {
      expect(badges(withoutColour(draw({ colorLevel }))).replaceAll(/ +$/gm, '')).toBe(
        badges(draw()).replaceAll(/ +$/gm, ''),
      );
    }
  });

  it('has no escape sequence without colour', () => {
    expect(draw({ showNotes: true, showSystemFrames: true })).not.toContain('\x1b');
  });

  it('survives empty stacks, no command and odd numbers of columns', () => {
    const finding = { ...sample.findings[0]!, stacks: { opened: [], offending: [] }, handles: [] };
    const odd: Report = { ...sample, findings: [finding], target: { command: [], pid: 0 } };
    for (const columns of [0, -1, 1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(draw({ columns }, odd)).toContain('no stack could be walked');
  });

  it('never lets a name reach the terminal, and never exceeds the columns, whatever the target is called', () => {
    for (let seed = 1; seed <= 120; seed += 1) {
      const random = randomNumbers(seed);
      const report = makeHostile(random(2) === 0 ? sample : withSuppressed, random);
      const options: ReportOptions = {
        colorLevel: (seed % 4) as 0 | 1 | 2 | 3,
        columns: 40 + random(100),
        readSource: () => [
          '\x1b[2Jone',
          '\u202etwo\t漢',
          'three\0'.repeat(40),
          ...Array.from({ length: 200 }, () => '\x9b'),
        ],
        showNotes: random(2) === 0,
        showSuppressed: random(2) === 0,
        showSystemFrames: random(2) === 0,
        ascii: random(3) === 0,
      };
      const text = table(report, options);
      const bare = options.colorLevel === 0 ? text : withoutColour(text);
      expect(bare.replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      if (options.ascii === true) expect(bare).toMatch(/^[\n\x20-\x7e]*$/);
      for (const line of bare.split('\n'))
        expect.soft(textWidth(line), line).toBeLessThanOrEqual(Math.min(options.columns, 120));
    }
  });

  it('does not load the colours of cli-table3: they touch process.stdout, which ends Node under Wine', () => {
    draw({ colorLevel: 1 });
    const loaded = Object.keys(createRequire(import.meta.url).cache);
    expect(loaded.some((path) => path.includes('cli-table3'))).toBe(true);
    expect(loaded.filter((path) => path.includes('@colors'))).toEqual([]);
  });
});

describe('the registry of reporters', () => {
  it('knows its names, and no other', () => {
    expect(reporterNames).toEqual(Object.keys(reporters));
    expect(reporterNames).toEqual(expect.arrayContaining(['table', 'json', 'suppressions']));
    expect(reporterNames.every(isReporterName)).toBe(true);
    expect(['', 'toString', '__proto__', 'xml'].some(isReporterName)).toBe(false);
    expect(reporters.table).toBe(table);
  });
});
