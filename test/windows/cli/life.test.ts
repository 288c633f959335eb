import { describe, expect, it } from 'vitest';

import type { Frame } from '../../../src/model.ts';
import { setEvent } from '../set-event.ts';
import { Target } from '../target.ts';
import { fixturePath, type JsonReport, programFrame, runTool, type ToolRun } from '../tool.ts';

interface Life {
  readonly life: readonly {
    readonly what: string;
    readonly type: string;
    readonly call: string;
    readonly threadId: number;
    readonly time: string;
    readonly stack: readonly Frame[];
  }[];
}

/** The calls of the program itself: Windows may have had the value before. */
function shapeOf({ stdout }: ToolRun): readonly string[] {
  return (JSON.parse(stdout) as Life).life.flatMap(({ what, type, call, stack }) => {
    const name = programFrame(stack)?.function;
    return name === undefined ? [] : [`${what} ${type} ${call} ${name}`];
  });
}

describe('unclosed explain, of a process that is being audited', () => {
  it('shows the lives of values, open and closed, and disturbs neither the audit nor the process', async () => {
    let explaining: Promise<readonly ToolRun[]> | undefined;
    const explain = async (pid: string, recycled: string, closed: string): Promise<readonly ToolRun[]> => {
      try {
        return [
          await runTool(['explain', pid, recycled, '--json']),
          await runTool(['explain', pid, closed, '--json']),
          await runTool(['explain', pid, closed]),
        ];
      } finally {
        setEvent(`unclosed-stop-${pid}`);
      }
    };
    const audited = await runTool(['run', '--json', '--', fixturePath('recycles-values')], (output) => {
      const [, recycled, closed, pid] =
        /^recycled (0x[0-9a-f]+)\r?\nclosed (0x[0-9a-f]+)\r?\nready (\d+)\r?$/m.exec(output) ?? [];
      if (pid !== undefined) explaining ??= explain(pid, recycled!, closed!);
    });
    const [recycled, closed, drawn] = (await explaining)!;
    expect([recycled, closed, drawn].map((run) => [run?.stderr, run?.exitCode])).toEqual(Array(3).fill(['', 0]));
    expect(shapeOf(recycled!)).toEqual([
      'opened File NtCreateFile open_own_file',
      'closed File NtClose close_file',
      'opened Event NtCreateEvent open_gate',
    ]);
    expect(JSON.parse(recycled!.stdout)).toMatchObject({ type: 'Event', references: { handles: 1 } });
    const lives = (JSON.parse(recycled!.stdout) as Life).life;
    expect(lives.every(({ time, threadId }) => !Number.isNaN(Date.parse(time)) && threadId > 0)).toBe(true);
    expect(shapeOf(closed!)).toEqual(['opened File NtCreateFile open_own_file', 'closed File NtClose close_file']);
    expect(drawn!.stdout).toMatch(/ of recycles-values\.exe \(\d+\) is not open\.\n/);
    expect(drawn!.stdout).toMatch(/ {2}closed {2}thread \d+, [\d.]+ m?s ago\n(?:.*\n)* {6}close_file +/);
    const report = JSON.parse(audited.stdout) as JsonReport;
    expect([audited.exitCode, report.target.exitCode, report.completeness.complete, report.findings]).toEqual([
      0,
      0,
      true,
      [],
    ]);
  });
});

describe('unclosed explain, of a process that was running before', () => {
  it('shows a life only while the process is audited', async () => {
    using target = await Target.start('recycles-values');
    const pid = String(target.processId);
    const said = await target.hear(`ready ${pid}`);
    const [, recycled, closed] = /^recycled (0x[0-9a-f]+)\r?\nclosed (0x[0-9a-f]+)/m.exec(said) ?? [];
    const alone = await runTool(['explain', pid, recycled!, '--json']);
    expect(JSON.parse(alone.stdout)).not.toHaveProperty('life');
    expect((await runTool(['explain', pid, closed!])).exitCode).toBe(2);
    let explaining: Promise<ToolRun> | undefined;
    await runTool(['attach', pid, '--until-exit'], (stderr) => {
      if (stderr.includes('attached to'))
        explaining ??= runTool(['explain', pid, recycled!, '--json']).finally(() => setEvent(`unclosed-stop-${pid}`));
    });
    const { stdout, stderr } = (await explaining)!;
    expect(JSON.parse(stdout), stderr).toMatchObject({ type: 'Event', life: [] });
    expect(await target.end()).toBe(0);
  });
});

/** The calls that `--value` has printed of functions of a program, in one of its processes if a name is given. */
function eventsIn(stderr: string, process: string): readonly string[] {
  return stderr.split(/\r?\n(?=0x)/).flatMap((text) => {
    const [, what, by = ''] = /^(0x.*?) {2}(?:(\S+) \(\d+\), )?thread \d+, \d+\.\d ms$/m.exec(text) ?? [];
    const [, name] = /^ {4}(\w+) +\S*(?:stale-close|on-request)\.c:\d+/m.exec(text) ?? [];
    return what === undefined || name === undefined || by !== process ? [] : [`${what} ${name}`];
  });
}

const usesAfterStaleClose = (value: string): readonly string[] => [
  `${value} opened as a File handle open_log`,
  `${value} closed close_log`,
  `${value} opened as a Section handle open_page`,
  `${value} closed close_page`,
  `${value} opened as a Mutant handle open_lock`,
  `${value} closed close_log`,
  `${value} used after its close release_lock`,
];

describe('unclosed run --value', () => {
  it('prints each call that has to do with the value, with its stack', async () => {
    const program = fixturePath('uses-value-after-stale-close');
    const report = JSON.parse((await runTool(['run', '--json', '--', program])).stdout) as JsonReport;
    const value = report.findings[0]!.handles[0]!;
    const { stderr } = await runTool(['run', '--value', value, '--reporter', 'json=NUL', '--', program]);
    expect(eventsIn(stderr, '')).toEqual(usesAfterStaleClose(value));
  });

  it('prints those of child processes, too, with the process', async () => {
    const child = fixturePath('uses-value-after-stale-close');
    const command = ['--', fixturePath('launches'), child];
    const report = JSON.parse((await runTool(['run', '--json', ...command])).stdout) as JsonReport;
    const value = report.findings[0]!.handles[0]!;
    const { stderr } = await runTool(['run', '--value', value, '--reporter', 'json=NUL', ...command]);
    expect(eventsIn(stderr, 'uses-value-after-stale-close.exe')).toEqual(usesAfterStaleClose(value));
  });

  it('prints none of processes that are not reported on', async () => {
    const command = ['--', fixturePath('launches'), fixturePath('does-nothing')];
    const options = ['--value', '0x2c', '--reporter', 'json=NUL'];
    const { stderr } = await runTool(['run', ...options, '--only', 'does-nothing.exe', ...command]);
    const events = stderr.match(/^0x2c .*$/gm) ?? [];
    expect(events.filter((line) => !line.includes(' does-nothing.exe ('))).toEqual([]);
    expect((await runTool(['run', ...options, '--only', 'other.exe', ...command])).stderr).not.toMatch(/^0x2c /m);
  });

  it('prints nothing about a value that the program does not have', async () => {
    const { stderr } = await runTool(['run', '--value', '0xfff0', '--', fixturePath('does-nothing')]);
    expect(stderr).not.toContain('0xfff0');
  });
});

describe('unclosed attach --value', () => {
  it('prints each call that has to do with the value, with the process', async () => {
    const attach = async (...options: readonly string[]): Promise<ToolRun> => {
      using target = await Target.start('misuses-on-request');
      const pid = String(target.processId);
      let isAsked = false;
      const run = await runTool(['attach', pid, '--until-exit', ...options], (stderr) => {
        if (isAsked || !stderr.includes('attached to')) return;
        isAsked = true;
        void target.hear('done').then(() => setEvent(`unclosed-go-${pid}`));
        setEvent(`unclosed-go-${pid}`);
      });
      expect(await target.end()).toBe(5);
      return run;
    };
    const { findings } = JSON.parse((await attach('--json')).stdout) as JsonReport;
    const value = findings.find(({ rule, object }) => rule === 'use-after-close' && object.type === 'Event')!
      .handles[0]!;
    const { stderr } = await attach('--value', value, '--reporter', 'json=NUL');
    const [closed, used] = [`${value} closed use_closed`, `${value} used after its close use_closed`];
    // A handle of before the attach whose value is given out again between two looks has no line for its close.
    expect([[closed, used], [used]]).toContainEqual(eventsIn(stderr, 'misuses-on-request.exe'));
  });
});
