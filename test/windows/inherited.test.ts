import { describe, expect, it } from 'vitest';

import { fixturePath, type JsonFinding, type JsonReport, programFrame, runTool, type ToolRun } from './tool.ts';

async function audit(program: string, options: readonly string[], ...args: readonly string[]): Promise<{ report: JsonReport; run: ToolRun; inherited: readonly JsonFinding[] }> {
  const run = await runTool(['run', '--json', '--notes', ...options, '--', fixturePath(program), ...args]);
  expect(run.stdout, run.stderr).not.toBe('');
  const report = JSON.parse(run.stdout) as JsonReport;
  expect(report.completeness.complete, report.completeness.notes.join()).toBe(true);
  expect(report.target.exitCode, run.stderr).toBe(0);
  return { report, run, inherited: report.findings.filter(({ rule }) => rule === 'inherited') };
}

const recordings = [
  ['without a quarantine', []],
  ['with a quarantine', ['--quarantine']],
] as const;

describe.each(recordings)('what a child inherits, %s,', (_name, options) => {
  it.each([
    ['inherits-file', 1],
    ['inherits-socket', 1],
    ['inherits-in-many-children', 6],
    ['inherits-pipe-end', 1],
    ['inherits-stream', 1],
  ] as const)('is told of %s, and of its clean twin nothing', async (program, count) => {
    expect((await audit(program, options)).inherited.map((finding) => [finding.level, finding.count])).toEqual([['note', count]]);
    expect((await audit(`${program}-clean`, options)).inherited).toEqual([]);
  });

  it('is nothing to speak of when it was named to the child', async () => {
    expect((await audit('passes-descriptor', options)).inherited).toEqual([]);
  });

  it('has its name as long as it is open', async () => {
    const { inherited } = await audit('inherits-file', options, 'keep');
    expect(inherited.map(({ object }) => object.name?.toLowerCase().endsWith('inherits-file.exe'))).toEqual([true]);
    expect((await audit('inherits-file', options)).inherited.map(({ object }) => object.name)).toEqual([undefined]);
  });

  it('is never more than it is in truth, whatever other threads open, close and change meanwhile', async () => {
    const { inherited, run } = await audit('races-to-inherit', options);
    const [, early, late] = /^inherited: (\d+), late (\d+)\r?$/m.exec(run.stderr) ?? [];
    const told = (name: string) =>
      inherited.filter(({ stacks }) => programFrame(stacks['opened'])?.function === name).reduce((sum, { count }) => sum + count, 0);
    expect(told('open_event')).toBeLessThanOrEqual(Number(early));
    expect(told('open_late_event')).toBeLessThanOrEqual(Number(late));
  });
});
