import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { decodeAccess } from '../../../src/handles/access.ts';
import { escapeText } from '../../../src/text/escape.ts';
import { Holder } from '../handles/holder.ts';
import { Target } from '../handles/target.ts';
import { runTool } from '../tool.ts';
import { hex, list, type Listing, type Row } from './listing.ts';

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

/** Parses RFC 4180 by itself: the tool's own code must not confirm its output. */
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

  it('says that a process has ended, and how, while another process has a handle of it', async () => {
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
