import { describe, expect, it } from 'vitest';

import { Target } from '../target.ts';
import { runTool } from '../tool.ts';

/** TerminateProcess is given this by Node.js' kill(). */
const KILLED_EXIT_CODE = 1;

interface Verdict {
  readonly end: string;
  readonly exitCode?: number;
  readonly sampleCount: number;
  readonly growing: readonly string[];
  readonly counts: readonly {
    readonly what: string;
    readonly first: number;
    readonly last: number;
    readonly slopePerSecond: number;
    readonly isSteady: boolean;
    readonly doubt?: string;
  }[];
  readonly limits: readonly { readonly what: string; readonly limit: number; readonly timeToLimitMs: number }[];
}

interface Watched {
  readonly schemaVersion: number;
  readonly target: { readonly pid: number; readonly image: string };
  readonly intervalMs: number;
  readonly samples: readonly {
    readonly timeMs: number;
    readonly handles: number;
    readonly types: Readonly<Record<string, number>>;
  }[];
  readonly verdict: Verdict;
}

describe('unclosed watch', () => {
  it('finds what grows steadily, at its true rate', async () => {
    using target = await Target.start('grows-steadily');
    const run = await runTool([
      'watch',
      String(target.processId),
      '--interval',
      '100ms',
      '--for',
      '3s',
      '--json',
      '--fail-on-growth',
    ]);
    const { samples, verdict, ...head } = JSON.parse(run.stdout) as Watched;
    expect(run).toMatchObject({ exitCode: 1, stderr: '' });
    expect(head).toMatchObject({
      schemaVersion: 1,
      target: { pid: target.processId, image: 'grows-steadily.exe' },
      intervalMs: 100,
      forMs: 3000,
    });
    expect(verdict).toMatchObject({ end: 'time is over', growing: ['Event'] });
    const event = verdict.counts.find(({ what }) => what === 'Event')!;
    const overall = ((event.last - event.first) / (samples.at(-1)!.timeMs - samples[0]!.timeMs)) * 1000;
    expect(event.slopePerSecond / overall).toBeGreaterThan(0.7);
    expect(event.slopePerSecond / overall).toBeLessThan(1.4);
    expect(verdict.limits).toMatchObject([{ what: 'handles', limit: 16_777_216 }]);
    expect(
      samples.every(({ handles, types }) => handles === Object.values(types).reduce((sum, count) => sum + count, 0)),
    ).toBe(true);
  });

  it.each([
    ['a sawtooth', 'grows-and-shrinks', '3s'],
    ['a process that rests', 'stays-quiet', '2s'],
  ])('finds nothing in %s', async (_, program, duration) => {
    using target = await Target.start(program);
    const run = await runTool([
      'watch',
      String(target.processId),
      '--interval',
      '100ms',
      '--for',
      duration,
      '--json',
      '--fail-on-growth',
    ]);
    const { samples, verdict } = JSON.parse(run.stdout) as Watched;
    expect(run.exitCode).toBe(0);
    expect(verdict).toMatchObject({ growing: [], limits: [] });
    const events = samples.map(({ types }) => types['Event'] ?? 0);
    if (program === 'grows-and-shrinks')
      expect(Math.max(...events) - Math.min(...events), 'it did saw').toBeGreaterThan(50);
    else expect(new Set(events).size).toBe(1);
  });

  it('prints a line for each interval and the verdict, when it is not a terminal', async () => {
    using target = await Target.start('grows-steadily');
    const run = await runTool(['watch', 'grows-steadily.exe', '--interval', '100ms', '--for', '2500ms']);
    expect(run.exitCode, run.stderr).toBe(0);
    const lines = run.stdout.split('\n');
    expect(lines.filter((line) => /^ +[\d.]+ m?s {2}handles \d+/.test(line)).length).toBeGreaterThanOrEqual(8);
    expect(lines[3]).toMatch(/handles \d+ \(\+\d+, \+[\d.]+\/s\) {2}Event \d+ \(\+\d+, \+[\d.]+\/s\)$/);
    expect(run.stdout).toMatch(/^✗ Event grows steadily, by \+[\d.]+\/s: \d+ → \d+\.$/m);
    expect(run.stdout).toMatch(
      /^ {2}At this rate the process has 16,777,216 handles, the most that Windows allows, in \d+ d.*\.$/m,
    );
    expect(run.stdout).toMatch(/^ {2}Which call sites open them: unclosed run -- grows-steadily\.exe …$/m);
    expect(run.stdout).not.toContain('\x1b');
    expect(target.processId).toBeGreaterThan(0);
  });

  it('ends when its target does, and tells the exit code; NDJSON has a document a line', async () => {
    using target = await Target.start('grows-steadily');
    const run = await runTool(
      ['watch', String(target.processId), '--interval', '100ms', '--ndjson'],
      (_stderr, stdout) => {
        if (stdout.split('\n').length > 5) target[Symbol.dispose]();
      },
    );
    const documents = run.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(run.exitCode).toBe(0);
    expect(documents[0]).toMatchObject({ schemaVersion: 1, target: { pid: target.processId } });
    const { verdict } = documents.at(-1) as { verdict: Verdict };
    expect(verdict).toMatchObject({
      end: 'the process ended',
      exitCode: KILLED_EXIT_CODE,
      sampleCount: documents.length - 2,
    });
    for (const sample of documents.slice(1, -1)) expect(sample['handles']).toBeGreaterThan(5);
  });

  it('says that it saw too little when it did', async () => {
    using target = await Target.start('stays-quiet');
    const run = await runTool(['watch', String(target.processId), '--interval', '500ms', '--for', '600ms']);
    expect(run.stdout).toContain(
      '? Too few samples for a verdict: 8 are needed. Try a longer --for or a shorter --interval.',
    );
  });

  it.each([
    [
      'a duration without a unit',
      ['--interval', '5'],
      /^unclosed: Option '--interval <duration>' argument '5' is invalid\. A duration like 500ms, 1s, 10m or 2h is needed\. Try [^\n]+\n$/,
    ],
    ['an interval that is too short', ['--interval', '1ms'], /At least 20ms is needed\./],
    ['a negative time', ['--for=-1s'], /A duration like 500ms/],
    ['both JSON formats', ['--json', '--ndjson'], /cannot be used with/],
  ])('refuses %s with one line and exit code 2', async (_, args, message) => {
    const run = await runTool(['watch', String(process.pid), ...args]);
    expect(run.stderr).toMatch(message);
    expect(run.stderr.trimEnd()).not.toContain('\n');
    expect([run.exitCode, run.stdout]).toEqual([2, '']);
  });

  it('refuses a process that does not exist, and a name that several have', async () => {
    using first = await Target.start('stays-quiet');
    using second = await Target.start('stays-quiet');
    const unknown = await runTool(['watch', 'nosuchprogram']);
    expect(unknown).toMatchObject({ exitCode: 2, stdout: '' });
    expect(unknown.stderr).toMatch(/^unclosed: Cannot find process "nosuchprogram": [^\n]+\n$/);
    const several = await runTool(['watch', 'stays-quiet']);
    expect(several.exitCode).toBe(2);
    expect(several.stderr).toContain(String(first.processId));
    expect(several.stderr).toContain(String(second.processId));
  });
});
