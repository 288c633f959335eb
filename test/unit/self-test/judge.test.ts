import { describe, expect, it } from 'vitest';

import type { Finding, Report } from '../../../src/model.ts';
import type { Account } from '../../../src/self-test/account.ts';
import { faults } from '../../../src/self-test/faults.ts';
import { judgeClean, judgeExitCode, judgeFaults, judgeRun } from '../../../src/self-test/judge.ts';
import { drawSelfTest, isPassed } from '../../../src/self-test/text.ts';

const account: Account = {
  pid: 40,
  values: Object.fromEntries(faults.map(({ name }, index) => [name, `0x${(0x100 + index * 4).toString(16)}`])),
  modules: [],
  mitigations: [],
};

/** The finding that a fault must become. */
function findingOf(name: string, changes: Partial<Finding> = {}): Finding {
  const { rule, type, call } = faults.find((fault) => fault.name === name)!;
  const stack = [{ module: 'kernelbase.dll', function: `${call}X`, offset: 1, system: true as const }];
  return {
    rule,
    level: 'error',
    status: 'new',
    message: `Something was done by ${call} at koffi.node+0x1.`,
    count: 1,
    object: { type },
    handles: [BigInt(account.values[name]!)],
    stacks: { opened: stack, offending: stack },
    fingerprint: '0123456789abcdef',
    ...changes,
  };
}

function reportOf(findings: readonly Finding[], changes: Partial<Report> = {}): Report {
  return {
    schemaVersion: 1,
    tool: { name: 'unclosed', version: '0' },
    target: { command: ['node.exe'], pid: account.pid, exitCode: 7 },
    findings,
    completeness: { complete: true, gaps: [] },
    stats: {} as Report['stats'],
    ...changes,
  };
}

const ofPart = faults.filter(({ part }) => part === 'faults').map(({ name }) => name);
const all = ofPart.map((name) => findingOf(name));

describe('the self-test’s judgement', () => {
  it('passes a report with all that was committed', () => {
    const rows = judgeFaults('faults', { account, report: reportOf(all) });
    expect(rows).toHaveLength(ofPart.length);
    expect(isPassed({ rows })).toBe(true);
  });

  it.each(ofPart)('fails a report without %s, and no other row', (name) => {
    const findings = all.filter((_, index) => ofPart[index] !== name);
    const rows = judgeFaults('faults', { account, report: reportOf(findings) });
    expect(rows.filter(({ isGood }) => !isGood)).toEqual([
      expect.objectContaining({ words: faults.find((fault) => fault.name === name)!.words, found: 'nothing' }),
    ]);
    expect(isPassed({ rows })).toBe(false);
  });

  it.each<[string, Partial<Finding>]>([
    ['value', { handles: [0x99n] }],
    ['rule', { rule: 'stale-close' }],
    ['type', { object: { type: 'Mutant' } }],
    ['call', { message: 'Something was done by NtClose at koffi.node+0x1.' }],
    ['process', { processes: [{ pid: 41, count: 1 }] }],
  ])('takes no finding with another %s for the fault', (_, changes) => {
    const findings = all.map((each, index) =>
      ofPart[index] === 'event-double' ? findingOf('event-double', changes) : each,
    );
    const rows = judgeFaults('faults', { account, report: reportOf(findings) });
    expect(rows.filter(({ isGood }) => !isGood)).toHaveLength(1);
  });

  it('finds the faults of a child only in a finding of that process', () => {
    const child = { ...account, pid: 41 };
    const shared = {
      processes: [
        { pid: 40, count: 1 },
        { pid: 41, count: 1 },
      ],
      handles: [4n],
    }; // prettier-ignore
    const ofParent = { processes: [{ pid: 40, count: 1 }] };
    const findings = [findingOf('child-leak', shared), findingOf('child-double', ofParent)];
    const rows = judgeFaults('child', { account: child, report: reportOf(findings) });
    expect(rows.map(({ isGood }) => isGood)).toEqual([true, false]);
  });

  it('fails when the script did not commit a fault', () => {
    const { 'event-leak': _, ...values } = account.values;
    const rows = judgeFaults('faults', { account: { ...account, values }, report: reportOf(all) });
    expect(rows.filter(({ isGood }) => !isGood)).toHaveLength(1);
  });
});

describe('the judgement of the correct program', () => {
  it.each<[string, Finding, boolean]>([
    ['a leak of a handle that the script did not open', findingOf('event-leak', { handles: [4n] }), true],
    ['a note', findingOf('event-double', { level: 'note' }), true],
    ['a leak of one that it opened', findingOf('event-leak'), false],
    ['any misuse', findingOf('event-double', { handles: [4n] }), false],
  ])('of %s', (_, finding, isGood) => {
    expect(isPassed({ rows: judgeClean({ account, report: reportOf([finding]) }) })).toBe(isGood);
  });
});

describe('the judgement of a run', () => {
  const whole = reportOf([]);
  it.each<[string, Report, boolean]>([
    ['a whole one', whole, true],
    ['an incomplete one', { ...whole, completeness: { complete: false, gaps: [{ kind: 'interrupted' }] } }, false],
    ['one with another exit code', { ...whole, target: { ...whole.target, exitCode: 0 } }, false],
  ])('of %s', (_, report, isGood) => {
    expect(isPassed({ rows: judgeRun('faults', { account, report }) })).toBe(isGood);
  });

  it('of one that was ended', () => {
    expect(judgeExitCode('attach', null).isGood).toBe(false);
  });
});

describe('the text of the self-test', () => {
  const [good, bad] = [judgeExitCode('attach', 7), judgeExitCode('attach', 1)];

  it('says how many rows are as expected, and asks for a report where some are not', () => {
    expect(drawSelfTest({ rows: [good], facts: [] })).toMatch(/passed: 1 of 1 as expected\.\n$/);
    expect(drawSelfTest({ rows: [good, bad], facts: [] })).toMatch(/^ {2}FAILED .*exit code 1$/m);
    expect(drawSelfTest({ rows: [good, bad], facts: [] })).toMatch(/failed: 1 of 2 not as expected\. .*report/);
  });

  it('does not pass without any row', () => {
    expect(isPassed({ rows: [] })).toBe(false);
  });
});
