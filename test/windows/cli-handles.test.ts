import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { decodeAccess } from '../../src/handles/access.ts';
import { escapeText } from '../../src/text/escape.ts';
import { Holder } from './handles/holder.ts';
import { Target } from './handles/target.ts';
import { Target as Changing } from './target.ts';
import { runTool } from './tool.ts';

type Row = Readonly<Record<string, string | number | boolean | undefined>>;
interface Listing {
  readonly handles: readonly Row[];
  readonly processes: readonly {
    readonly pid: number;
    readonly process: string;
    readonly handles: number;
    readonly problem?: string;
  }[];
}

const columns =
  'pid,process,handle,type,access,accessMask,attributes,name,nameProblem,protocol,local,remote,state,targetPid,targetTid,targetImage,ended,exitCode';
const hostile = '\u001b[31m\n"<script>\ud800';

let holder: Holder;
let states: Target;
beforeAll(async () => {
  [holder, states] = await Promise.all([Holder.start(), Target.start('holds-states')]);
});
afterAll(() => {
  holder?.[Symbol.dispose]();
  states?.[Symbol.dispose]();
});

async function list(...args: readonly string[]): Promise<Listing> {
  const { stdout, stderr, exitCode } = await runTool(['handles', ...args, '--json']);
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  return JSON.parse(stdout) as Listing;
}

const hex = (value: number): string => `0x${value.toString(16)}`;

/** Takes RFC 4180 apart by itself: the tool's own code must not vouch for its output. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  const cell = /("(?:[^"]|"")*"|[^",\n]*)([,\n])/y;
  while (cell.lastIndex < text.length) {
    const [, content, end] = cell.exec(text) ?? [];
    if (content === undefined) throw new Error(`No CSV: ${text.slice(0, 200)}`);
    row.push(content.startsWith('"') ? content.slice(1, -1).replaceAll('""', '"') : content);
    if (end === '\n') {
      rows.push(row);
      row = [];
    }
  }
  return rows;
}

describe('unclosed handles', () => {
  it('shows every handle that the oracle opened as what it is, row by row', async () => {
    const { handles } = await list(String(holder.processId));
    const byValue = new Map(handles.map((row) => [row['handle'], row]));
    for (const held of holder.held) {
      const row = byValue.get(hex(held.value))!;
      expect(row, held.key).toMatchObject({ pid: holder.processId, process: 'node.exe', type: held.type });
      if (held.name !== undefined)
        expect(String(row['name']).slice(-held.name.length).toLowerCase(), held.key).toBe(held.name.toLowerCase());
      if (held.access !== undefined) {
        expect(row, held.key).toMatchObject({
          accessMask: hex(held.access),
          access: decodeAccess(held.type, held.access).join('|'),
        });
      }
      if (held.inheritable || held.protectFromClose)
        expect(row['attributes'], held.key).toBe(held.inheritable ? 'inherit' : 'protect');
      for (const fact of ['protocol', 'local', 'remote', 'state'] as const)
        expect(row[fact], `${held.key}: ${fact}`).toBe(held.socket?.[fact]);
      if (held.processId !== undefined) expect(row['targetPid'], held.key).toBe(held.processId);
      if (held.threadId !== undefined) expect(row['targetTid'], held.key).toBe(held.threadId);
      if (held.ended !== undefined) expect(row['ended'], held.key).toBe(held.ended);
      if (held.exitCode !== undefined) expect(row['exitCode'], held.key).toBe(held.exitCode);
    }
  });

  it('the same handles stand in the table, in CSV, in JSON and in NDJSON, and the columns match', async () => {
    const pid = String(states.processId);
    const [{ handles, processes }, csv, ndjson, table] = [
      await list(pid),
      await runTool(['handles', pid, '--csv']),
      await runTool(['handles', pid, '--ndjson']),
      await runTool(['handles', pid]),
    ];
    const [header, ...rows] = parseCsv(csv.stdout);
    expect(header!.join(',')).toBe(columns);
    for (const row of rows) expect(row).toHaveLength(header!.length);
    const cells = handles.map((row) => header!.map((key) => String(row[key] ?? '')));
    expect(rows).toEqual(cells);
    expect(
      ndjson.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Row),
    ).toEqual(handles);
    for (const row of handles) expect(Object.keys(row).every((key) => header!.includes(key))).toBe(true);
    const [heading, ...lines] = table.stdout.trimEnd().split('\n');
    expect(heading).toBe(`holds-states.exe (${pid})  ${handles.length} handles`);
    expect(lines.map((line) => line.trim().split(/\s+/).slice(0, 2))).toEqual(
      handles.map((row) => [row['handle'], row['type']]),
    );
    expect(processes).toEqual([{ pid: states.processId, process: 'holds-states.exe', handles: handles.length }]);
  });

  it('a name with ESC, newline, quotes, markup and half a surrogate pair is escaped everywhere and whole in JSON', async () => {
    const args = ['handles', String(holder.processId), '--name', '<script>'];
    const [json, csv, ndjson, table] = [
      await runTool([...args, '--json']),
      await runTool([...args, '--csv']),
      await runTool([...args, '--ndjson']),
      await runTool(args),
    ];
    const parsed = (JSON.parse(json.stdout) as Listing).handles;
    expect(parsed).toHaveLength(1);
    expect(String(parsed[0]!['name']).endsWith(hostile)).toBe(true);
    expect(String((JSON.parse(ndjson.stdout) as Row)['name']).endsWith(hostile)).toBe(true);
    const rows = parseCsv(csv.stdout);
    expect(rows).toHaveLength(2);
    expect(rows[1]![7]!.endsWith(escapeText(hostile))).toBe(true);
    expect(table.stdout.trimEnd().endsWith('\\x1b[31m\\n"<script>\\u{d800}')).toBe(true);
    for (const { stdout } of [json, csv, ndjson, table]) expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f\ufffd]/);
  });

  it('filters by type, by a part of a name, by a pattern and by being inheritable', async () => {
    const pid = String(holder.processId);
    const sockets = holder.held.filter(({ type }) => type === 'Socket');
    const [all, ofType, named, pattern, inheritable, two] = [
      await list(pid),
      await list(pid, '--type', 'socket'),
      await list(pid, '--name', `UNCLOSED-${pid}-MUT`),
      await list(pid, '--name', `*\\unclosed-${pid}-?????`),
      await list(pid, '--inheritable'),
      await list(pid, '--type', 'mutex,semaphore'),
    ];
    const values = ({ handles }: Listing): unknown[] => handles.map((row) => row['handle']);
    expect(values(ofType)).toEqual(expect.arrayContaining(sockets.map(({ value }) => hex(value))));
    expect(values(ofType)).toEqual(all.handles.filter((row) => row['type'] === 'Socket').map((row) => row['handle']));
    expect(values(named)).toEqual([hex(holder.held.find(({ key }) => key === 'mutex')!.value)]);
    expect(pattern.handles.map((row) => String(row['name']).slice(-5)).toSorted()).toEqual(['event', 'mutex']);
    expect(values(inheritable)).toEqual(
      all.handles.filter((row) => String(row['attributes']).includes('inherit')).map((row) => row['handle']),
    );
    expect(inheritable.handles.length).toBeGreaterThan(0);
    expect(new Set(two.handles.map((row) => row['type']))).toEqual(new Set(['Mutant', 'Semaphore']));
  });

  it('counts as many handles as it lists, per type, per process and without names', async () => {
    const pid = String(states.processId);
    const [{ handles }, summary, count, counts, bare] = [
      await list(pid),
      await runTool(['handles', pid, '--summary', '--csv']),
      await runTool(['handles', pid, '--count-only']),
      await runTool(['handles', `${pid},${holder.processId}`, '--count-only', '--csv']),
      await list(pid, '--no-names'),
    ];
    const [header, ...rows] = parseCsv(summary.stdout);
    expect(header).toEqual(['pid', 'process', 'type', 'handles']);
    const sum = rows.reduce((all, row) => all + Number(row[3]), 0);
    expect(sum).toBe(handles.length);
    expect(rows.find((row) => row[2] === 'Semaphore')?.[3]).toBe(
      String(handles.filter((row) => row['type'] === 'Semaphore').length),
    );
    expect(count.stdout).toBe(`${handles.length}\n`);
    const counted = parseCsv(counts.stdout);
    expect(counted[0]).toEqual(['pid', 'process', 'handles']);
    expect(
      counted
        .slice(1)
        .map(([id]) => id)
        .toSorted(),
    ).toEqual([pid, String(holder.processId)].toSorted());
    expect(bare.handles.map((row) => row['handle'])).toEqual(handles.map((row) => row['handle']));
    expect(bare.handles.every((row) => row['name'] === undefined)).toBe(true);
  });

  it('finds processes by name, with and without .exe, in a list with ids, and all', async () => {
    for (const target of ['holds-states.exe', 'HOLDS-STATES', `holds-states,${holder.processId}`, 'all']) {
      const { stdout } = await runTool(['handles', target, '--count-only', '--json']);
      const { counts } = JSON.parse(stdout) as { counts: readonly { readonly pid: number }[] };
      expect(
        counts.map(({ pid }) => pid),
        target,
      ).toContain(states.processId);
      if (target.includes(',') || target === 'all')
        expect(
          counts.map(({ pid }) => pid),
          target,
        ).toContain(holder.processId);
    }
  });

  it.each([
    [['handles', '4294967'], /^unclosed: Cannot find process 4294967: no process with that id runs\. Try .*\.\n$/],
    [
      ['handles', '99999999999999999999'],
      /^unclosed: Cannot find process 9+: no process with that id runs\. Try .*\.\n$/,
    ],
    [
      ['handles', 'nobody.exe'],
      /^unclosed: Cannot find process "nobody\.exe": no process of that name runs\. Try .*\.\n$/,
    ],
    [['handles', ''], /^unclosed: Cannot find process "": .*\.\n$/],
    [['handles', 'all', '--type', 'Evnt'], /There is no type "Evnt".*\n$/],
    [['handles', 'all', '--type', 'socket', '--no-names'], /cannot be used with --no-names.*\n$/i],
    [['handles', 'all', '--csv', '--json'], /cannot be used with.*\n$/],
    [['explain', '4294967', '4'], /^unclosed: Cannot find process 4294967/],
    [
      ['explain', 'services.exe', '0xfffff0'],
      /^unclosed: Cannot find handle 0xfffff0: services\.exe \(\d+\) has no such handle open\. Try .*\.\n$/,
    ],
    [['explain', 'services.exe', 'x'], /A handle is a number.*\n$/],
    [
      ['close', 'services.exe', '4', '--yes'],
      /^unclosed: Cannot close a handle of services\.exe \(\d+\): it is a part of Windows.*--force.*\n$/,
    ],
    [['find', ''], /must not be empty.*\n$/],
  ])('%j is refused in one line and exit code 2', async (args, message) => {
    const { exitCode, stdout, stderr } = await runTool(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd()).not.toContain('\n');
  });

  it('says of a process that has ended, and of which somebody has a handle, that it has ended and how', async () => {
    const ended = holder.held.find(({ key }) => key === 'ended process')!.processId!;
    const { exitCode, stderr } = await runTool(['handles', String(ended)]);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr: `unclosed: Cannot find process ${ended}: it has ended, with exit code 7. Try unclosed handles all --count-only for a list.\n`,
    });
  });

  it('lists a process that denies access by what the table tells, says so, and goes on with the rest', async () => {
    using denying = await Target.start('denies-access');
    const both = await runTool(['handles', `${denying.processId},${states.processId}`, '--json']);
    expect(both.exitCode).toBe(0);
    expect(both.stderr).toMatch(
      /^unclosed: Cannot open process denies-access\.exe \(\d+\): access denied \(ERROR_ACCESS_DENIED 5\)\. Its names are not known\.\n$/,
    );
    const { handles, processes } = JSON.parse(both.stdout) as Listing;
    expect(processes.find(({ pid }) => pid === denying.processId)?.problem).toBe(
      'access denied (ERROR_ACCESS_DENIED 5)',
    );
    expect(
      handles.find((row) => row['pid'] === denying.processId && row['handle'] === denying.value('event')),
    ).toMatchObject({
      type: 'Event',
      access: 'EVENT_ALL_ACCESS',
      nameProblem: 'access denied (ERROR_ACCESS_DENIED 5)',
    });
    expect(
      handles.find((row) => row['pid'] === states.processId && row['handle'] === states.value('section')),
    ).not.toHaveProperty('nameProblem');

    const alone = await runTool(['handles', String(denying.processId)]);
    expect(alone.exitCode).toBe(2);
    expect(alone.stdout).toContain('cannot be opened: access denied');
    const explained = await runTool(['explain', String(denying.processId), denying.value('event')]);
    expect(explained).toMatchObject({ exitCode: 2, stdout: '' });
    expect(explained.stderr).toMatch(
      /^unclosed: Cannot open process denies-access\.exe \(\d+\): access denied .*Try an elevated terminal\.\n$/,
    );
  });
});

describe('50 synchronous pipes with a call pending for ever', () => {
  let target: Target;
  beforeAll(async () => {
    target = await Target.start('blocks-pipes');
  });
  afterAll(() => target?.[Symbol.dispose]());

  /** Has the tool ask for files in its helper, as it does on Windows, while `work` is done. */
  async function withHelper<T>(work: () => Promise<T>): Promise<T> {
    process.env['UNCLOSED_FILES_IN_HELPER'] = '1';
    try {
      return await work();
    } finally {
      delete process.env['UNCLOSED_FILES_IN_HELPER'];
    }
  }

  it('are listed and found, with their names where the platform tells them', async () => {
    const { handles } = await list(String(target.processId));
    const rows = new Map(handles.map((row) => [row['handle'], row]));
    expect(target.said).toHaveLength(50);
    for (const [, value, name] of target.said) {
      const row = rows.get(value)!;
      expect(row['type']).toBe('File');
      // Windows does not tell them; Wine does.
      if (row['nameProblem'] === undefined) expect(String(row['name']).toLowerCase()).toBe(name!.toLowerCase());
      else expect(row['nameProblem']).toBe('timed out');
    }
    const found = await runTool(['find', `unclosed-blocked-${target.processId}-`]);
    if (handles.every((row) => row['nameProblem'] === undefined)) expect(found).toMatchObject({ exitCode: 0 });
  });

  it('are shown as timed out where the questions really block, and everything else in full', async () => {
    // This helper reads from files instead of asking for their names: that blocks on Wine as on Windows (and moves
    // their positions, so no process but the target may be looked at). A pipe that listens refuses at once, so 25 of
    // them block.
    const reading = ['--require', fileURLToPath(new URL('./handles/reading-helper.cjs', import.meta.url))];
    const pid = String(target.processId);
    const [json, table] = await withHelper(async () => [
      await runTool(['handles', pid, '--json'], undefined, reading),
      await runTool(['handles', pid], undefined, reading),
    ]);
    const rows = new Map((JSON.parse(json.stdout) as Listing).handles.map((row) => [row['handle'], row]));
    for (const [call, value] of target.said) {
      expect(rows.get(value), call).toMatchObject({
        type: 'File',
        ...(call === 'ReadFile' ? { nameProblem: 'timed out' } : {}),
      });
    }
    const keys = [...rows.values()].filter((row) => row['type'] === 'Key');
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) expect(key).toHaveProperty('name');
    expect(json.exitCode).toBe(0);
    expect(table.stdout.split('\n').filter((line) => line.endsWith('name timed out')).length).toBeGreaterThanOrEqual(
      25,
    );
  });

  it('are listed the same when all files are asked in the helper process', async () => {
    const helped = await withHelper(() => list(String(target.processId)));
    const direct = await list(String(target.processId));
    expect(helped.handles).toEqual(direct.handles);
  });
});

describe('unclosed find', () => {
  it('says who holds a file, by its path however it is written, and a loaded program', async () => {
    const path = states.value('path');
    for (const text of [path, path.toUpperCase(), path.replaceAll('\\', '/'), path.slice(3)]) {
      const { stdout, exitCode, stderr } = await runTool(['find', text, '--json']);
      expect({ exitCode, stderr }, text).toEqual({ exitCode: 0, stderr: '' });
      const { holders } = JSON.parse(stdout) as { holders: readonly Row[] };
      expect(holders, text).toHaveLength(1);
      expect(holders[0], text).toMatchObject({
        pid: states.processId,
        process: 'holds-states.exe',
        handle: states.value('file'),
        type: 'File',
      });
    }
    const program = await runTool(['find', 'holds-states.exe']);
    expect(program.exitCode).toBe(0);
    expect(program.stdout).toMatch(
      new RegExp(`^holds-states\\.exe \\(${states.processId}\\)\n +Module +.*\\\\holds-states\\.exe\n`, 'm'),
    );
  });

  it('says who has a port, and does not take 80 for 8080', async () => {
    const listening = holder.held.find(({ key }) => key === 'listening TCP')!;
    const port = listening.socket!.local!.split(':').at(-1)!;
    const { stdout, exitCode } = await runTool(['find', `:${port}`, '--ndjson']);
    expect(exitCode).toBe(0);
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Row);
    expect(rows.map((row) => row['handle'])).toContain(hex(listening.value));
    for (const row of rows) expect(`${row['local']} ${row['remote']}`).toMatch(new RegExp(`:${port}\\b`));
    expect((await runTool(['find', `:${port.slice(1)}`])).exitCode).toBe(1);
  });

  it('says so and exits with 1 when nobody holds it', async () => {
    const { stdout, stderr, exitCode } = await runTool(['find', 'C:\\no\\such\\file.txt']);
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
    expect(stderr).toMatch(/^unclosed: Nobody holds "C:\\no\\such\\file\.txt"\./);
  });

  it('finds a file that another process has open', async () => {
    const path = join(tmpdir(), `unclosed-found-${process.pid}.txt`);
    writeFileSync(path, '');
    const child = spawn(
      process.execPath,
      ['-e', `require('fs').openSync(${JSON.stringify(path)}); console.log('open'); setInterval(() => {}, 1000)`],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(child.stdout, 'data');
    try {
      const { stdout } = await runTool(['find', path]);
      expect(stdout).toContain(`node.exe (${child.pid})`);
    } finally {
      child.kill();
    }
  });
});

interface Explained {
  readonly type: string;
  readonly references: { readonly handles: number };
  readonly details: Readonly<Record<string, unknown>>;
  readonly others: readonly { readonly pid: number; readonly handle: string; readonly access: string }[];
}

describe('unclosed explain', () => {
  it.each([
    ['signalled-event', 'Event', { signalled: true, reset: 'manual' }],
    ['automatic-event', 'Event', { signalled: false, reset: 'automatic' }],
    ['mutex-owned-twice', 'Mutant', { owned: true, recursion: 2, abandoned: false }],
    ['free-mutex', 'Mutant', { owned: false, recursion: 0 }],
    ['semaphore', 'Semaphore', { count: 3, maximum: 7 }],
    ['section', 'Section', { sizeBytes: 65536, backedBy: 'page file' }],
    ['timer', 'Timer', { signalled: false, remainingMs: expect.any(Number) }],
    ['port', 'IoCompletion', { queued: 2 }],
    [
      'file',
      'File',
      { directory: false, sizeBytes: 5000, positionBytes: 1234, mode: expect.stringContaining('synchronous') },
    ],
    ['token', 'Token', { kind: 'primary', user: expect.stringMatching(/^S-1-5-/) }],
  ])('tells the state of a %s', async (what, type, details) => {
    const { stdout, stderr, exitCode } = await runTool([
      'explain',
      String(states.processId),
      states.value(what),
      '--json',
    ]);
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    expect(JSON.parse(stdout)).toMatchObject({ pid: states.processId, type, details });
  });

  it('tells which other handles mean the same object, and how many there are', async () => {
    const same = JSON.parse(
      (await runTool(['explain', String(states.processId), states.value('same-event'), '--json'])).stdout,
    ) as Explained;
    expect(same.references.handles).toBe(2);
    expect(same.others).toEqual([
      {
        pid: states.processId,
        process: 'holds-states.exe',
        handle: states.value('signalled-event'),
        access: 'EVENT_ALL_ACCESS',
      },
    ]);
    const other = JSON.parse(
      (await runTool(['explain', 'holds-states.exe', states.value('automatic-event'), '--json'])).stdout,
    ) as Explained;
    expect(other).toMatchObject({ references: { handles: 1 }, others: [] });
  });

  it('tells the exit code of a process that has ended, and a socket’s endpoints', async () => {
    const ended = holder.held.find(({ key }) => key === 'ended process')!;
    const process = await runTool(['explain', String(holder.processId), hex(ended.value)]);
    expect(process.stdout).toMatch(new RegExp(`node\\.exe \\(${ended.processId}\\), ended with 7`));
    const socket = holder.held.find(({ key }) => key === 'connected TCP')!;
    const shown = await runTool(['explain', String(holder.processId), String(socket.value)]);
    expect(shown.stdout).toContain(`TCP ${socket.socket!.local} -> ${socket.socket!.remote} connected`);
  });
});

describe('unclosed close', () => {
  let target: Target;
  beforeAll(async () => {
    target = await Target.start('holds-states');
  });
  afterAll(() => target?.[Symbol.dispose]());

  async function isOpen(what: string): Promise<boolean> {
    const { handles } = await list(String(target.processId));
    return handles.some((row) => row['handle'] === target.value(what));
  }

  it('says what it is about to close, asks, and closes nothing without an answer', async () => {
    const run = await runTool(['close', String(target.processId), target.value('semaphore')]);
    expect(run.exitCode).toBe(1);
    expect(run.stderr).toMatch(
      /Semaphore[^]*Close 0x[0-9a-f]+\? \[y\/N\] [^]*Nothing was closed: there was no answer\. Try --yes\.\n$/,
    );
    expect(await isOpen('semaphore')).toBe(true);
  });

  it.each([
    ['n\n', 1, true],
    ['y\n', 0, false],
  ])('after the answer %j it exits with %i', async (answer, exitCode, staysOpen) => {
    const tool = fileURLToPath(new URL('../../bin/unclosed.cjs', import.meta.url));
    const child = spawn(process.execPath, [tool, 'close', String(target.processId), target.value('free-mutex')], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    child.stdin.end(answer);
    await once(child, 'exit');
    expect(child.exitCode).toBe(exitCode);
    expect(await isOpen('free-mutex')).toBe(staysOpen);
  });

  it('leaves another object alone that has got the value while the user thought', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'unclosed-close-'));
    const request = join(directory, 'change');
    const changing = await Changing.start('changes-on-request', request);
    try {
      const { handles } = await list(String(changing.processId), '--name', `unclosed-before-${changing.processId}`);
      const value = String(handles[0]!['handle']);
      const tool = fileURLToPath(new URL('../../bin/unclosed.cjs', import.meta.url));
      const child = spawn(process.execPath, [tool, 'close', String(changing.processId), value], {
        stdio: ['pipe', 'ignore', 'pipe'],
      });
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      while (!stderr.includes('[y/N]')) await once(child.stderr, 'data');
      writeFileSync(request, '');
      await changing.hear('changed');
      child.stdin.end('y\n');
      await once(child, 'close');
      expect(child.exitCode).toBe(1);
      expect(stderr).toMatch(
        /unclosed: Did not close 0x[0-9a-f]+ of changes-on-request\.exe \(\d+\), Event .*: the value meanwhile means another object\.\n$/,
      );
      expect(
        (await list(String(changing.processId), '--name', 'unclosed-after')).handles.map((row) => row['handle']),
      ).toEqual([value]);
    } finally {
      changing[Symbol.dispose]();
      rmSync(directory, { recursive: true });
    }
  });

  it('closes with --yes, says so, and the handle is gone', async () => {
    const { exitCode, stdout, stderr } = await runTool([
      'close',
      'holds-states.exe,'.replace(/.*/, String(target.processId)),
      target.value('section'),
      '--yes',
    ]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toBe(
      `Closed ${target.value('section')} of holds-states.exe (${target.processId}), Section without a name.\n`,
    );
    expect(await isOpen('section')).toBe(false);
    const again = await runTool(['close', String(target.processId), target.value('section'), '--yes']);
    expect(again).toMatchObject({ exitCode: 2, stdout: '' });
    expect(again.stderr).toMatch(/^unclosed: Cannot find handle 0x/);
  });

  it('leaves a handle that is protected from close alone unless it is forced to try', async () => {
    const run = await runTool(['close', String(target.processId), target.value('protected-event'), '--yes']);
    expect(run).toMatchObject({ exitCode: 1, stdout: '' });
    expect(run.stderr).toMatch(/it is protected from close\. Try --force if you must\.\n$/);
    const forced = await runTool([
      'close',
      String(target.processId),
      target.value('protected-event'),
      '--yes',
      '--force',
    ]);
    // Whatever Windows makes of it, what is said is true.
    expect(forced.exitCode === 0).toBe(!(await isOpen('protected-event')));
  });
});
