import { describe, expect, it } from 'vitest';

import { makeOddReport } from '../../../../bench/odd-report.js';
import type { Finding, Report } from '../../../../src/model.ts';
import { github, stepSummary } from '../../../../src/report/formats/github.ts';
import { clean, sample } from '../sample.ts';
import { atHome, everything, listAll } from './everything.ts';

interface Annotation {
  readonly command: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly message: string;
}

const unescapeData = (text: string): string =>
  text.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%25', '%');
const unescapeProperty = (text: string): string =>
  text
    .replaceAll('%3A', ':')
    .replaceAll('%2C', ',')
    .replaceAll('%0D', '\r')
    .replaceAll('%0A', '\n')
    .replaceAll('%25', '%');

/**
 * Reads a line of output as the runner does (actions/runner, ActionCommand.TryParseV2): `::` at its beginning, a name,
 * properties with commas between them, `::`, and the message. Undefined where the line is no command.
 */
function decode(line: string): Annotation | undefined {
  const text = line.trimStart();
  const end = text.indexOf('::', 2);
  if (!text.startsWith('::') || end === -1) return undefined;
  const info = text.slice(2, end);
  const space = info.indexOf(' ');
  const command = space === -1 ? info : info.slice(0, space);
  const given =
    space === -1
      ? []
      : info
          .slice(space + 1)
          .trim()
          .split(',')
          .filter((each) => each !== '');
  const properties = Object.fromEntries(
    given.flatMap((each) => {
      const at = each.indexOf('=');
      return at === -1 ? [] : [[each.slice(0, at), unescapeProperty(each.slice(at + 1))]];
    }),
  );
  return { command, properties, message: unescapeData(text.slice(end + 2)) };
}

function annotate(report: Report, options: typeof atHome | typeof listAll = atHome): readonly Annotation[] {
  const text = github(report, options);
  expect(text.endsWith('\n')).toBe(true);
  // .NET ends a line at each of these.
  return text
    .split(/\r\n|\r|\n/)
    .slice(0, -1)
    .map((line) => {
      const decoded = decode(line);
      expect(decoded, line).toBeDefined();
      return decoded!;
    });
}

const complete = { complete: true, gaps: [] };
const [leak] = everything.findings as readonly [Finding];

describe('the annotations for GitHub', () => {
  it('stand at the places of the findings, with their stacks in a line each', () => {
    expect(annotate({ ...everything, completeness: complete }, listAll)).toMatchObject([
      {
        command: 'error',
        properties: { file: 'src/log file.c', line: '4', title: 'Leaked handle (leak)' },
        message: expect.stringMatching(/^3 File handles opened .*\nopened at: open_log \(log file\.c:4\) ← rotate/),
      },
      { command: 'warning', properties: { file: 'src/rotate.c', line: '44' } },
      { command: 'notice', properties: { title: 'Leaked handle (leak)' } },
    ]);
  });

  it('leave out the place of a finding that has none in the repository', () => {
    const [annotation] = annotate({ ...everything, completeness: complete, findings: [{ ...leak, stacks: {} }] });
    expect(annotation!.properties).toEqual({ title: 'Leaked handle (leak)' });
  });

  it.each([10, 11, 400])('are ten at most, the worst first, and say how many more there are: %i', (count) => {
    const findings = Array.from({ length: count }, (_, index): Finding => ({ ...leak, message: `number ${index}` }));
    const annotations = annotate({ ...everything, completeness: complete, findings });
    expect(annotations).toHaveLength(10);
    const last = annotations.at(-1)!;
    if (count === 10) expect(last.message).toMatch(/^number 9/);
    else expect([last.command, last.properties['title']]).toEqual(['notice', `unclosed: + ${count - 9} more`]);
  });

  it('say that the report is incomplete', () => {
    const annotations = annotate(everything);
    expect(annotations.at(-1)).toMatchObject({
      command: 'warning',
      properties: { title: 'unclosed: the report is incomplete' },
    });
    expect(annotate(clean)).toEqual([{ command: 'debug', properties: {}, message: 'unclosed found nothing' }]);
  });

  it('mean the same to the runner, whatever is in a name', () => {
    const file = 'C:\\repo\\a,b:c%0A%25 ::d.c';
    const finding: Finding = {
      ...leak,
      message: 'at 100 %, 50%25: ::error::x',
      stacks: { opened: [{ ...leak.stacks.opened![1]!, file }] },
    };
    const [annotation] = annotate({ ...everything, completeness: complete, findings: [finding] });
    expect(annotation!.properties['file']).toBe('a,b:c%0A%25 ::d.c');
    expect(annotation!.message.split('\n')[0]).toBe('at 100 %, 50%25: ::error::x');
    for (const report of [makeOddReport(300, 20), { ...sample, findings: sample.findings }]) {
      for (const { command, properties } of annotate(report)) {
        expect(['error', 'warning', 'notice']).toContain(command);
        expect(Object.keys(properties).filter((key) => !['file', 'line', 'title'].includes(key))).toEqual([]);
      }
    }
  });
});

describe('the summary of a step', () => {
  it('takes the room that is left, and none where there is too little', () => {
    const report = makeOddReport(3000, 60);
    const summary = stepSummary.write(report, listAll, stepSummary.fileSizeBytesMax);
    expect(Buffer.byteLength(summary)).toBeGreaterThan(900_000);
    expect(Buffer.byteLength(summary)).toBeLessThan(1 << 20);
    expect(summary).toMatch(/^### `unclosed`: /);
    expect(summary).toMatch(/\n_\d+ more findings left out here for lack of room: see the JSON report\._\n$/);
    expect(Buffer.byteLength(stepSummary.write(report, listAll, 20_000))).toBeLessThanOrEqual(20_000);
    expect(stepSummary.write(report, listAll, 300)).toBe('');
    expect(stepSummary.write(report, listAll, -5)).toBe('');
  });
});
