import { describe, expect, it } from 'vitest';

import { fixturePath, type JsonFinding, type JsonReport, programFrame, runTool } from '../tool.ts';
import { type Audited, useAuditor } from '../warm-auditor.ts';

const audit = useAuditor();

async function auditQuarantined(program: string): Promise<Audited & { serious: readonly JsonFinding[] }> {
  const audited = await audit({ program: fixturePath(program), recording: { quarantine: 1024 } });
  expect(audited.report.completeness).toMatchObject({ complete: true });
  return { ...audited, serious: audited.report.findings.filter(({ level }) => level !== 'note') };
}

function functionsOf({ stacks }: JsonFinding): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(stacks).map(([name, stack]) => [name, programFrame(stack)?.function]));
}

describe('with a quarantine', () => {
  it.each([
    [
      'closes-recycled-value',
      'stale-close',
      { offending: 'close_stale', closed: 'main', opened: 'open_event', victim: 'open_other_event' },
    ],
    [
      'uses-recycled-value',
      'stale-use',
      { offending: 'set_stale', closed: 'main', opened: 'open_event', victim: 'open_event' },
    ],
    // Nothing was opened since: no other object could have been hit.
    ['double-closes-event', 'double-close', { offending: 'close_again', closed: 'close_event', opened: 'open_event' }],
    ['double-closes-file', 'double-close', { offending: 'close_again', closed: 'close_file', opened: 'open_own_file' }],
    [
      'sends-on-closed-socket',
      'use-after-close',
      { offending: 'send_on_closed', closed: 'close_connection', opened: 'open_connection' },
    ],
    [
      'waits-on-many-closed',
      'use-after-close',
      { offending: 'wait_on_all', closed: 'close_event', opened: 'open_event' },
    ],
    ['closes-null', undefined, {}],
  ] as const)('%s shows %s, and where everything was done', async (program, rule, functions) => {
    const { serious, report } = await auditQuarantined(program);
    expect(serious.map((finding) => [finding.rule, finding.level, finding.count])).toEqual(
      rule === undefined ? [] : [[rule, 'error', 1]],
    );
    if (rule !== undefined) expect(functionsOf(serious[0]!)).toEqual(functions);
    expect(report.target.exitCode).toBe(0);
    expect((await auditQuarantined(`${program}-clean`)).serious).toEqual([]);
  });

  it('every second close of a race is caught, and the other thread’s objects stay usable', async () => {
    const { serious, output } = await auditQuarantined('races-to-close');
    expect(serious.reduce((sum, { count }) => sum + count, 0)).toBe(100);
    expect(serious.every(({ rule }) => rule === 'stale-close' || rule === 'double-close')).toBe(true);
    for (const finding of serious)
      expect(functionsOf(finding)).toMatchObject({
        offending: 'close_again',
        closed: 'close_event',
        opened: 'open_event',
      });
    expect(output).toMatch(/^innocent calls that failed: 0\r?$/m);
  });

  it.each([{}, { quarantine: 4 }, { quarantine: 1024 }])(
    'a handle is inheritable, and protected from close, exactly if the program asked for it: %j',
    async (recording) => {
      const { report, output } = await audit({ program: fixturePath('opens-inheritable-handles'), recording });
      expect(output).toMatch(/^handles with other flags than expected: 0\r?$/m);
      expect(report.target.exitCode).toBe(0);
      expect(report.findings.filter(({ level }) => level !== 'note')).toEqual([]);
    },
  );

  it('--quarantine alone is as long', async () => {
    const run = await runTool(['run', '--json', '--quarantine', '--', fixturePath('uses-recycled-value')]);
    expect((JSON.parse(run.stdout) as JsonReport).findings.map(({ rule }) => rule)).toEqual(['stale-use']);
    expect(run.exitCode).toBe(1);
  });

  it('of four values, eight threads may open and close handles as they like, and the count is exact', async () => {
    const run = await runTool(['run', '--json', '--quarantine', '4', '--', fixturePath('exact-million'), '40000']);
    const report = JSON.parse(run.stdout) as JsonReport;
    expect(report.completeness.complete, report.completeness.notes.join()).toBe(true);
    expect(
      report.findings
        .filter(({ rule, level }) => rule === 'leak' && level !== 'note')
        .reduce((sum, { count }) => sum + count, 0),
    ).toBe(64);
    expect(report.findings.filter(({ rule }) => rule !== 'leak')).toEqual([]);
  });
});
