import { describe, expect, it } from 'vitest';

import { audit } from '../../../src/audit/index.ts';
import type { Report } from '../../../src/model.ts';
import { fixturePath } from '../tool.ts';

async function auditTree(...args: readonly string[]): Promise<Report> {
  return await audit({ program: fixturePath('starts-children'), args, followChildren: true });
}

describe('an audit that follows children', () => {
  it('finds a leak in a child, and says in which process', async () => {
    const report = await auditTree('1', '1', '2');
    const [first, child] = report.processes ?? [];
    expect(report.target.exitCode).toBe(3);
    expect(child).toMatchObject({ parentPid: first?.pid, exitCode: 3, findings: 1 });
    const [leak] = report.findings.filter(({ level }) => level !== 'note');
    expect(leak).toMatchObject({ rule: 'leak', count: 2, processes: [{ pid: child?.pid, count: 2 }] });
    expect(leak?.message).toMatch(/ In process \d+ \(starts-children\.exe\)\.$/);
    expect(report.completeness.gaps).toEqual([]);
  });

  it('finds the same leak in many grandchildren once', async () => {
    const report = await auditTree('4', '2', '1');
    expect(report.processes).toHaveLength(1 + 4 + 16);
    expect(report.target.exitCode).toBe(48);
    const leaks = report.findings.filter(({ level }) => level !== 'note');
    expect(leaks).toHaveLength(1);
    expect(leaks[0]).toMatchObject({ rule: 'leak', count: 16 });
    expect(leaks[0]?.processes).toHaveLength(16);
    expect(leaks[0]?.message).toMatch(/ In 16 processes of starts-children\.exe, 16 handles in all\.$/);
    expect(report.completeness.gaps).toEqual([]);
  });

  it('does not blame a child for what it had open when its parent killed it', async () => {
    const script = `const { spawn } = require("node:child_process");
      const child = spawn(process.argv[1], ["1", "5", "60"], { stdio: ["ignore", "pipe", "ignore"] });
      child.stdout.once("data", () => setTimeout(() => child.kill(), 300));`;
    const report = await audit({
      program: process.execPath,
      args: ['-e', script, fixturePath('works-without-pause')],
      followChildren: true,
    });
    const [, child] = report.processes ?? [];
    expect(child).toMatchObject({ image: expect.stringMatching(/works-without-pause\.exe$/) as string, findings: 0 });
    const leak = report.findings.find(({ stacks }) => stacks.opened?.some((frame) => frame.function === 'leak_event'));
    expect(leak?.level).toBe('note');
    expect(report.completeness.gaps).toContainEqual({
      kind: 'handle-table-lost',
      why: 'ended-from-outside',
      processes: [child?.pid],
    });
  });

  it('reports on a program without children as on any other', async () => {
    const report = await auditTree('0', '0', '1');
    expect(report.processes).toBeUndefined();
    expect(report.findings[0]?.processes).toBeUndefined();
  });
});
