import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { defaultSuppressions } from '../../../src/analyze/default-suppressions.ts';
import { analyze } from '../../../src/analyze/index.ts';
import { parseLine, parseSuppressions, suggestSuppression, suppress } from '../../../src/analyze/suppressions.ts';
import { ends } from '../../hang.ts';
import type { Finding, HandleObject } from '../../../src/model.ts';
import type { CallRecord, OpenHandle } from '../../../src/evidence-model.ts';
import { suppressions } from '../../../src/report/formats/suppressions.ts';
import { called, mainBottom, misuse, openSite } from './evidence.ts';
import { clean, sample } from '../report/sample.ts';

const opened = called(
  'NtCreateEvent',
  'kernelbase!CreateEventW',
  'plugin!my::list<int (*)[2]; 3>::push @Z:/src/plugin/list.hpp:9',
  'app!open_gate @C:\\src\\gate.c:14',
  ...mainBottom,
);
const closed = called('NtClose', 'kernelbase!CloseHandle', 'app!shut_gate @gate.c:21', ...mainBottom);
const offending = called('NtClose', 'kernelbase!CloseHandle', 'app!finish @main.c:44', ...mainBottom);

const leak = analyze({
  open: [openSite({ opened, object: { type: 'Event', name: '\\Sessions\\1\\gate-17' } })],
  misuses: [],
})[0]!;
const doubleClose = analyze({
  open: [],
  misuses: [misuse({ offending, closed, opened, object: { type: 'Event' } })],
})[0]!;

function isSuppressed(finding: Finding, line: string): boolean {
  return suppress([finding], parseSuppressions({ source: 'x.supp', text: line })).findings[0]!.status === 'suppressed';
}

function withStatus(status: Finding['status'], findings: readonly Finding[]): readonly Finding[] {
  return findings.filter((finding) => finding.status === status);
}

describe('a suppression', () => {
  it.each([
    ['a function', 'leak:open_gate'],
    ['a part of a function’s name', 'leak:pen_ga'],
    ['a function in its module', 'leak:app.exe!open_gate'],
    ['in any case', 'leak:APP.EXE!Open_Gate'],
    ['a function from end to end', 'leak:^open_gate$'],
    ['with asterisks', 'leak:^app*!*gate$'],
    ['a frame of the system', 'leak:kernelbase.dll!CreateEventW'],
    ['a module', 'leak:^plugin.dll$'],
    ['a source file', 'leak:\\gate.c$'],
    ['a source file with slashes', 'leak:src/gate.c'],
    ['a source file that was built on Linux', 'leak:src\\plugin\\'],
    ['what a pattern would mean otherwise', 'leak:my::list<int (*)[2]'],
    ['the type', 'leak:type:Event'],
    ['the name', 'leak:name:\\gate-*7$'],
    ['the fingerprint', `leak:fingerprint:${leak.fingerprint}`],
    ['several things', 'leak:type:^event$ ; open_gate;main'],
    ['any rule', '*:open_gate'],
  ])('matches %s', (_, line) => {
    expect(isSuppressed(leak, line)).toBe(true);
  });

  it.each([
    ['another rule', 'double-close:open_gate'],
    ['another function', 'leak:^open$'],
    ['the middle, when the beginning is asked for', 'leak:^en_gate'],
    ['the middle, when the end is asked for', 'leak:open_gat$'],
    ['a dot that stands for anything', 'leak:app.exe!open.gate'],
    ['another type', 'leak:type:^Even$'],
    ['a type where a frame is asked for', 'leak:^Event$'],
    ['a name that is not there', 'leak:name:other'],
    ['one of two', 'leak:open_gate;type:File'],
    ['another fingerprint', 'leak:fingerprint:^0123456789abcdef$'],
  ])('does not match %s', (_, line) => {
    expect(isSuppressed(leak, line)).toBe(false);
  });

  it('of a misuse matches all of its stacks, but not where siblings of a leak are closed', () => {
    expect(
      ['finish', 'shut_gate', 'open_gate'].map((name) => isSuppressed(doubleClose, `double-close:${name}`)),
    ).toEqual([true, true, true]);
    const withSiblings = analyze({ open: [openSite({ opened, siblingsClosedAt: closed.stack })], misuses: [] })[0]!;
    expect(isSuppressed(withSiblings, 'leak:shut_gate')).toBe(false);
  });

  it('by name matches only when every handle has such a name', () => {
    const object = (name: string | undefined): HandleObject => ({
      type: 'Event',
      ...(name === undefined ? {} : { name }),
    });
    const examples = (...names: readonly (string | undefined)[]): readonly OpenHandle[] =>
      names.map((name, index) => ({
        value: BigInt(4 * index + 4),
        object: object(name),
        access: 0,
        inheritable: false,
        protectFromClose: false,
      }));
    const find = (...names: readonly (string | undefined)[]): Finding =>
      analyze({ open: [openSite({ opened, count: names.length, examples: examples(...names) })], misuses: [] })[0]!;
    expect(isSuppressed(find('gate-1', 'gate-2'), 'leak:name:gate-')).toBe(true);
    expect(isSuppressed(find('gate-1', 'secret'), 'leak:name:gate-')).toBe(false);
    expect(isSuppressed(find('gate-1', undefined), 'leak:name:gate-')).toBe(false);
  });

  it('comes to an end on a hostile name', () => {
    const long = called('NtCreateEvent', `app!${'a'.repeat(20_000)}`, ...mainBottom);
    const finding = analyze({ open: [openSite({ opened: long })], misuses: [] })[0]!;
    expect(ends(() => isSuppressed(finding, 'leak:a*a*b'))).toBe(false);
  });
});

describe('a text of suppressions', () => {
  it('has comments, empty lines, and numbers of lines', () => {
    const text = '\uFEFF# why\r\n\r\n  leak:a  \r\n\t# more\r\ndouble-close:b\r\n';
    expect(
      parseSuppressions({ source: 'x.supp', text }).map(({ line, source, lineNumber, rule }) => [
        line,
        source,
        lineNumber,
        rule,
      ]),
    ).toEqual([
      ['leak:a', 'x.supp', 3, 'leak'],
      ['double-close:b', 'x.supp', 5, 'double-close'],
    ]);
  });

  it.each([
    [
      'no rule',
      'open_gate',
      /^Cannot use suppressions "x\.supp": line 2: "open_gate" has no rule before a colon\. Try leak:module!function\.$/,
    ],
    ['a rule that there is not', 'leaks:open_gate', /line 2: there is no rule "leaks"\. Try/],
    ['an empty pattern', 'leak:', /line 2: a pattern matches everything\. Try/],
    ['a pattern of asterisks', 'leak:^**$', /matches everything/],
    ['an empty pattern beside another', 'leak:open_gate;', /matches everything/],
    ['an empty name', 'leak:name:*', /matches everything/],
  ])('is refused for %s', (_, line, message) => {
    expect(() => parseSuppressions({ source: 'x.supp', text: `leak:fine\n${line}` })).toThrow(message);
  });

  it('marks the findings that it matches, and leaves the others new', () => {
    const [first, second] = suppress(
      [leak, doubleClose],
      parseSuppressions({ source: 'x.supp', text: '# known\nleak:open_gate' }),
    ).findings;
    const suppressedBy = { line: 'leak:open_gate', source: 'x.supp', lineNumber: 2 };
    expect(first).toEqual({ ...leak, status: 'suppressed', suppressedBy });
    expect(second).toEqual(doubleClose);
    expect(second!.status).toBe('new');
  });

  it('gives its reason, if it has one, with the findings that it matches', () => {
    const [finding] = suppress([leak], [parseLine('leak:open_gate # by design', 'default', 1)]).findings;
    expect(finding!.suppressedBy).toEqual({
      line: 'leak:open_gate',
      source: 'default',
      lineNumber: 1,
      reason: 'by design',
    });
  });

  it('says how many findings each line suppressed, each finding by the first line that matches', () => {
    const { findings, uses } = suppress(
      [leak, doubleClose],
      parseSuppressions({ source: 'x.supp', text: 'leak:nobody\n*:open_gate\nleak:open_gate' }),
    );
    expect(findings.map(({ suppressedBy }) => suppressedBy?.lineNumber)).toEqual([2, 2]);
    expect(uses.map(({ lineNumber, findings: count }) => [lineNumber, count])).toEqual([
      [1, 0],
      [2, 2],
      [3, 0],
    ]);
  });
});

describe('a reason and a last day', () => {
  const parse = (text: string): ReturnType<typeof parseSuppressions>[number] =>
    parseSuppressions({ source: 'x.supp', text })[0]!;

  it.each([
    ['leak:open_gate # issue 812', 'leak:open_gate', 'issue 812', undefined],
    ['leak:open_gate\t#\tissue 812 # b', 'leak:open_gate', 'issue 812 # b', undefined],
    ['leak:open_gate #', 'leak:open_gate', undefined, undefined],
    ['leak:open_gate#1', 'leak:open_gate#1', undefined, undefined],
    ['leak:open_gate #1', 'leak:open_gate #1', undefined, undefined],
    ['leak:expires:2027-01-31;open_gate', 'leak:expires:2027-01-31;open_gate', undefined, '2027-01-31'],
    ['leak:open_gate; expires: 2027-01-31 # why', 'leak:open_gate; expires: 2027-01-31', 'why', '2027-01-31'],
  ])('stand in %j', (text, line, reason, expires) => {
    const parsed = parse(text);
    expect([parsed.line, parsed.reason, parsed.expires]).toEqual([line, reason, expires]);
    expect(parsed.terms).toHaveLength(1);
  });

  it.each([
    ['leak:open_gate;expires:soon', /line 1: "soon" is no day\. Try expires:2027-01-31\.$/],
    ['leak:open_gate;expires:2027-02-30', /"2027-02-30" is no day/],
    ['leak:open_gate;expires:', /"" is no day/],
    ['leak:open_gate;expires:2027-01-31;expires:2028-01-31', /it expires twice/],
    ['leak:expires:2027-01-31', /a pattern matches everything/],
    ['leak:# why', undefined],
    ['leak: # why', /a pattern matches everything/],
  ])('are refused in %j', (text, message) => {
    if (message === undefined) expect(parse(text).line).toBe(text);
    else expect(() => parse(text)).toThrow(message);
  });

  it('suppress until the day is over', () => {
    const suppressions = parseSuppressions({ source: 'x.supp', text: 'leak:open_gate;expires:2027-01-31 # issue 812' });
    const line = { line: 'leak:open_gate;expires:2027-01-31', reason: 'issue 812', expires: '2027-01-31' };
    const before = suppress([leak, doubleClose], suppressions, '2027-01-31');
    expect(before.findings[0]).toMatchObject({ status: 'suppressed', suppressedBy: line });
    expect(before.uses).toEqual([{ ...line, source: 'x.supp', lineNumber: 1, findings: 1 }]);

    const after = suppress([leak, doubleClose], suppressions, '2027-02-01');
    expect(after.findings).toEqual([
      { ...leak, message: `${leak.message} The suppression x.supp:1 expired on 2027-01-31.` },
      doubleClose,
    ]);
    expect(after.uses).toEqual([{ ...line, source: 'x.supp', lineNumber: 1, findings: 0, expired: true }]);
  });

  it('leave a finding to another line that is still in force', () => {
    const text = 'leak:open_gate;expires:2020-01-31\nleak:open_gate;expires:2030-01-31';
    const { findings, uses } = suppress([leak], parseSuppressions({ source: 'x', text }), '2027-02-01');
    expect(findings[0]!.suppressedBy?.lineNumber).toBe(2);
    expect(uses.map(({ findings: count, expired }) => [count, expired])).toEqual([
      [0, true],
      [1, undefined],
    ]);
  });
});

describe('a suggested suppression', () => {
  const findings = [leak, doubleClose, ...sample.findings];

  it.each(findings.map((finding) => [`${finding.rule} ${finding.fingerprint}`, finding] as const))(
    'of %s matches it',
    (_, finding) => {
      expect(isSuppressed(finding, suggestSuppression(finding))).toBe(true);
    },
  );

  it('matches no other site', () => {
    for (const finding of sample.findings) {
      const text = suggestSuppression(finding);
      const { findings: marked } = suppress(sample.findings, parseSuppressions({ source: 'x', text }));
      expect(withStatus('suppressed', marked), text).toHaveLength(1);
    }
  });

  it('names the type and the two innermost functions of the program', () => {
    expect(suggestSuppression(doubleClose)).toBe('double-close:type:^Event$;^app.exe!finish$;^app.exe!main$');
    expect(suggestSuppression(leak)).toBe(
      'leak:type:^Event$;^plugin.dll!my::list<int (*)[2]* 3>::push$;^app.exe!open_gate$',
    );
  });

  it('is the fingerprint where nothing has a name', () => {
    const nameless = analyze({
      open: [openSite({ opened: called('NtCreateEvent', 'kernelbase!CreateEventW', 'app+0x13ae') })],
      misuses: [],
    })[0]!;
    expect(suggestSuppression(nameless)).toBe(`leak:fingerprint:${nameless.fingerprint}`);
  });

  it('stands in a file that can be used as it is', () => {
    const report = {
      ...sample,
      findings: sample.findings.map((finding) => ({ ...finding, suppression: suggestSuppression(finding) })),
    };
    const text = suppressions(report, { colorLevel: 3, columns: 80, showNotes: true });
    const marked = suppress(sample.findings, parseSuppressions({ source: 'x.supp', text })).findings;
    expect(withStatus('new', marked)).toEqual([]);
    expect(text).toMatch(/^# error: /);
    expect(suppressions(clean, { colorLevel: 0, columns: 80 })).toBe('');
  });
});

describe('the default suppressions', () => {
  it('are few, each with its reason', () => {
    expect(defaultSuppressions().length).toBeLessThan(10);
    for (const { reason } of defaultSuppressions()) expect(reason).toMatch(/^[a-z].{30,}[^.]$/i);
  });

  it('stand in the documentation, with their reasons', () => {
    const documentation = readFileSync(new URL('../../../docs/suppressions.md', import.meta.url), 'utf8');
    const [, section = ''] = documentation.split('## Default suppressions');
    const rows = [...section.matchAll(/^\| `(\S+:\S+)` +\| (.*?) +\|$/gm)].map(([, line, reason]) => ({
      line,
      reason,
    }));
    expect(rows).toEqual(defaultSuppressions().map(({ line, reason }) => ({ line, reason })));
  });

  it('name their program, and nothing of any other', () => {
    for (const { line } of defaultSuppressions())
      expect(line).toMatch(/[;:]\^(?:node|cmd)\.exe!\w|;name:\\BaseNamedObjects\\RustBacktraceMutex0$/);
    expect(
      suppress([leak, doubleClose, ...sample.findings], defaultSuppressions()).uses.every(
        ({ findings }) => findings === 0,
      ),
    ).toBe(true);
  });

  it('do not hide what a script leaves open', () => {
    const file = called(
      'NtCreateFile',
      'kernelbase!CreateFileW',
      'app!uv_fs_open',
      'app!v8::Function::Call',
      'app!uv_run',
      'app!node::Start',
    );
    const stack = file.stack.map((frame) => (frame.module === 'app.exe' ? { ...frame, module: 'node.exe' } : frame));
    const [finding] = analyze({
      open: [openSite({ opened: { ...file, stack }, object: { type: 'File', name: 'C:\\x.txt' } })],
      misuses: [],
    });
    expect(withStatus('new', suppress([finding!], defaultSuppressions()).findings)).toHaveLength(1);
  });

  it.each([
    ['the lock of Rust’s backtraces', 'Mutant', 'RustBacktraceMutex00000134', 'suppressed'],
    ['another lock', 'Mutant', 'MyRustBacktraceMutex00000134', 'new'],
    ['a lock whose name only begins so', 'Mutant', 'RustBacktraceMutexOfMine', 'new'],
    ['an event of that name', 'Event', 'RustBacktraceMutex00000134', 'new'],
  ])('hide a lock of Rust’s standard library by its name: %s', (_, type, name, status) => {
    const object = { type, name: `\\Sessions\\1\\BaseNamedObjects\\${name}` };
    const opened = called(`NtCreate${type}`, `kernelbase!Create${type === 'Event' ? type : 'Mutex'}A`, 'app+0x7bcc9a');
    const findings = analyze({ open: [openSite({ opened, object })], misuses: [] });
    expect(findings.map(({ level }) => level)).toEqual(['warning']);
    expect(suppress(findings, defaultSuppressions()).findings.map((each) => each.status)).toEqual([status]);
  });

  /** A search that a program gives to CloseHandle, which refuses it, in one of its functions. */
  function givenToCloseHandle(program: string, name: string): readonly Finding[] {
    const own = (record: CallRecord): CallRecord => ({
      ...record,
      stack: record.stack.map((each) => (each.module === 'app.exe' ? { ...each, module: program } : each)),
    });
    const callers = [`app!${name}`, 'app!search_command', 'app!execute_single_command', 'app!wmain', ...mainBottom];
    return analyze({
      open: [],
      misuses: [
        misuse({
          kind: 'wrong-closer',
          outcome: 'stayed-open',
          object: { type: 'Search' },
          opened: own(called('FindFirstFileExW', 'kernelbase!FindFirstFileW', ...callers)),
          offending: own(called('NtClose', 'kernelbase!CloseHandle', ...callers)),
        }),
      ],
    });
  }

  it.each([
    ['a shell of Wine 10 that looks for a program', 'cmd.exe', 'search_in_pathext', 'suppressed'],
    ['another function of the shell', 'cmd.exe', 'WCMD_directory', 'new'],
    ['a program of the user that has its name', 'cmd.exe', 'main.search', 'new'],
    ['a function of that name elsewhere', 'app.exe', 'search_in_pathext', 'new'],
  ])('hide nothing but one call of the shell: %s', (_, program, name, status) => {
    const findings = givenToCloseHandle(program, name);
    expect(findings.map(({ rule, level }) => [rule, level])).toEqual([['wrong-closer', 'error']]);
    const { findings: marked, uses } = suppress(findings, defaultSuppressions());
    expect(marked.map((each) => each.status)).toEqual([status]);
    expect(uses.reduce((sum, use) => sum + use.findings, 0)).toBe(status === 'suppressed' ? 1 : 0);
  });
});
