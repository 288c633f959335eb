import { afterAll, describe, expect, it } from 'vitest';

import { Place } from './place.ts';

const place = new Place();
afterAll(() => place[Symbol.dispose]());

const app = place.addProgram('leaks-at-moved-lines', 'app.exe');
place.write('project/sub/dir/x', '');
const inProject = 'project\\sub\\dir';

/** Runs the tool in a directory of the project below this configuration. */
async function runWith(
  config: object | string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Awaited<ReturnType<Place['report']>>> {
  place.write('project/unclosed.config.json', config);
  return await place.report([...args, '--', app], env, inProject);
}

const levelsOf = ({
  findings,
}: {
  readonly findings: readonly { readonly rule: string; readonly level: string; readonly status: string }[];
}): readonly string[] => findings.map(({ rule, level, status }) => `${rule} ${level} ${status}`);

describe('a configuration', () => {
  it('is found above the working directory, and sets levels, exit code and what is accepted', async () => {
    const report = await runWith({
      failOn: 'error',
      rules: { leak: 'warning', 'double-close': 'off' },
      suppressions: [
        { match: 'leak:leak_file', reason: 'by design', expires: '2999-12-31' },
        { match: 'leak:leak_event', reason: 'too late', expires: '2020-01-01' },
      ],
    });
    expect(levelsOf(report).toSorted()).toEqual([
      'double-close error suppressed',
      'leak warning new',
      'leak warning suppressed',
    ]);
    expect(report.toolExitCode).toBe(0);
    const source = expect.stringMatching(/unclosed\.config\.json#suppressions$/);
    expect(report.suppressions).toMatchObject([
      { source, lineNumber: 1, reason: 'by design', findings: 1 },
      { source, lineNumber: 2, reason: 'too late', findings: 0, expired: true },
      { line: 'double-close: off', findings: 1 },
    ]);
    expect(report.findings.find(({ status }) => status === 'new')!.message).toMatch(/expired on 2020-01-01\.$/);
  });

  it('is beaten by the environment, which a flag beats', async () => {
    const config = { failOn: 'never' };
    expect((await runWith(config)).toolExitCode).toBe(0);
    expect((await runWith(config, [], { UNCLOSED_FAIL_ON: 'error' })).toolExitCode).toBe(1);
    expect((await runWith(config, ['--fail-on', 'never'], { UNCLOSED_FAIL_ON: 'error' })).toolExitCode).toBe(0);
    expect((await runWith(config, ['--no-config'])).toolExitCode).toBe(1);
  });

  it('has paths that are relative to itself', async () => {
    const config = { reporters: ['json=made.json'], baseline: 'made.baseline' };
    const { toolExitCode } = await runWith(config, ['--update-baseline']);
    expect(toolExitCode).toBe(0);
    expect(place.has('project/made.baseline')).toBe(true);
    expect(place.has('project/made.json')).toBe(false); // --json replaces the reports of the file
    await place.run(['run', '--', app], {}, inProject);
    expect(JSON.parse(place.read('project/made.json'))).toMatchObject({ findings: [], stats: { known: 3 } });
  });

  it('leaves out modules and processes', async () => {
    expect((await runWith({ exclude: { modules: ['app.*'] } })).toolExitCode).toBe(0);
    expect((await runWith({ include: { processes: ['other.exe'] } })).toolExitCode).toBe(0);
    expect((await runWith({ include: { processes: ['app*'], modules: ['APP.EXE'] } })).toolExitCode).toBe(1);
  });

  it('gives way to a nearer one, and to the one that is named', async () => {
    place.write('project/sub/package.json', { name: 'x', unclosed: { failOn: 'never' } });
    expect((await runWith({ failOn: 'error' })).toolExitCode).toBe(0);
    const named = place.write('other.json', { failOn: 'error' });
    expect((await runWith({}, ['--config', named])).toolExitCode).toBe(1);
    expect((await runWith({}, [], { UNCLOSED_CONFIG: named })).toolExitCode).toBe(1);
    place.write('project/sub/package.json', { name: 'x', devDependencies: { unclosed: '1' } });
    expect((await runWith({ failOn: 'never' })).toolExitCode).toBe(0);
    place.write('project/sub/.git', '');
    expect((await runWith({ failOn: 'never' })).toolExitCode).toBe(1);
  });

  it.each([
    [
      'an unknown key',
      { failon: 'error' },
      /unclosed\.config\.json": there is the unknown key "failon"\. Try failOn\.\n$/,
    ],
    ['no JSON', '{\n  "failOn": error\n}', /line 2 is no valid JSON/],
    ['sections without a pipe', { leaksBySection: true }, /there is no pipe to say which section begins/],
    ['an unknown reporter', { reporters: ['tabel'] }, /reporter: There is no reporter "tabel"/],
    [
      'a line of suppressions that is none',
      { suppressions: [{ match: 'leek:a', reason: 'r' }] },
      /#suppressions": line 1: there is no rule "leek"/,
    ],
    ['a baseline that is not there', { baseline: 'none' }, /Cannot read baseline ".*none": there is no such file/],
    [
      'a file of suppressions that is not there',
      { suppressionFiles: ['none.supp'] },
      /suppress: It cannot be read \(ENOENT\)/,
    ],
  ])('with %s is refused before the program runs', async (_, config, message) => {
    const other = place.write('refused/unclosed.config.json', config);
    const { stdout, stderr, exitCode } = await place.run(['run', '--config', other, '--', app]);
    expect(stderr).toMatch(message);
    expect([stdout, exitCode]).toEqual(['', 2]);
  });
});

describe('the exit code', () => {
  const failing = ['--', process.execPath, '-e', 'process.exit(7)'] as const;
  const leaking = ['--', process.execPath, '-e', 'require("fs").openSync(process.execPath); process.exit(7)'] as const;

  it.each([
    ['findings', 0, 1],
    ['program', 7, 7],
    ['program-first', 7, 7],
    ['findings-first', 7, 1],
  ])(
    'with the policy %s is that of a program that fails, or leaks and fails: %i, %i',
    async (policy, failed, leaked) => {
      const codes: (number | null)[] = [];
      for (const command of [failing, leaking])
        codes.push((await place.run(['run', '--exit-code-policy', policy, ...command])).exitCode);
      expect(codes).toEqual([failed, leaked]);
    },
  );

  it('may come from a configuration, and --forward-exit-code beats that', async () => {
    const config = place.write('policy.json', { exitCodePolicy: 'findings-first' });
    expect((await place.run(['run', '--config', config, ...leaking])).exitCode).toBe(1);
    expect((await place.run(['run', '--config', config, '--forward-exit-code', ...leaking])).exitCode).toBe(7);
  });
});

describe('unclosed init', () => {
  it('writes a configuration, and overwrites none', async () => {
    place.write('first/x', '');
    const { stdout, exitCode } = await place.run(['init'], {}, 'first');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^Wrote unclosed\.config\.json\.\nNext: unclosed run -- <program>/);
    const text = place.read('first/unclosed.config.json');
    expect(JSON.parse(text)).toEqual({ failOn: 'warning' });
    const again = await place.run(['init', '--', app], {}, 'first');
    expect(again.stderr).toBe(
      'unclosed: Cannot write unclosed.config.json: it is there already. Try to change it, or another directory.\n',
    );
    expect([again.exitCode, place.read('first/unclosed.config.json')]).toEqual([2, text]);
  });

  it('runs a program once, and makes its findings known', async () => {
    place.write('second/x', '');
    const { stdout, stderr, exitCode } = await place.run(['init', '--', app, '3'], {}, 'second');
    expect([exitCode, stdout]).toEqual([
      0,
      expect.stringMatching(/^Wrote unclosed\.config\.json, and unclosed\.baseline with 3 known findings\.\nNext: /m),
    ]);
    expect(stderr).toMatch(/^✗ /m);
    const known = await place.report(['--', app, '3'], {}, 'second');
    expect([known.toolExitCode, known.stats['known']]).toEqual([0, 3]);
    expect((await place.report(['--', app, '4'], {}, 'second')).toolExitCode).toBe(1);
  });

  it('writes no baseline where nothing was found', async () => {
    place.write('third/x', '');
    const clean = place.addProgram('leaks-event-clean', 'clean.exe');
    expect((await place.run(['init', '--', clean], {}, 'third')).exitCode).toBe(0);
    expect([place.has('third/unclosed.config.json'), place.has('third/unclosed.baseline')]).toEqual([true, false]);
    expect(JSON.parse(place.read('third/unclosed.config.json'))).not.toHaveProperty('baseline');
  });

  it('writes nothing where the program cannot be run', async () => {
    place.write('fourth/x', '');
    expect((await place.run(['init', '--', 'no-such-program'], {}, 'fourth')).exitCode).toBe(2);
    expect(place.has('fourth/unclosed.config.json')).toBe(false);
  });
});
