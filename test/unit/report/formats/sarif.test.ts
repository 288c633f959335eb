import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';

import { Ajv } from 'ajv';
import formats from 'ajv-formats';
import { describe, expect, it } from 'vitest';

import { makeOddReport } from '../../../../bench/odd-report.js';
import type { Finding, Report } from '../../../../src/model.ts';
import { sarif } from '../../../../src/report/formats/sarif.ts';
import type { ReportOptions } from '../../../../src/report/reporter.ts';
import { ruleNames } from '../../../../src/rules.ts';
import { clean, sample } from '../sample.ts';
import { atHome, everything, listAll, opened, whole } from './everything.ts';

const require = createRequire(import.meta.url);
// The schema of OASIS' standard, in the last draft of JSON Schema that it was written for: Ajv reads a later one.
const { $schema: _draft, id: _id, ...schema } = require('@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json');
const ajv = new Ajv({ allErrors: true, strict: false, unicodeRegExp: false });
formats.default(ajv);
const validate = ajv.compile(schema);

interface Message {
  readonly text: string;
}

interface Location {
  readonly id?: number;
  readonly message: Message;
  readonly physicalLocation: {
    readonly artifactLocation: { readonly uri: string };
    readonly region: { readonly startLine: number };
  };
}

interface Result {
  readonly ruleIndex: number;
  readonly message: Message;
  readonly locations: readonly Location[];
  readonly relatedLocations: readonly Location[];
  readonly codeFlows: readonly [
    {
      readonly threadFlows: readonly [
        { readonly locations: readonly { readonly location: Location; readonly executionOrder: number }[] },
      ];
    },
  ];
  readonly stacks: readonly { readonly message: Message; readonly frames: readonly { readonly module: string }[] }[];
  readonly partialFingerprints: object;
  readonly baselineState?: string;
  readonly suppressions?: readonly { readonly status: string; readonly justification: string }[];
  readonly occurrenceCount: number;
}

interface Run {
  readonly tool: {
    readonly driver: {
      readonly rules: readonly {
        readonly id: string;
        readonly name: string;
        readonly help: { readonly text: string; readonly markdown: string };
        readonly helpUri?: string;
      }[];
    };
  };
  readonly originalUriBaseIds: Readonly<Record<string, { readonly uri: string }>>;
  readonly results: readonly Result[];
  readonly invocations: readonly [
    {
      readonly exitCode: number;
      readonly exitCodeDescription: string;
      readonly toolExecutionNotifications: readonly {
        readonly descriptor: { readonly id: string };
        readonly level: string;
        readonly message: Message;
      }[];
    },
  ];
}

function runOf(report: Report, options: ReportOptions = listAll): Run {
  const log = JSON.parse(whole(sarif(report, options)));
  expect(validate(log) ? [] : validate.errors).toEqual([]);
  expect(log.runs).toHaveLength(1);
  return log.runs[0];
}

const [leak, , stale] = everything.findings as readonly [Finding, Finding, Finding];
const only = (...findings: readonly Finding[]): Report => ({ ...everything, findings });

/** `src/rotate.c:30` of a location. */
function placeOf({ physicalLocation: { artifactLocation, region } }: Location): string {
  return `${artifactLocation.uri}:${region.startLine}`;
}

describe('the SARIF report', () => {
  it.each([
    ['with every member', everything],
    ['of a real kind', sample],
    ['with nothing in it', clean],
    ['of odd names', makeOddReport(60, 40)],
  ])('is valid by the official schema: a report %s', (_, report) => {
    expect(runOf(report).results).toHaveLength(report.findings.length);
    runOf(report, { colorLevel: 0, columns: 80 });
  });

  it('has every rule, with its help in text and in Markdown', () => {
    const { rules } = runOf(clean).tool.driver;
    expect(rules.map(({ id }) => id)).toEqual(ruleNames);
    for (const { help, name, helpUri } of rules) {
      expect(help.text).not.toContain('`');
      expect(help.markdown).toMatch(/^\*\*What it means\.\*\* /);
      expect(name).toMatch(/^[A-Z][A-Za-z]+$/);
      expect(helpUri).toBeUndefined();
    }
  });

  it('places a finding at its site in the repository, by a path from the root', () => {
    const [result] = runOf(only(leak)).results as readonly [Result];
    expect(result.locations).toMatchObject([
      {
        physicalLocation: {
          artifactLocation: { uri: 'src/log%20file.c', uriBaseId: '%SRCROOT%' },
          region: { startLine: 4 },
        },
        logicalLocations: [{ name: 'open_log', fullyQualifiedName: 'app.exe!open_log', kind: 'function' }],
      },
    ]);
    expect(ruleNames[result.ruleIndex]).toBe('leak');
    expect(runOf(only(leak)).originalUriBaseIds['%SRCROOT%']!.uri).toBe('file:///C:/repo/');
  });

  it.each([
    ['C:\\repo\\sub', 'C:\\repo', 'sub/src/main.c:61'],
    ['c:/REPO/', undefined, 'src/main.c:61'],
  ])('takes a relative path for one from the directory %s', (baseDirectory, repositoryDirectory, place) => {
    const finding = { ...leak, stacks: { opened: opened.slice(4) } };
    const options = {
      colorLevel: 0,
      columns: 80,
      baseDirectory,
      ...(repositoryDirectory ? { repositoryDirectory } : {}),
    };
    expect(placeOf(runOf(only(finding), options as ReportOptions).results[0]!.locations[0]!)).toBe(place);
  });

  it('places a finding without a file in the repository at the program, because GitHub wants a place', () => {
    const finding: Finding = { ...leak, stacks: { opened: opened.filter(({ module }) => module !== 'app.exe') } };
    const [result] = runOf(only(finding)).results as readonly [Result];
    expect(placeOf(result.locations[0]!)).toBe('build/app.exe:1');
    expect(result).not.toHaveProperty('codeFlows');
    expect(result.stacks[0]!.frames.map(({ module }) => module)).toEqual(['kernelbase.dll', 'lib.dll']);
  });

  it('leads from the opening over the close to the second close, through files of the repository only', () => {
    const { history: _history, ...alone } = stale;
    const { codeFlows, relatedLocations, stacks } = runOf(only(alone)).results[0]!;
    const steps = codeFlows[0].threadFlows[0].locations;
    expect(steps.map(({ location }) => `${placeOf(location)} ${location.message.text}`)).toEqual([
      'src/leak.cjs:9 on the way: load',
      'src/main.c:61 on the way: main',
      'src/rotate.c:30 on the way: rotate',
      'src/log%20file.c:4 opened here, by open_log',
      'src/main.c:61 on the way: main',
      'src/rotate.c:30 first closed here, by rotate',
      'src/main.c:61 on the way: main',
      'src/rotate.c:44 closed again here, by finish',
    ]);
    expect(steps.map(({ executionOrder }) => executionOrder)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(relatedLocations.map(({ id, message }) => `${id} ${message.text}`)).toEqual([
      '1 opened here',
      '2 first closed here',
      '3 closed again here',
      '4 what stood in its place was opened here',
    ]);
    expect(stacks.map(({ message }) => message.text)).toEqual([
      'closed again at',
      'first closed at',
      'requested at',
      'opened at',
      'reached what was opened at',
    ]);
  });

  it('leads through the earlier lives of a value that had any', () => {
    const [flow] = runOf(only(stale)).results[0]!.codeFlows;
    const calls = flow.threadFlows[0].locations.map(({ location }) => location.message.text);
    expect(calls.filter((text) => !text.startsWith('on the way'))).toEqual([
      'opened as a File handle here, by open_log',
      'closed here, by rotate',
      'given out again as an Event handle here, by open_log',
      'probably closed by the code that had closed life 1 here, by rotate',
      'refused here, by finish',
    ]);
  });

  it('knows a finding again by its own fingerprint', () => {
    expect(runOf(only(leak)).results[0]!.partialFingerprints).toEqual({ 'unclosed/v1': '00000000000000a1' });
  });

  it('says of suppressed and known findings what they are', () => {
    const { results } = runOf(everything);
    expect(results.map(({ baselineState, suppressions }) => [baselineState, suppressions?.[0]?.status])).toEqual([
      ['new', undefined],
      ['new', undefined],
      ['new', undefined],
      [undefined, 'accepted'],
      ['unchanged', undefined],
    ]);
    expect(results[3]!.suppressions![0]!.justification).toBe('known.txt:3: a pool (leak:app.exe!open_log)');
    expect(runOf(only(leak)).results[0]).not.toHaveProperty('baselineState');
  });

  it('has the exit code of the program, and what could not be seen', () => {
    const [{ exitCode, exitCodeDescription, toolExecutionNotifications: notes }] = runOf(everything).invocations;
    expect([exitCode, exitCodeDescription]).toEqual([0xc0000005, 'the audited program: 0xc0000005 (access violation)']);
    expect(notes).toContainEqual({
      descriptor: { id: 'runs-missing' },
      level: 'warning',
      message: { text: 'Run 1: 2 processes: Only 1 of 2 runs took place.' },
    });
    expect(notes.find(({ descriptor }) => descriptor.id === 'open-before')!.level).toBe('note');
    expect(runOf(clean).invocations[0]).not.toHaveProperty('toolExecutionNotifications');
  });

  it('takes links and placeholders of names apart', () => {
    const message = '[click](https://example.org) {0} {x}';
    expect(runOf(only({ ...leak, message })).results[0]!.message.text).toBe(
      '[click] (https://example.org) {{0}} {{x}}',
    );
  });

  it('stays within the limits of GitHub, the worst first, and says what it leaves out', () => {
    const deep: Finding = { ...leak, stacks: { opened: Array.from({ length: 500 }, () => opened[1]!) } };
    const findings = Array.from({ length: 25_010 }, (_, index): Finding => ({ ...leak, count: index }));
    const report = only(...findings.slice(0, -1), deep);
    const text = whole(sarif({ ...report, completeness: clean.completeness }, atHome));
    const [run] = JSON.parse(text).runs as readonly [Run];
    expect(run.results).toHaveLength(25_000);
    expect(run.results.map(({ occurrenceCount }) => occurrenceCount).slice(0, 3)).toEqual([0, 1, 2]);
    expect(gzipSync(text).length).toBeLessThan(10_000_000);
    const notes = run.invocations[0].toolExecutionNotifications.map(({ descriptor }) => descriptor.id);
    expect(notes).toEqual(['results-left-out', 'frames-left-out']);
    const [cut] = runOf(only(deep)).results as readonly [Result];
    expect(cut.codeFlows[0].threadFlows[0].locations.length).toBeLessThanOrEqual(1000);
    expect(cut.stacks[0]!.message.text).toBe('opened at (372 outer frames left out)');
  });

  it('stays below ten megabytes of gzip where its text does not compress', () => {
    let state = 1;
    const noise = (): string => {
      let text = '';
      while (text.length < 3900) text += (state = (Math.imul(state, 1664525) + 1013904223) >>> 0).toString(36);
      return text;
    };
    const findings = Array.from({ length: 5000 }, (): Finding => ({ ...leak, message: noise() }));
    const text = whole(sarif(only(...findings), atHome));
    expect(gzipSync(text).length).toBeLessThan(10_000_000);
    const [run] = JSON.parse(text).runs as readonly [Run];
    const left = run.invocations[0].toolExecutionNotifications.at(-1)!;
    expect(left.message.text).toContain(`${5000 - run.results.length} of 5000 findings are left out`);
  });
});
