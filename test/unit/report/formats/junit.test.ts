import { describe, expect, it } from 'vitest';

import { makeOddReport } from '../../../../bench/odd-report.js';
import type { Finding, ProcessPart, Report } from '../../../../src/model.ts';
import { junit } from '../../../../src/report/formats/junit.ts';
import type { ReportOptions } from '../../../../src/report/reporter.ts';
import { ruleNames } from '../../../../src/rules.ts';
import { clean, sample } from '../sample.ts';
import { atHome, everything, listAll } from './everything.ts';
import { type Element, readXml } from './xml.ts';

const read = (report: Report, options: Partial<ReportOptions> = {}): Element =>
  readXml(junit(report, { ...atHome, ...options }));

const casesOf = ({ children }: Element): readonly Element[] =>
  children.flatMap((suite) => suite.children.filter(({ name }) => name === 'testcase'));

const named = (root: Element, rule: string): readonly Element[] =>
  casesOf(root).filter(({ attributes }) => attributes['name'] === rule);

/** Per Jenkins' schema, in this order. */
const contentNames = ['skipped', 'failure', 'system-out'];

describe('the JUnit report', () => {
  it('has a test case for each rule and process, named alike in every run', () => {
    const { children } = read(everything);
    expect(children.map(({ attributes }) => attributes['name'])).toEqual(['app.exe', 'app.exe #2', 'b.exe']);
    for (const { children: content } of children) {
      const cases = content.filter(({ name }) => name === 'testcase');
      expect(cases.slice(0, ruleNames.length).map(({ attributes }) => attributes['name'])).toEqual(ruleNames);
    }
    expect(named(read(clean), 'leak').map(({ attributes }) => attributes['classname'])).toEqual(['unclosed.app.exe']);
  });

  it('fails with the story of the findings, where a process has a part in them', () => {
    const [first, second, third] = named(read(everything), 'leak');
    const [failure] = first!.children;
    expect(failure!.attributes['message']).toBe('3 File handles opened at open_log (log file.c:4) are still open.');
    expect(failure!.text).toMatch(/^ERROR leak {2}3 File handles/);
    expect(failure!.text).toContain('opened at\n    CreateFileW');
    expect(first!.attributes).toMatchObject({ file: 'src/log file.c', line: '4' });
    expect(second!.children.map(({ name }) => name)).toEqual(['failure']);
    expect(third!.children).toEqual([]);
  });

  it.each<[title: string, part: Omit<ProcessPart, 'pid' | 'count'>, place: number]>([
    ['its process, where an id was used again', { index: 2 }, 2],
    ['the first process of its program, where it is of another run', { image: 'C:\\tools\\b.exe' }, 2],
    ['the first process, where its program is in no process', { image: 'C:\\gone.exe' }, 0],
    ['the first process, where nothing is known but an id', {}, 0],
  ])('has a finding with %s', (_, part, place) => {
    const [app, second, tool] = everything.processes!;
    const [leak] = everything.findings;
    const finding: Finding = { ...leak!, processes: [{ pid: 8, ...part, count: 3 }] };
    const processes = [app!, second!, { ...tool!, pid: 8 }];
    const failures = named(read({ ...everything, findings: [finding], processes }), 'leak').map(
      ({ children }) => children.length,
    );
    expect(failures).toEqual(processes.map((__, index) => (index === place ? 1 : 0)));
  });

  it('puts the numbers that it has into its attributes', () => {
    for (const report of [everything, sample, clean]) {
      const root = read(report, listAll);
      for (const element of [root, ...root.children]) {
        const cases = element === root ? casesOf(root) : casesOf({ ...root, children: [element] });
        const count = (name: string): number =>
          cases.filter(({ children }) => children.some((child) => child.name === name)).length;
        expect(element.attributes).toMatchObject({
          tests: `${cases.length}`,
          failures: `${count('failure')}`,
          skipped: `${count('skipped')}`,
          errors: '0',
        });
      }
      for (const { children } of casesOf(root)) {
        const names = children.map(({ name }) => name);
        expect(names).toEqual(contentNames.filter((name) => names.includes(name)));
      }
    }
  });

  it.each([
    ['warning', ['double-close', 'leak', 'use-after-close']],
    ['error', ['double-close', 'leak', 'use-after-close']],
    ['never', []],
  ] as const)('fails when the build does: --fail-on %s', (failOn, failing) => {
    const root = read({ ...sample, findings: sample.findings.filter(({ level }) => level === 'error') }, { failOn });
    const failed = casesOf(root).filter(({ children }) => children.some(({ name }) => name === 'failure'));
    expect(failed.map(({ attributes }) => attributes['name']).toSorted()).toEqual(failing);
  });

  it('tells what does not fail as output', () => {
    const root = read(everything, { ...listAll, failOn: 'error' });
    const [stale] = named(root, 'stale-close').filter(({ children }) => children.length > 0);
    expect(stale!.children.map(({ name }) => name)).toEqual(['system-out']);
  });

  it('skips a test case where the report is incomplete, and says why', () => {
    const [completeness] = named(read(everything), 'completeness');
    expect(completeness!.children.map(({ name }) => name)).toEqual(['skipped', 'system-out']);
    expect(completeness!.children[1]!.text).toContain('Only 1 of 2 runs took place.');
    expect(named(read(clean), 'completeness')[0]!.children).toEqual([]);
  });

  it('is well-formed whatever the target is called, and of a bounded size', () => {
    const report = makeOddReport(600, 40);
    const text = junit(report, listAll);
    expect(readXml(text).name).toBe('testsuites');
    expect(text.length).toBeLessThan(4_000_000);
  });

  it('tells a number of stories, and counts the rest', () => {
    const [leak] = sample.findings;
    const report = { ...sample, findings: Array.from({ length: 100 }, () => ({ ...leak!, rule: 'leak' as const })) };
    const [
      {
        children: [failure],
      } = { children: [] },
    ] = named(read(report), 'leak');
    expect(failure!.text.match(/^ERROR /gm)).toHaveLength(25);
    expect(failure!.text).toMatch(/75 more findings: see the JSON report\.$/);
    expect(failure!.attributes['message']).toMatch(/ \(\+ 99 more\)$/);
  });
});
