import { describe, expect, it } from 'vitest';

import type { Config } from '../../../src/config/config.ts';
import { applyConfig } from '../../../src/config/verdicts.ts';
import type { Finding, ProcessPart, Report } from '../../../src/model.ts';
import { isAtLeast, ruleNames } from '../../../src/rules.ts';
import { leakOf } from '../baseline/made-up.ts';
import { clean, sample } from '../report/sample.ts';

const apply = (report: Report, config: Config): Report => applyConfig(report, config, 'unclosed.config.json');
const withFindings = (...findings: readonly Finding[]): Report => ({ ...clean, findings });
const exclude = (...processes: readonly string[]): Config => ({ exclude: { processes } });
const suppressedBy = (line: string, part: string, lineNumber: number = 1): object => ({
  line,
  source: `unclosed.config.json#${part}`,
  lineNumber,
});

describe('the level of a rule', () => {
  const error = leakOf('error', 1, { level: 'error' });
  const warning = leakOf('warning', 1, { level: 'warning' });
  const note = leakOf('note', 1, { level: 'note' });
  const levels = (level: 'error' | 'warning' | 'note'): readonly string[] =>
    apply(withFindings(error, warning, note), { rules: { leak: level } }).findings.map((finding) => finding.level);

  it('replaces errors and warnings, and makes no more of a note', () => {
    expect(levels('error')).toEqual(['error', 'error', 'note']);
    expect(levels('warning')).toEqual(['warning', 'warning', 'note']);
    expect(levels('note')).toEqual(['note', 'note', 'note']);
  });

  it('leaves the findings of other rules', () => {
    expect(apply(withFindings(error), { rules: { 'double-close': 'note' } }).findings).toEqual([error]);
  });

  it('off suppresses all its findings, and the report counts them', () => {
    const report = apply(withFindings(error, note), { rules: { 'stale-use': 'error', leak: 'off' } });
    const by = suppressedBy('leak: off', 'rules', 2);
    expect(report.findings).toMatchObject([
      { status: 'suppressed', suppressedBy: by },
      { status: 'suppressed', suppressedBy: by },
    ]);
    expect(report.suppressions).toEqual([{ ...by, findings: 2 }]);
  });

  it('puts the findings in order again, the worst first', () => {
    const report = apply(sample, { rules: { leak: 'error', 'double-close': 'note' } });
    const order = report.findings.map(({ level }) => level);
    expect(order.every((level, index) => index === 0 || isAtLeast(order[index - 1]!, level))).toBe(true);
    expect(report.findings.map(({ fingerprint }) => fingerprint).toSorted()).toEqual(
      sample.findings.map(({ fingerprint }) => fingerprint).toSorted(),
    );
  });
});

describe('modules and processes', () => {
  const app = leakOf('open');
  const plugin: Finding = {
    ...app,
    fingerprint: '0000000000000001',
    stacks: {
      opened: app.stacks.opened!.map((frame) => (frame.system ? frame : { ...frame, module: 'Vendor-2.DLL' })),
    },
  };
  const stackless: Finding = { ...app, fingerprint: '0000000000000002', stacks: {} };
  const left = (report: Report): readonly string[] =>
    report.findings.filter(({ status }) => status === 'new').map(({ fingerprint }) => fingerprint);

  it.each<readonly [string, Config, readonly Finding[]]>([
    ['an excluded module', { exclude: { modules: ['vendor-*.dll'] } }, [app]],
    ['a part of a name', { exclude: { modules: ['vendor'] } }, [app, plugin]],
    ['an included module', { include: { modules: ['app.exe', 'other.dll'] } }, [app]],
    ['another included module', { include: { modules: ['other.dll'] } }, []],
    [
      'an included module that is excluded',
      { include: { modules: ['*'] }, exclude: { modules: ['APP.exe'] } },
      [plugin],
    ],
    ['an excluded program', { exclude: { processes: ['app.exe'] } }, []],
    ['another excluded program', { exclude: { processes: ['worker*.exe'] } }, [app, plugin]],
    ['an included program', { include: { processes: ['a*'] } }, [app, plugin]],
    ['another included program', { include: { processes: ['worker.exe'] } }, []],
    ['nothing', { include: {}, exclude: { modules: [] } }, [app, plugin]],
  ])('of %s decide which findings are judged', (_, config, expected) => {
    expect(left(apply(withFindings(app, plugin), config)).toSorted()).toEqual(
      expected.map(({ fingerprint }) => fingerprint).toSorted(),
    );
  });

  it('say in the report what they left out', () => {
    const config: Config = { exclude: { modules: ['x.dll', 'vendor-*.dll'] }, include: { modules: ['app.exe', 'v*'] } };
    const report = apply({ ...withFindings(app, plugin), suppressions: [] }, config);
    expect(report.suppressions).toEqual([{ ...suppressedBy('vendor-*.dll', 'exclude.modules', 2), findings: 1 }]);
    expect(apply(withFindings(app, plugin), { include: { modules: ['b.exe', 'c.exe'] } }).suppressions).toEqual([
      { ...suppressedBy('not b.exe, c.exe', 'include.modules'), findings: 2 },
    ]);
  });

  it('leave alone a finding of an unknown place', () => {
    const config: Config = { include: { modules: ['b.exe'] }, exclude: { modules: ['*'] } };
    expect(left(apply(withFindings(stackless), config))).toEqual([stackless.fingerprint]);
  });

  it('leave out a finding of several processes when all of them are left out', () => {
    const tree = (...places: readonly number[]): Report => ({
      ...withFindings({ ...app, processes: places.map((index) => ({ pid: index + 1, index, count: 1 })) }),
      processes: [
        { pid: 1, image: 'C:\\app.exe', opens: 1, closes: 1, findings: 1 },
        { pid: 2, image: 'C:\\worker-1.exe', opens: 1, closes: 1, findings: 1 },
      ],
    });
    const config: Config = { exclude: { processes: ['worker-*'] } };
    expect(left(apply(tree(0, 1), config))).toHaveLength(1);
    expect(left(apply(tree(1), config))).toHaveLength(0);
    expect(left(apply(tree(1, 76), config))).toHaveLength(1);
    expect(apply(tree(1), config).processes!.map(({ findings }) => findings)).toEqual([1, 0]);
    const worse = apply(
      { ...tree(0), findings: tree(0).findings.map((each) => ({ ...each, level: 'note' as const })) },
      {},
    );
    expect(worse.processes!.map(({ findings }) => findings)).toEqual([1, 1]);
  });

  const worker = 'C:\\worker.exe';
  it.each<readonly [title: string, part: Omit<ProcessPart, 'pid' | 'count'>, config: Config, isJudged: boolean]>([
    ['the excluded program', { index: 1 }, exclude('worker.exe'), false],
    ['the program of an excluded later process', { index: 1 }, exclude('git.exe'), true],
    ['the included program', { index: 1 }, { include: { processes: ['worker.exe'] } }, true],
    ['the program of an included later process', { index: 1 }, { include: { processes: ['git.exe'] } }, false],
    ['another run’s excluded program', { image: worker }, exclude('worker.exe'), false],
    ['another run’s program, where that of its id is excluded', { image: worker }, exclude('git.exe'), true],
    ['a program that is not known, where all of its id are excluded', {}, exclude('git.exe', 'worker.exe'), true],
    ['a program that is not known, where others are included', {}, { include: { processes: ['make.exe'] } }, true],
  ])('where an id was used again, go by %s', (_, part, config, isJudged) => {
    const again: Report = {
      ...withFindings({ ...app, processes: [{ pid: 100, ...part, count: 1 }] }),
      processes: ['C:\\make.exe', worker, 'C:\\git.exe'].map((image, index) => {
        return { pid: index === 0 ? 8 : 100, image, opens: 1, closes: 1, findings: 1 };
      }),
    };
    expect(left(apply(again, config))).toHaveLength(isJudged ? 1 : 0);
  });
});

it('no configuration changes nothing', () => {
  expect(apply(sample, {})).toEqual(sample);
  const off = Object.fromEntries(ruleNames.map((rule) => [rule, 'off' as const]));
  expect(apply(sample, { rules: off }).findings.every(({ status }) => status === 'suppressed')).toBe(true);
});
