import { describe, expect, it } from 'vitest';

import {
  type ExpectedFinding,
  type FixtureExpectation,
  runtimeFlavours,
} from '../../fixtures/expectations/expectation.ts';
import { demoExpectation, fixtureExpectations } from '../../fixtures/expectations.ts';
import type { HistoryEvent } from '../../src/model.ts';
import { fixturePath, isLeftOut, type JsonFinding, type JsonReport, programFrame, runTool } from './tool.ts';
import { useAuditor } from './warm-auditor.ts';

/** One audit, and the findings that it must have. */
interface Audit {
  readonly name: string;
  readonly program: string;
  readonly expectation: FixtureExpectation;
  readonly exitCode: number | undefined;
  readonly findings: readonly ExpectedFinding[];
  readonly losesTable: boolean;
}

const audits = [...fixtureExpectations, demoExpectation].flatMap((expectation): readonly Audit[] => {
  const { program, exitCode, cleanExitCode = exitCode, findings } = expectation;
  const flavours = [...runtimeFlavours(expectation), ...(expectation.hasPdbFlavour ? ['-pdb'] : [])];
  return flavours.flatMap((flavour) => {
    const name = `${program}${flavour}`;
    const losesTable = expectation.isToBeKilled === true || expectation.losesTable === true;
    const bad = { name, program, expectation, exitCode, findings, losesTable };
    if (expectation.hasNoTwin) return [bad];
    const clean = { ...bad, name: `${name}-clean`, exitCode: cleanExitCode, findings: [] };
    return [
      ...(expectation.isRace === true ? [] : [bad]),
      { ...clean, losesTable: losesTable && cleanExitCode === exitCode },
    ];
  });
});

const audit = useAuditor();

describe('an audit finds what is planted and nothing else in', () => {
  it.for(audits)('$name', async ({ name, expectation, exitCode, findings, losesTable }, { skip }) => {
    skip(isLeftOut(expectation), 'there is no Rust for Windows');
    let isKilled = false;
    const killReady = (output: string) => {
      const pid = /^ready (\d+)\r?$/m.exec(output)?.[1];
      if (pid === undefined || isKilled) return;
      process.kill(Number(pid));
      isKilled = true; // a second kill is an error once the process is gone; the auditor may still be at work
    };
    const options = { program: fixturePath(name), args: expectation.arguments ?? [] };
    const { report, output } = await audit(options, expectation.isToBeKilled && killReady);

    const serious = findings.filter(({ level }) => level !== 'note');
    expect(
      report.findings
        .filter(({ level }) => level !== 'note')
        .map(summarise)
        .toSorted(),
    ).toEqual(serious.map(summariseExpected).toSorted());
    for (const expected of findings) {
      const module = expected.module ?? `${name}.exe`;
      const found = report.findings.filter((finding) => fits(finding, expected, module));
      expect(
        found,
        `${describeExpected(expected)} among\n${report.findings.map(describeFinding).join('\n')}`,
      ).toHaveLength(1);
      const [finding] = found;
      if (expected.history !== undefined) expect(finding?.history?.events.map(spellEvent)).toEqual(expected.history);
      if (expected.nameEnd !== undefined)
        expect(finding?.object.name?.toLowerCase().endsWith(expected.nameEnd), finding?.object.name).toBe(true);
    }
    for (const note of report.findings.filter(({ level }) => level === 'note')) {
      if (findings.some(({ rule, level }) => level === 'note' && rule === note.rule)) continue;
      expect(note.message, 'a note about the program’s own call').toMatch(
        /for itself|by itself|before main|still inside/,
      );
    }
    // The program prints the values that it mistreats; the report has up to ten of a site.
    const values = oracleValues(output);
    for (const finding of report.findings.filter(({ level }) => level !== 'note')) {
      const listed = values.get(finding.rule) ?? [];
      if (listed.length > 0) expect(listed).toEqual(expect.arrayContaining([...finding.handles]));
    }
    if (exitCode !== undefined) expect(report.target.exitCode).toBe(exitCode);
    expect(report.completeness.complete, report.completeness.notes.join('\n')).toBe(!losesTable);
  });
});

describe('the command reports what the library does, and exits with', () => {
  it.each([
    [1, 'double-closes-event', 'an error'],
    [1, 'leaks-in-loop', 'a warning'],
    [0, 'inherits-file', 'a note'],
    [0, 'leaks-event-clean', 'nothing'],
    [1, 'demo', 'all at once'],
  ])('%i for %s, which has %s', async (exitCode, program) => {
    const run = await runTool(['run', '--json', '--notes', '--', fixturePath(program)]);
    const { findings, completeness } = JSON.parse(run.stdout) as JsonReport;
    const { report } = await audit({ program: fixturePath(program), followChildren: true });
    expect(findings.map(describeFinding)).toEqual(report.findings.map(describeFinding));
    expect(findings.map(({ fingerprint }) => fingerprint)).toEqual(
      report.findings.map(({ fingerprint }) => fingerprint),
    );
    expect(completeness).toEqual(report.completeness);
    expect(run.exitCode, run.stderr).toBe(exitCode);
  });
});

function summarise({ rule, level, object, count }: JsonFinding): string {
  return `${level} ${rule} ${object.type} × ${count}`;
}

function summariseExpected({ rule, level, objectType, count }: ExpectedFinding): string {
  return `${level} ${rule} ${objectType} × ${count}`;
}

/** `3 closed Mutant close_log, closer of 1` */
function spellEvent({ life, event, type, stack, closerOf }: HistoryEvent): string {
  const closer = closerOf === undefined ? '' : `, closer of ${closerOf}`;
  return `${life} ${event} ${type} ${programFrame(stack)?.function}${closer}`;
}

function describeExpected(expected: ExpectedFinding): string {
  return `${summariseExpected(expected)} ${JSON.stringify(expected.stacks)}`;
}

function describeFinding(finding: JsonFinding): string {
  const stacks = Object.entries(finding.stacks).map(([name, stack]) => `${name} at ${programFrame(stack)?.function}`);
  return `  ${summarise(finding)} ${stacks.join(', ')}`;
}

function fits(finding: JsonFinding, expected: ExpectedFinding, module: string): boolean {
  return (
    summarise(finding) === summariseExpected(expected) &&
    Object.entries(expected.stacks).every(([name, functions]) => {
      const frame = programFrame(finding.stacks[name]);
      return frame !== undefined && frame.module === module && [functions].flat().includes(frame.function ?? '');
    })
  );
}

/** Values by rule, from the lines `<rule> <object type> <value>`. */
function oracleValues(output: string): Map<string, string[]> {
  const values = new Map<string, string[]>();
  for (const [, rule = '', value = ''] of output.matchAll(/^([a-z-]+) [A-Z]\w+ (0x[0-9a-f]+)\r?$/gm)) {
    values.set(rule, [...(values.get(rule) ?? []), value]);
  }
  return values;
}
