import { afterAll, describe, expect, it } from 'vitest';

import { setEvent } from '../set-event.ts';
import { Target } from '../target.ts';
import { runTool, type ToolRun } from '../tool.ts';
import { type GateReport, Place } from './place.ts';

const place = new Place();
afterAll(() => place[Symbol.dispose]());

/** The same program, and one of moved code, in two directories. */
const before = place.addProgram('leaks-at-moved-lines', 'before\\app.exe');
const after = place.addProgram('leaks-at-moved-lines-moved', 'after\\app.exe');

const spellFindings = ({ findings }: GateReport): readonly string[] =>
  findings.map(({ status, rule, object, count }) => `${status} ${rule} ${object.type} ${count}`).toSorted();
const linesOf = (file: string): readonly string[] => place.read(file).trimEnd().split('\n').slice(1);

describe('--update-baseline', () => {
  it('writes a line for each finding, sorted, and takes all of them for known', async () => {
    const report = await place.report(['--baseline', 'app.baseline', '--update-baseline', '--', before, '2']);
    expect(report.toolExitCode).toBe(0);
    expect(spellFindings(report)).toEqual(['known double-close Event 1', 'known leak Event 2', 'known leak File 1']);
    expect(report.baseline).toMatchObject({ file: 'app.baseline', entries: 3, stale: [], changes: { added: 3 } });
    const lines = linesOf('app.baseline');
    expect(lines).toEqual(lines.toSorted());
    expect(lines.map((line) => line.replace(/[0-9a-f]{16}/, '…'))).toEqual(
      expect.arrayContaining([
        'double-close … 1 Event: CloseHandle < app.exe!close_twice < app.exe!main',
        'leak … 2 Event: CreateEvent < app.exe!leak_event < app.exe!main',
        'leak … 1 File: CreateFile < app.exe!leak_file < app.exe!main',
      ]),
    );
  });

  it('is needed to change the file: a run beside it leaves it alone', async () => {
    const text = place.read('app.baseline');
    const report = await place.report(['--baseline', 'app.baseline', '--', before, '9', 'new']);
    expect(report.toolExitCode).toBe(1);
    expect(place.read('app.baseline')).toBe(text);
  });

  it('keeps remarks, and raises, adds and drops', async () => {
    place.write('kept.baseline', place.read('app.baseline').replace(/(leak_event.*)$/m, '$1 # issue 812'));
    const args = ['--baseline', 'kept.baseline', '--update-baseline', '--', before, '3', 'new'];
    expect((await place.report(args)).baseline!.changes).toEqual({ added: 1, raised: 1, lowered: 0, dropped: 0 });
    expect(linesOf('kept.baseline').find((line) => line.includes('leak_event'))).toMatch(/ 3 .* # issue 812$/);
  });
});

describe('--baseline', () => {
  const compare = async (program: string, ...args: readonly string[]): Promise<Awaited<ReturnType<Place['report']>>> =>
    await place.report(['--baseline', 'app.baseline', '--', program, ...args]);

  it('knows the findings of the same code at other lines, in another directory', async () => {
    const report = await compare(after, '2');
    expect(spellFindings(report)).toEqual(['known double-close Event 1', 'known leak Event 2', 'known leak File 1']);
    expect([report.toolExitCode, report.baseline!.stale]).toEqual([0, []]);
    const offending = report.findings.find(({ rule }) => rule === 'double-close')!.stacks['offending']!;
    expect(offending.find((frame) => frame.function === 'close_twice')!.line).toBeGreaterThan(400);
  });

  it('fails for a finding that is new, also when an old one has vanished', async () => {
    const report = await compare(after, '0', 'new');
    expect(spellFindings(report)).toEqual(['known double-close Event 1', 'known leak File 1', 'new leak Semaphore 1']);
    expect(report.toolExitCode).toBe(1);
    expect(report.baseline!.stale).toMatchObject([{ rule: 'leak', count: 2, found: 0 }]);
  });

  it('fails for a site with more handles, and says how many are accepted', async () => {
    const report = await compare(before, '5');
    expect(spellFindings(report)).toEqual(['known double-close Event 1', 'known leak File 1', 'new leak Event 5']);
    const grown = report.findings.find(({ count }) => count === 5)!;
    expect(grown.message).toMatch(/The baseline accepts 2 handles of this site, and there are 5\.$/);
    expect(report.toolExitCode).toBe(1);
  });

  it('says at the end of a table what is new, grown, known and stale', async () => {
    const { stderr, exitCode } = await place.run(['run', '--baseline', 'app.baseline', '--', before, '0', 'new']);
    expect(stderr).toMatch(/^Baseline app\.baseline: 3 known findings\.$/m);
    expect(stderr).toMatch(
      /^Stale entries, .*:\r?\n {2}• leak [0-9a-f]{16} {2}Event: CreateEvent < app\.exe!leak_event/m,
    );
    expect(stderr).toMatch(/^✗ 1 warning, .*2 known \(--suppressed\)\.\s*$/m);
    expect(exitCode).toBe(1);
  });

  it('with --repeat takes the run with the most', async () => {
    const report = await place.report(['--repeat', '2', '--baseline', 'app.baseline', '--', before, '2']);
    expect([report.toolExitCode, spellFindings(report)[1]]).toEqual([0, 'known leak Event 2']);
  });

  it.each([
    [
      'a file that is not there',
      'none.baseline',
      /^unclosed: Cannot read baseline "none\.baseline": there is no such file \(ENOENT\)\. Try --update-baseline to write it\.\n$/,
    ],
    [
      'a conflict of a merge',
      'conflict.baseline',
      /line 2: a conflict of a merge stands here\. Try to keep the lines of both sides/,
    ],
    ['a directory', '.', /^unclosed: Cannot read baseline/],
  ])('refuses %s before the program runs', async (_, file, message) => {
    place.write('conflict.baseline', '# unclosed baseline 1\n<<<<<<< HEAD\n');
    const { stdout, stderr, exitCode } = await place.run(['run', '--baseline', file, '--', before]);
    expect(stderr).toMatch(message);
    expect([stdout, exitCode]).toEqual(['', 2]);
  });

  it.each(['--update-baseline', '--prune-baseline'])('is needed for %s', async (option) => {
    const { stderr, exitCode } = await place.run(['run', option, '--', before]);
    expect(stderr).toBe(`unclosed: Cannot carry out ${option}: no baseline is named. Try --baseline <file>.\n`);
    expect(exitCode).toBe(2);
  });
});

describe('--prune-baseline', () => {
  it('drops what is gone, lowers what has shrunk, and adds nothing', async () => {
    place.write('pruned.baseline', place.read('app.baseline').replace(/^(leak \w+ )1 /m, '$17 '));
    const args = ['--baseline', 'pruned.baseline', '--prune-baseline', '--', before, '0', 'new'];
    const report = await place.report(args);
    expect(report.toolExitCode).toBe(1);
    expect(report.baseline!.changes).toEqual({ added: 0, raised: 0, lowered: 1, dropped: 1 });
    expect(linesOf('pruned.baseline').map((line) => line.replace(/[0-9a-f]{16}/, '…'))).toEqual([
      'double-close … 1 Event: CloseHandle < app.exe!close_twice < app.exe!main',
      'leak … 1 File: CreateFile < app.exe!leak_file < app.exe!main',
    ]);
  });
});

describe('unclosed attach', () => {
  const attach = async (...options: readonly string[]): Promise<ToolRun> => {
    using target = await Target.start('misuses-on-request');
    let isAsked = false;
    const ask = (stderr: string): void => {
      if (isAsked || !stderr.includes('; recording ')) return;
      isAsked = true;
      setEvent(`unclosed-go-${target.processId}`);
    };
    const args = ['attach', String(target.processId), '--for', '4s', '--json', ...options];
    return await runTool(args, ask, [], { cwd: place.path });
  };

  it('writes a baseline and compares with it, too', async () => {
    const written = await attach('--baseline', 'attach.baseline', '--update-baseline');
    expect(written.exitCode).toBe(0);
    expect(JSON.parse(written.stdout)).toMatchObject({ findings: [], stats: { known: 3 }, baseline: { entries: 3 } });
    const compared = await attach('--baseline', 'attach.baseline');
    expect([compared.exitCode, JSON.parse(compared.stdout).stats.known]).toEqual([0, 3]);
    place.write('attach.baseline', '# unclosed baseline 1\n');
    expect((await attach('--baseline', 'attach.baseline')).exitCode).toBe(1);
  });
});

describe('unclosed baseline diff', () => {
  it('shows what came, went and changed', async () => {
    const text = place.read('app.baseline');
    place.write('other.baseline', text.replace(/^double-close.*\n/m, '').replace(/ 2 /, ' 3 '));
    const { stdout, exitCode } = await place.run(['baseline', 'diff', 'app.baseline', 'other.baseline']);
    expect(stdout).toMatch(/^Only in the first: 1\n- double-close /m);
    expect(stdout).toMatch(/^With another count: 1\n- leak .* 2 .*\n\+ leak .* 3 /m);
    expect(stdout).toMatch(/\n1 finding in both\.\n$/);
    expect(exitCode).toBe(0);
    const growth = await place.run([
      'baseline',
      'diff',
      '--fail-on-growth',
      '--json',
      'app.baseline',
      'other.baseline',
    ]);
    expect(JSON.parse(growth.stdout)).toMatchObject({ added: [], removed: [{}], changed: [{}], same: 1 });
    expect(growth.exitCode).toBe(1);
  });

  it('of a file with itself shows nothing', async () => {
    const { stdout, exitCode } = await place.run([
      'baseline',
      'diff',
      '--fail-on-growth',
      'app.baseline',
      'app.baseline',
    ]);
    expect([stdout, exitCode]).toEqual(['No difference: 3 findings in both.\n', 0]);
  });
});
