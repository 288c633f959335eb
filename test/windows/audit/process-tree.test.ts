import { spawnSync } from 'node:child_process';

import { describe, expect, it } from 'vitest';

import { audit, type AuditOptions } from '../../../src/audit/index.ts';
import type { Report } from '../../../src/model.ts';
import { setEvent } from '../set-event.ts';
import { fixturePath } from '../tool.ts';

const program32Bit = fixturePath('program-32-bit');

async function auditTree(args: readonly string[], options: Partial<AuditOptions> = {}): Promise<Report> {
  return await audit({ program: fixturePath('starts-children'), args, followChildren: true, ...options });
}

async function auditNode(script: string, args: readonly string[]): Promise<Report> {
  return await audit({ program: process.execPath, args: ['-e', script, ...args], followChildren: true });
}

/** `leak 2`, without notes. */
function serious({ findings }: Report): readonly string[] {
  return findings.filter(({ level }) => level !== 'note').map(({ rule, count }) => `${rule} ${count}`);
}

describe('an audit that follows children', () => {
  it('finds a leak in a child, and says in which process', async () => {
    const report = await auditTree(['1', '1', '2']);
    const [first, child] = report.processes ?? [];
    expect(report.target.exitCode).toBe(3);
    expect(child).toMatchObject({ parentPid: first?.pid, exitCode: 3, findings: 1 });
    const [leak] = report.findings.filter(({ level }) => level !== 'note');
    expect(leak).toMatchObject({ rule: 'leak', count: 2, processes: [{ pid: child?.pid, count: 2 }] });
    expect(leak?.message).toMatch(/ In process \d+ \(starts-children\.exe\)\.$/);
    expect(report.completeness.gaps).toEqual([]);
  });

  it('finds the same leak in many grandchildren once', async () => {
    const report = await auditTree(['4', '2', '1']);
    expect(report.processes).toHaveLength(1 + 4 + 16);
    expect(report.target.exitCode).toBe(48);
    const leaks = report.findings.filter(({ level }) => level !== 'note');
    expect(leaks).toHaveLength(1);
    expect(leaks[0]).toMatchObject({ rule: 'leak', count: 16 });
    expect(leaks[0]?.processes).toHaveLength(16);
    expect(leaks[0]?.message).toMatch(/ In 16 processes of starts-children\.exe, 16 handles in all\.$/);
    expect(report.completeness.gaps).toEqual([]);
  });

  it('finds a leak in a child under a debugger, which sees all of its events', async () => {
    const report = await audit({
      program: fixturePath('debugs'),
      args: [fixturePath('leaks-event')],
      followChildren: true,
    });
    expect(report.target.exitCode).toBe(0);
    expect(serious(report)).toEqual(['leak 1']);
    expect(report.completeness.gaps).toEqual([]);
  });

  it('does not blame a child for what it had open when its parent killed it', async () => {
    const script = `const { spawn } = require("node:child_process");
      const child = spawn(process.argv[1], ["1", "5", "60"], { stdio: ["ignore", "pipe", "ignore"] });
      child.stdout.once("data", () => child.kill());`;
    const report = await auditNode(script, [fixturePath('works-without-pause')]);
    const [, child] = report.processes ?? [];
    expect(child).toMatchObject({ image: expect.stringMatching(/works-without-pause\.exe$/) as string, findings: 0 });
    const leak = report.findings.find(({ stacks }) => stacks.opened?.some((frame) => frame.function === 'leak_event'));
    expect(leak?.level).toBe('note');
    expect(report.completeness.gaps).toContainEqual({
      kind: 'handle-table-lost',
      why: 'ended-from-outside',
      processes: [child?.pid],
      indexes: [1],
    });
  });

  it('judges a child that fails fast as a program that does', async () => {
    const report = await audit({
      program: fixturePath('launches'),
      args: [fixturePath('fails-fast')],
      followChildren: true,
    });
    expect(serious(report)).toEqual(['leak 1']);
    expect(report.completeness.gaps).toContainEqual({
      kind: 'handle-table-lost',
      why: 'failed-fast',
      processes: [report.processes?.[1]?.pid],
      indexes: [1],
    });
  });

  it('judges a child that goes on by what it did so far, and gives it its own code back', async () => {
    const script = `const { spawn } = require("node:child_process");
      const child = spawn(process.argv[1], ["2", "20", "60"], { stdio: ["ignore", "pipe", "ignore"], detached: true });
      child.unref();
      child.stdout.once("data", () => process.exit(0));`;
    const report = await auditNode(script, [fixturePath('works-without-pause')]);
    const child = report.processes?.find(({ image }) => /works-without-pause\.exe$/.test(image));
    try {
      expect(child?.exitCode).toBeUndefined();
      const leak = report.findings.find(({ stacks }) =>
        stacks.opened?.some((frame) => frame.function === 'leak_event'),
      );
      expect(leak?.level).toBe('note');
      const indexes = [report.processes?.indexOf(child!)];
      const gap = { kind: 'process-left', image: child?.image, processes: [child?.pid], indexes };
      expect(report.completeness.gaps).toContainEqual(gap);
    } finally {
      setEvent(`unclosed-stop-${child?.pid}`);
    }
  });

  it('reports on the programs that were asked for, and says which of them never ran', async () => {
    const whole = { program: fixturePath('starts-in-turn'), args: ['2', '1', fixturePath('leaks-event')] };
    const one = await audit({ ...whole, followChildren: true, only: ['LEAKS-EVENT'] });
    expect(one.processes).toHaveLength(3);
    expect(serious(one)).toEqual(['leak 2']);
    expect(one.completeness.gaps).toEqual([]);
    const none = await audit({ ...whole, followChildren: true, only: ['other.exe', 'starts-in-turn.exe'] });
    expect(none.processes).toHaveLength(3);
    expect(serious(none)).toEqual([]);
    expect(none.completeness).toEqual({
      complete: false,
      gaps: [{ kind: 'programs-missing', names: ['other.exe'] }],
    });
  });

  it('leaves the programs alone that are to be skipped', async () => {
    const report = await auditTree(['2', '1', '1'], { skip: ['starts-children.exe'] });
    expect(report.target.exitCode).toBe(6);
    expect(serious(report)).toEqual([]);
    const [gap] = report.completeness.gaps;
    expect(gap).toMatchObject({ kind: 'process-skipped', image: fixturePath('starts-children') });
    expect(gap?.processes).toHaveLength(2);
    expect(report.completeness.complete).toBe(true);
  });

  it('reports on a program without children as on any other', async () => {
    const report = await auditTree(['0', '0', '1']);
    expect(report.processes).toBeUndefined();
    expect(report.findings[0]?.processes).toBeUndefined();
  });
});

// Debian's Wine runs 32-bit programs with the package wine32 only.
describe.skipIf(spawnSync(program32Bit).status !== 32)('an audit of a program that starts a 32-bit one', () => {
  it('lets it run, and names it', async () => {
    const report = await audit({ program: fixturePath('launches'), args: [program32Bit], followChildren: true });
    expect(report.target.exitCode).toBe(32);
    const why = 'it is a 32-bit process, which is not audited yet';
    const gap = { kind: 'process-unrecorded', image: program32Bit, why, processes: [expect.any(Number)] };
    expect(report.completeness).toEqual({ complete: false, gaps: [gap] });
  });

  it('makes nothing of it where it is to be skipped', async () => {
    const options = { followChildren: true, skip: ['program-32-bit'] };
    const report = await audit({ program: fixturePath('launches'), args: [program32Bit], ...options });
    expect(report.target.exitCode).toBe(32);
    const gap = { kind: 'process-skipped', image: program32Bit, processes: [expect.any(Number)] };
    expect(report.completeness).toEqual({ complete: true, gaps: [gap] });
  });
});
