import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { Holder } from '../handles/holder.ts';
import { Target } from '../target.ts';
import { runTool } from '../tool.ts';

const folder = mkdtempSync(join(tmpdir(), 'unclosed-snapshot-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface JsonSnapshot {
  readonly processes: readonly {
    readonly pid: number;
    readonly image: string;
    readonly started: string;
    readonly handles: readonly JsonHandle[];
  }[];
  readonly handleCount: number;
  readonly namesMissing: number;
}

interface JsonHandle {
  readonly value: string;
  readonly type: string;
  readonly access: string;
  readonly name?: string;
  readonly [more: string]: unknown;
}

describe('unclosed snapshot', () => {
  it('writes down every handle of a process as the process itself tells it', async () => {
    using holder = await Holder.start();
    const run = await runTool(['snapshot', String(holder.processId)]);
    expect([run.exitCode, run.stderr]).toEqual([0, '']);
    const { processes, handleCount } = JSON.parse(run.stdout) as JsonSnapshot;
    expect(processes.map(({ pid, image }) => [pid, image])).toEqual([[holder.processId, 'node.exe']]);
    const handles = new Map(processes[0]!.handles.map((handle) => [handle.value, handle]));
    expect(handles.size).toBe(handleCount);
    expect(holder.held.length).toBeGreaterThan(15);
    for (const { key, value, type, name, access, inheritable, protectFromClose, ended, socket } of holder.held) {
      const found = handles.get(`0x${value.toString(16)}`);
      expect(found, key).toMatchObject({
        type,
        ...(access === undefined ? {} : { access: `0x${access.toString(16)}` }),
        ...(inheritable ? { inheritable } : {}),
        ...(protectFromClose ? { protectFromClose } : {}),
        ...(ended ? { ended } : {}),
        ...(socket === undefined ? {} : { socket }),
      });
      if (name !== undefined) expect(found?.name?.endsWith(name), `${key}: ${found?.name}`).toBe(true);
    }
    const values = processes[0]!.handles.map(({ value }) => Number(value));
    expect(values).toEqual(values.toSorted((a, b) => a - b));
  });

  it('says the same twice of a process that does nothing, but for the time', async () => {
    using target = await Target.start('stays-quiet');
    const [first, second] = [
      await runTool(['snapshot', String(target.processId)]),
      await runTool(['snapshot', String(target.processId)]),
    ];
    const rest = (text: string): readonly string[] => text.split('\n').slice(1);
    expect(rest(first.stdout)).toEqual(rest(second.stdout));
    expect(first.stdout.match(/"type":"Event"/g)?.length).toBeGreaterThanOrEqual(5);
  });

  it('finds processes by name, and several by commas and spaces, each once', async () => {
    using first = await Target.start('stays-quiet');
    using second = await Target.start('changes-on-request');
    const run = await runTool(['snapshot', `${first.processId},CHANGES-on-request`, String(first.processId)]);
    const { processes } = JSON.parse(run.stdout) as JsonSnapshot;
    const pids = processes.map(({ pid }) => pid);
    expect(pids).toEqual(expect.arrayContaining([first.processId, second.processId]));
    expect(new Set(pids).size).toBe(pids.length);
  });

  it('takes all processes', async () => {
    using target = await Target.start('stays-quiet');
    const file = join(folder, 'all.json');
    const run = await runTool(['snapshot', 'all', '-o', file]);
    expect(run).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    const { processes, handleCount } = JSON.parse(readFileSync(file, 'utf8')) as JsonSnapshot;
    expect(processes.map(({ pid }) => pid)).toEqual(expect.arrayContaining([process.pid, target.processId]));
    expect(processes.reduce((sum, { handles }) => sum + handles.length, 0)).toBe(handleCount);
  });

  it.each([
    [
      'an unknown name',
      ['nosuchprogram'],
      /^unclosed: Cannot find process "nosuchprogram": no process of that name runs\. Try [^\n]+\.\n$/,
    ],
    ['an unknown id', ['4294967291'], /^unclosed: Cannot find process 4294967291: [^\n]+\. Try [^\n]+\.\n$/],
    [
      'a directory that does not exist',
      ['-o', 'nowhere/x.json', String(process.pid)],
      /^unclosed: Cannot write snapshot "nowhere\/x\.json": there is no such directory \(ENOENT\)\. Try another file\.\n$/,
    ],
    ['no target', [], /^unclosed: Missing required argument 'target'\. Try [^\n]+\.\n$/],
  ])('refuses %s with one line and exit code 2', async (_, args, message) => {
    const run = await runTool(['snapshot', ...args]);
    expect(run.stderr).toMatch(message);
    expect([run.exitCode, run.stdout]).toEqual([2, '']);
  });
});

describe('unclosed diff', () => {
  interface JsonDiff {
    readonly opened: number;
    readonly closed: number;
    readonly recycled: number;
    readonly kinds: readonly {
      readonly type: string;
      readonly pattern: string;
      readonly growth: number;
      readonly openedExamples: readonly JsonHandle[];
      readonly closedExamples: readonly JsonHandle[];
    }[];
    readonly recycledValues: readonly {
      readonly examples: readonly { readonly before: JsonHandle; readonly after: JsonHandle }[];
    }[];
  }

  it('tells what a process opened, closed and recycled as the process itself does', async () => {
    const request = join(folder, 'request');
    using target = await Target.start('changes-on-request', request);
    const [before, after] = [join(folder, 'before.json'), join(folder, 'after.json')];
    await runTool(['snapshot', '-o', before, String(target.processId)]);
    writeFileSync(request, '');
    const said = await target.hear('changed');
    await runTool(['snapshot', '-o', after, String(target.processId)]);

    const run = await runTool(['diff', before, after, '--json', '--fail-on-growth']);
    expect([run.exitCode, run.stderr]).toEqual([1, '']);
    const diff = JSON.parse(run.stdout) as JsonDiff;
    const spell = ({ value, name = '' }: JsonHandle): string => `${value} ${name.split('\\').at(-1)}`;
    const told = (what: string): readonly string[] =>
      [...said.matchAll(new RegExp(`^${what} (0x\\w+ \\S+)`, 'gm'))].map((match) => match[1]!);
    const recycled = diff.recycledValues
      .flatMap(({ examples }) => examples)
      .map(({ before: old, after: now }) => `${spell(old)} ${now.name?.split('\\').at(-1)}`);
    expect(recycled).toEqual([...said.matchAll(/^recycled (0x\w+ \S+ \S+)/gm)].map((match) => match[1]));
    const recycledValue = recycled[0]!.split(' ')[0]!;
    const opened = diff.kinds
      .flatMap(({ openedExamples }) => openedExamples)
      .map(spell)
      .filter((each) => !each.startsWith(`${recycledValue} `));
    const closed = diff.kinds
      .flatMap(({ closedExamples }) => closedExamples)
      .map(spell)
      .filter((each) => !each.startsWith(`${recycledValue} `));
    expect(opened.toSorted()).toEqual(told('opened').toSorted());
    expect(closed.toSorted()).toEqual(told('closed').toSorted());
    expect([diff.opened, diff.closed, diff.recycled]).toEqual([6, 4, 1]);
    expect(diff.kinds.filter(({ growth }) => growth === 5)).toMatchObject([
      { type: 'Event', pattern: expect.stringMatching(/unclosed-opened-<n>-<n>$/) as string },
    ]);

    const table = await runTool(['diff', before, after]);
    expect(table.exitCode).toBe(0);
    expect(table.stdout).toMatch(/^ +5 +0 +\+5 {2}Event .*unclosed-opened-<n>-<n> /m);
    expect(table.stdout).toMatch(
      new RegExp(`^ {2}${recycledValue}: Event .*before-\\d+-1 → Mutant .*unclosed-after$`, 'm'),
    );
  });

  it('does not mix up a hostile name, and finds no difference in a process that rests', async () => {
    using target = await Target.start('changes-on-request');
    const [before, after] = [join(folder, 'rest-1.json'), join(folder, 'rest-2.json')];
    await runTool(['snapshot', '-o', before, String(target.processId)]);
    await runTool(['snapshot', '-o', after, String(target.processId)]);
    const mutex = (JSON.parse(readFileSync(before, 'utf8')) as JsonSnapshot).processes[0]!.handles.find(({ name }) =>
      name?.includes('<script>'),
    );
    expect(mutex?.name?.endsWith('\\unclosed \x1b[31m\n"<script>\ud800 ü日\u202e')).toBe(true);
    const run = await runTool(['diff', before, after, '--fail-on-growth']);
    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    expect(run.stdout).toMatch(/✓ No handle was opened or closed\.\n$/);
  });

  it.each([
    [
      'damaged',
      '{"kind":"unclosed snapshot","schemaVersion":1,"tool":"x","host":"y","taken":"z","processes":[\n',
      'it is damaged at line 1: it ends too early',
    ],
    ['newer', '{"kind":"unclosed snapshot","schemaVersion":9,"processes":[\n', 'its schemaVersion is 9, and unclosed'],
    ['something else', 'hello', 'it is not a snapshot'],
  ])('refuses a file that is %s with one line and exit code 2', async (_, content, why) => {
    const file = join(folder, 'refused.json');
    writeFileSync(file, content);
    const run = await runTool(['diff', file, file]);
    expect([run.exitCode, run.stdout]).toEqual([2, '']);
    expect(run.stderr).toMatch(/^unclosed: Cannot read snapshot "[^\n]+\. Try [^\n]+\.\n$/);
    expect(run.stderr).toContain(why);
  });

  it('refuses a file that does not exist', async () => {
    const run = await runTool(['diff', 'nowhere.json', 'nowhere.json']);
    expect(run).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'unclosed: Cannot read snapshot "nowhere.json": there is no such file. Try unclosed snapshot -o to make one.\n',
    });
  });

  it('leaves no unfinished file behind', () => {
    expect(readdirSync(folder).filter((name) => name.includes('unfinished'))).toEqual([]);
  });
});
