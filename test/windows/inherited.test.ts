import { describe, expect, it } from 'vitest';

import type { RecordingOptions } from '../../src/audit/index.ts';
import { fixturePath, type JsonFinding, programFrame } from './tool.ts';
import { useAuditor } from './warm-auditor.ts';

const auditor = useAuditor();

async function audit(
  program: string,
  recording: RecordingOptions,
  ...args: readonly string[]
): Promise<{ output: string; inherited: readonly JsonFinding[] }> {
  const { report, output } = await auditor({ program: fixturePath(program), args, recording });
  expect(report.completeness.complete, report.completeness.notes.join()).toBe(true);
  expect(report.target.exitCode, output).toBe(0);
  return { output, inherited: report.findings.filter(({ rule }) => rule === 'inherited') };
}

describe.each([
  ['without a quarantine', {}],
  ['with a quarantine', { quarantine: 1024 }],
])('what a child inherits, %s,', (_name, recording) => {
  it.each([
    ['inherits-file', 1],
    ['inherits-socket', 1],
    ['inherits-in-many-children', 6],
    ['inherits-pipe-end', 1],
    ['inherits-stream', 1],
  ] as const)('is reported for %s, and not for its clean twin', async (program, count) => {
    expect((await audit(program, recording)).inherited.map((finding) => [finding.level, finding.count])).toEqual([
      ['note', count],
    ]);
    expect((await audit(`${program}-clean`, recording)).inherited).toEqual([]);
  });

  it('is nothing to speak of when it was named to the child', async () => {
    expect((await audit('passes-descriptor', recording)).inherited).toEqual([]);
  });

  it('has its name as long as it is open', async () => {
    const { inherited } = await audit('inherits-file', recording, 'keep');
    expect(inherited.map(({ object }) => object.name?.toLowerCase().endsWith('inherits-file.exe'))).toEqual([true]);
    expect((await audit('inherits-file', recording)).inherited.map(({ object }) => object.name)).toEqual([undefined]);
  });

  it('is never more than it is in truth, whatever other threads open, close and change meanwhile', async () => {
    const { inherited, output } = await audit('races-to-inherit', recording);
    const [, early, late] = /^inherited: (\d+), late (\d+)\r?$/m.exec(output) ?? [];
    const told = (name: string) =>
      inherited
        .filter(({ stacks }) => programFrame(stacks['opened'])?.function === name)
        .reduce((sum, { count }) => sum + count, 0);
    expect(told('open_event')).toBeLessThanOrEqual(Number(early));
    expect(told('open_late_event')).toBeLessThanOrEqual(Number(late));
  });
});
