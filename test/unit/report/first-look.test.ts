import { describe, expect, it } from 'vitest';
import { analyze } from '../../../src/analyze/index.ts';
import type { Finding, Level, ModuleWithoutNames, Report } from '../../../src/model.ts';
import type { OpenSite } from '../../../src/evidence-model.ts';
import type { ReportOptions } from '../../../src/report/reporter.ts';
import { table } from '../../../src/report/formats/table.ts';
import { called, mainBottom, misuse, openSite } from '../analyze/evidence.ts';
import { makeHostile, randomNumbers } from './hostile.ts';
import { clean, sample } from './sample.ts';

const plain: ReportOptions = { colorLevel: 0, columns: 100 };

function draw(findings: readonly Finding[], options: Partial<ReportOptions> = {}, parts: Partial<Report> = {}): string {
  return table({ ...clean, findings, ...parts }, { ...plain, ...options });
}

function countLines(text: string): number {
  return text.split('\n').length - 1;
}

/** Leaks of one kind, each at a function of its own, which makes the system call itself. */
function leaks(count: number, parts: Partial<OpenSite> = {}, prefix = 'leak'): readonly OpenSite[] {
  return Array.from({ length: count }, (_, index) =>
    openSite({
      ...parts,
      opened: called('NtCreateEvent', `app!${prefix}_${index} @a.c:${index + 1}`, ...mainBottom),
    }),
  );
}

/** A leak at an address of the program, below which others of its frames have no names. */
function nameless(...frames: readonly string[]): OpenSite {
  return openSite({ opened: called('NtCreateEvent', ...frames, 'kernel32!BaseThreadInitThunk') });
}

describe('the first look at a report with many findings', () => {
  const many = analyze({
    open: [
      ...leaks(300),
      ...leaks(40, { object: { type: 'File' }, count: 60 }, 'many'),
      ...leaks(2, { object: { type: 'Socket' } }, 'sock'),
    ],
    misuses: [
      misuse({
        object: { type: 'Event' },
        offending: called('NtClose', 'kernelbase!CloseHandle', 'app!finish @b.c:4', ...mainBottom),
        opened: called('NtCreateEvent', 'kernelbase!CreateEventW', 'app!begin @b.c:1', ...mainBottom),
        closed: called('NtClose', 'kernelbase!CloseHandle', 'app!stop @b.c:2', ...mainBottom),
      }),
    ],
  });

  it.each([40, 60, 80, 100, 120])('has at most 100 lines at %i columns', (columns) => {
    expect(countLines(draw(many, { columns }))).toBeLessThanOrEqual(100);
    expect(countLines(draw(many, { columns }))).toBeGreaterThan(80);
  });

  it('shows the first of each kind in detail, errors before warnings', () => {
    const text = draw(many);
    const headers = [...text.matchAll(/^(ERROR|WARNING) (\S+) {2}(.*?) {2,}/gm)].map(([, ...parts]) => parts.join(' '));
    expect(headers.slice(0, 3)).toEqual([
      'ERROR double-close Event handle, once',
      'ERROR leak 60 File handles',
      'ERROR leak 60 File handles',
    ]);
    expect(headers).not.toContain('WARNING leak 1 Event handle');
  });

  it('has a row for the first of every kind, and says how many more there are of each', () => {
    const rows = draw(many)
      .split('\n')
      .filter((line) => /^(?:error|warning) /.test(line));
    expect(rows).toHaveLength(27);
    expect(rows.slice(-3)).toEqual([
      'error    leak          File     1140  … 19 more findings of this kind',
      'warning  leak          Event     299  … 299 more findings of this kind',
      'warning  leak          Socket      1  … 1 more finding of this kind',
    ]);
    expect(rows.filter((row) => /^warning .*leak_|^warning .*sock_/.test(row))).toHaveLength(2);
  });

  it('counts all in the verdict, and says how to see them', () => {
    expect(draw(many)).toMatch(
      /^Shown in detail: \d of 343 findings, the worst first\. --all shows each finding in full\.$/m,
    );
    expect(draw(many)).toMatch(/^✗ 41 errors, 302 warnings\.$/m);
  });

  it('shows all of them with --all', () => {
    const text = draw(many, { showAll: true });
    expect(text.match(/^(?:ERROR|WARNING) /gm)).toHaveLength(343);
    expect(text.match(/^(?:error|warning) /gm)).toHaveLength(343);
    expect(text).not.toContain('--all');
  });

  it('sums up the rest by levels where there are many kinds', () => {
    const open = Array.from({ length: 40 }, (_, index) => leaks(3, { object: { type: `Kind${index}` } })).flat();
    const text = draw(analyze({ open, misuses: [] }));
    expect(text).toMatch(/^warning +- +- +96 {2}… 96 more findings$/m);
    expect(countLines(text)).toBeLessThanOrEqual(100);
  });

  it.each<[what: string, levels: readonly Level[]]>([
    ['a report of one finding', ['error']],
    ['a report of four findings', ['error', 'error', 'warning', 'warning']],
  ])('leaves nothing out of %s', (_what, levels) => {
    const findings = many.slice(0, levels.length);
    expect(draw(findings)).toBe(draw(findings, { showAll: true }));
  });

  it('first leaves out lines of source and the rows of further stacks, which takes no finding away', () => {
    const some = sample.findings.filter(({ level }) => level !== 'note');
    const text = draw(some, { readSource: () => Array.from({ length: 200 }, () => 'call();') });
    expect(text.match(/^(?:ERROR|WARNING) /gm)).toHaveLength(some.length);
    expect(text).toMatch(/^ {2}first closed at {2}shut_gate \(gate\.c:12\) ← main \(main\.c:61\)$/m);
    expect(text).toMatch(/^Shown briefly\. --all shows each finding in full\.$/m);
  });

  it('cuts lists of handles, and says how many there are', () => {
    const handles = Array.from({ length: 8 }, (_, index) => BigInt(0x100 + index));
    const objects = handles.map((_, index) => ({ type: 'File', name: `C:\\${index}.log` }));
    const first = { ...many.find(({ rule }) => rule === 'leak')!, count: 60, handles };
    expect(draw([{ ...first, objects }, ...many.slice(2)])).toContain(
      '  handles  0x100  C:\\0.log\n           0x101  C:\\1.log\n           0x102  C:\\2.log\n           and 57 more\n',
    );
    expect(draw([first, ...many.slice(2)])).toContain('  handles  0x100 0x101 0x102 and 57 more\n');
  });

  it('shows all notes in addition, where they are asked for', () => {
    const notes = analyze({
      open: Array.from({ length: 50 }, (_, index) =>
        openSite({ opened: called('NtCreateEvent', 'ws2_32!bind', `app!note_${index}`, ...mainBottom) }),
      ),
      misuses: [],
    });
    expect(draw([...many, ...notes], { showNotes: true }).match(/^NOTE /gm)).toHaveLength(50);
    expect(countLines(draw([...many, ...notes]))).toBeLessThanOrEqual(100);
  });

  it('shows whole stacks where they are asked for, and so fewer findings', () => {
    const text = draw(many, { showSystemFrames: true });
    expect(text.match(/RtlUserThreadStart/g)!.length).toBeGreaterThan(3);
    expect(countLines(text)).toBeLessThanOrEqual(100);
  });

  it('has one row in the table for findings at one place', () => {
    const [one, two] = ['first', 'second'].map((caller) =>
      openSite({ opened: called('NtCreateEvent', 'app!open_log @a.c:4', `app!${caller} @a.c:9`, ...mainBottom) }),
    );
    const text = draw(analyze({ open: [one!, two!, ...leaks(1)], misuses: [] }));
    expect(text.match(/^WARNING /gm)).toHaveLength(3);
    expect(text).toMatch(/^warning {2}leak {2}Event {7}2 {2}open_log \(a\.c:4\) \(2 findings\)$/m);
  });

  it('has no table where there is one finding', () => {
    expect(draw(many.slice(0, 1))).not.toMatch(/^level/m);
    expect(draw(many.slice(0, 2))).toMatch(/^level/m);
  });

  it('has at most 100 lines whatever the target is called, and however much is not seen', () => {
    for (let seed = 1; seed <= 30; seed += 1) {
      const random = randomNumbers(seed);
      const report = makeHostile({ ...sample, findings: [...sample.findings, ...many.slice(0, 60)] }, random);
      const gaps = Array.from({ length: 30 }, () => sample.completeness.gaps[random(2)]!);
      const options = { columns: 40 + random(100) };
      const text = table({ ...report, completeness: { complete: false, gaps } }, { ...plain, ...options });
      expect(countLines(text)).toBeLessThanOrEqual(100);
    }
  });
});

describe('frames without names', () => {
  it('are one row where they follow one another, but for the site', () => {
    const [finding] = analyze({
      open: [
        nameless(
          'app+0x1100',
          'app+0x1200',
          'app+0x1300',
          'plugin!run',
          'plugin+0x10',
          '?+0x99',
          'app+0x1400',
          'app!go',
          'app+0x1500',
        ),
      ],
      misuses: [],
    });
    expect(draw([finding!])).toContain(
      [
        '    app.exe+0x1100',
        '    … 2 frames of app.exe without names',
        '    plugin.dll!run  plugin.dll+0x10',
        '    … 3 frames of plugin.dll, code outside of all modules and others without names',
        '    go              app.exe+0x10',
        '    app.exe+0x1500',
        '',
      ].join('\n'),
    );
  });

  it('are shown with --all-frames', () => {
    const findings = analyze({ open: [nameless('app+0x1100', 'app+0x1200', 'app+0x1300')], misuses: [] });
    expect(draw(findings, { showSystemFrames: true })).toMatch(/app\.exe\+0x1200\n +app\.exe\+0x1300\n/);
  });
});

describe('a site without a name', () => {
  const findings = analyze({
    open: [nameless('app+0x1100', 'app+0x1200', 'plugin!run @p.c:7'), nameless('app+0x1300', 'app+0x1400')],
    misuses: [],
  });

  it('is placed below the innermost function that has one', () => {
    expect(draw(findings)).toContain('opened at app.exe+0x1100 below run (p.c:7) is still open');
    expect(draw(findings)).toMatch(/^warning .* app\.exe\+0x1100 below run \(p\.c:7\)$/m);
  });

  it('has its module only once', () => {
    const text = draw(analyze({ open: [nameless('app+0x1100', 'app!run'), ...leaks(1)], misuses: [] }));
    expect(text).toContain('opened at app.exe+0x1100 below run is still open');
    expect(text).toMatch(/^warning .* app\.exe\+0x1100 below run$/m);
  });

  it('stands alone where there is none', () => {
    expect(draw(findings)).toContain('opened at app.exe+0x1300 is still open');
    expect(draw(findings)).toMatch(/^warning .* app\.exe\+0x1300$/m);
  });
});

describe('findings that read the same', () => {
  const [first, second] = [
    nameless('app+0x1100', 'app+0x1200', 'app+0x1300'),
    nameless('app+0x1100', 'app+0x1250', 'app+0x1300'),
  ];
  const findings = analyze({ open: [first, second], misuses: [] });

  it('are one block and one row, which say how many there are', () => {
    expect(findings).toHaveLength(2);
    const text = draw([...findings, ...analyze({ open: leaks(1), misuses: [] })]);
    expect(text.match(/^WARNING leak {2}2 Event handles/gm)).toHaveLength(1);
    expect(text).toContain(
      'The same holds for 1 more finding that differs only in frames left out here (--all-frames).',
    );
    expect(text).toMatch(/^warning {2}leak {2}Event {7}2 {2}app\.exe\+0x1100 \(2 findings\)$/m);
    expect(text).toMatch(/^✗ 3 warnings\.$/m);
  });

  it('list the handles of all', () => {
    const other = { ...findings[1]!, handles: [0x300n], object: { type: 'Event', name: 'Local\\go' } };
    expect(draw([findings[0]!, other])).toMatch(/handles {2}0x1a4\n {11}0x300 {2}Local\\go\n/);
  });

  it.each<[what: string, open: readonly OpenSite[]]>([
    ['have another site', [first, nameless('app+0x1104', 'app+0x1200', 'app+0x1300')]],
    ['have another type', [first, { ...first, object: { type: 'Timer' } }]],
    ['have another named caller', [nameless('app+0x1100', 'app!one'), nameless('app+0x1100', 'app!two')]],
    ['have another number of handles', [first, { ...second, count: 2 }]],
  ])('are not those that %s', (_what, open) => {
    expect(draw(analyze({ open, misuses: [] })).match(/^WARNING/gm)).toHaveLength(2);
  });

  it('are apart with --all-frames', () => {
    expect(draw(findings, { showSystemFrames: true }).match(/^WARNING/gm)).toHaveLength(2);
  });
});

describe('the reason why names are missing', () => {
  const findings = analyze({ open: [nameless('app+0x1100', 'plugin+0x5', 'plugin+0x9')], misuses: [] });
  const say = (...modulesWithoutNames: readonly ModuleWithoutNames[]): string =>
    draw(findings, { columns: 120 }, { modulesWithoutNames });

  it.each<[module: ModuleWithoutNames, line: string]>([
    [
      { module: 'app.exe', why: 'pdb-not-found', debugFile: 'C:\\build\\app.pdb', pdbId: '00' },
      'app.exe (app.pdb): no PDB with the right GUID was found.',
    ],
    [
      {
        module: 'app.exe',
        why: 'pdb-not-found',
        debugFile: 'C:\\build\\app.pdb',
        pdbId: '00',
        trouble: 'S:\\a is shut',
      },
      'app.exe (app.pdb): no PDB with the right GUID was found. Put it beside the module, or name its directory with\n    --symbols.\n  • app.pdb: S:\\a is shut.',
    ],
    [
      { module: 'app.exe', why: 'debug-file-not-read', debugFile: 'app.debug' },
      'app.exe (app.debug): the debug information is',
    ],
    [
      { module: 'plugin.dll', why: 'no-debug-information' },
      'plugin.dll: built without debug information, or stripped of it.',
    ],
    [{ module: 'plugin.dll', why: 'file-unavailable' }, 'plugin.dll: the file is gone,'],
    [{ module: 'plugin.dll', why: 'managed' }, 'plugin.dll: managed code of .NET,'],
    [{ module: 'app.exe', why: 'partly-covered' }, 'app.exe: the debug information does not have these functions.'],
  ])('%o is said once', (module, line) => {
    expect(say(module)).toContain(`\n\nWhy functions have no names:\n  • ${line}`);
    expect(say(module).split(line)).toHaveLength(2);
  });

  it('is said of code outside of all modules', () => {
    const open = [nameless('app!go', '?+0x5', '?+0x9')];
    const modulesWithoutNames = [{ module: '?', why: 'made-at-run-time' }] as const;
    expect(draw(analyze({ open, misuses: [] }), {}, { modulesWithoutNames })).toContain(
      '  • code outside of all modules: made at run time, as by a JIT compiler, and without symbols.',
    );
  });

  it('is the site in a row of the summary, in words', () => {
    const open = [nameless('?+0xe0986e82', 'app!go'), nameless('?+0x9')];
    const drawn = draw(analyze({ open, misuses: [] }));
    expect(drawn).toContain('code outside of all modules below app.exe!go');
    expect(drawn).not.toContain('?+0x');
  });

  it('is said for several modules in one line', () => {
    const modules = ['app.exe', 'plugin.dll'].map((module) => ({ module, why: 'no-debug-information' }) as const);
    expect(say(...modules)).toContain('\n  • app.exe, plugin.dll: built without');
  });

  it.each<[what: string, module: ModuleWithoutNames]>([
    ['modules that no shown stack has', { module: 'other.dll', why: 'no-debug-information' }],
    ['a caller that its debug information leaves out', { module: 'plugin.dll', why: 'partly-covered' }],
  ])('is not said of %s', (_what, module) => {
    expect(say(module)).not.toContain('no names');
  });
});
