// Threads that are stopped at a misuse or an opening: --break-on and --dump-on.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { setEvent } from '../set-event.ts';
import { Target } from '../target.ts';
import { fixtureFolder, fixturePath, type JsonReport, runTool, toolPath } from '../tool.ts';

/** The tool at work, with a stdin that types. Its output goes through files: see runTool. */
class Session implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'unclosed-stop-'));
  readonly #child: ChildProcess;
  readonly #files = ['stdout', 'stderr'].map((name) => openSync(join(this.folder, name), 'w')) as [number, number];

  constructor(...args: readonly string[]) {
    const reporter = `json=${join(this.folder, 'report.json')}`;
    const [command, ...others] = args;
    this.#child = spawn(process.execPath, [toolPath, command!, '--reporter', reporter, ...others], {
      stdio: ['pipe', ...this.#files],
      cwd: fixtureFolder,
    });
  }

  get stdout(): string {
    return readFileSync(join(this.folder, 'stdout'), 'utf8').replaceAll('\r', '');
  }

  get stderr(): string {
    return readFileSync(join(this.folder, 'stderr'), 'utf8');
  }

  get report(): JsonReport {
    return JSON.parse(readFileSync(join(this.folder, 'report.json'), 'utf8')) as JsonReport;
  }

  /** Resolves with the id of the process that has a thread held. */
  async held(): Promise<number> {
    await this.until(() => this.stderr.includes('Press Enter'));
    return Number(/\(process (\d+)\) is held at/.exec(this.stderr)![1]);
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await sleep(50);
  }

  pressEnter(): void {
    this.#child.stdin!.write('\n');
  }

  /** Ends the tool as the task manager does. */
  async kill(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill();
    await ended;
  }

  async end(): Promise<number | null> {
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    return this.#child.exitCode;
  }

  [Symbol.dispose](): void {
    this.#child.kill();
    for (const file of this.#files) closeSync(file);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

const planted = 'double-close Event 0x';

describe('--break-on', () => {
  it('holds the thread inside of the call until Enter is pressed', async () => {
    using session = new Session('run', '--break-on', 'double-close', '--', fixturePath('double-closes-event'));
    await session.held();
    expect(session.stdout).toBe(''); // the program has not come back from the second close
    expect(session.stderr).toContain('was closed again by CloseHandle at close_again');
    session.pressEnter();
    expect(await session.end()).toBe(1);
    expect(session.stdout).toContain(planted);
    expect(session.report.target.exitCode).toBe(0);
    expect(session.report.findings.map(({ rule }) => rule)).toEqual(['double-close']);
  });

  it('lets the thread go on when the tool is killed', async () => {
    using session = new Session('run', '--break-on', 'double-close', '--', fixturePath('double-closes-event'));
    await session.held();
    await session.kill();
    await session.until(() => session.stdout.includes(planted));
  });

  it('becomes a breakpoint at the return of the call when a debugger is attached', async () => {
    using session = new Session('run', '--break-on', 'double-close', '--', fixturePath('double-closes-event'));
    const processId = await session.held();
    const { stdout } = spawnSync(fixturePath('debugs-process'), [String(processId)], { encoding: 'utf8' });
    expect(stdout.split(/\r?\n/)).toEqual([
      'attached',
      'breakpoint returns to kernelbase.dll 0xc0000008',
      'ended 0',
      '',
    ]);
    expect(await session.end()).toBe(1);
    expect(session.stderr).toContain('stops in the debugger at double-close');
    expect(session.stdout).toContain(planted);
  });

  it('waits for nothing of the program when that has closed the recorder’s mutant', async () => {
    using session = new Session('run', '--break-on', 'double-close', '--', fixturePath('closes-mutants'));
    await session.end();
    expect(session.report.target.exitCode, 'one mutant was found, and all events are still set').toBe(1);
  });

  it('stops once at a site', async () => {
    using session = new Session('run', '--break-on', 'double-close', '--', fixturePath('double-closes-repeatedly'));
    await session.held();
    session.pressEnter();
    await session.end();
    expect(session.stderr.match(/is held at/g)).toHaveLength(1);
    expect(session.report.findings.map(({ count }) => count)).toEqual([20]);
  });

  it.each([
    ['a stream', 'double-closes-stream', 'double-close:close_again', 'fclose at close_again'],
    ['a socket in the wrong closer', 'closes-socket-as-handle', 'wrong-closer', 'close_as_handle'],
    ['a use', 'sets-closed-event', 'use-after-close', 'SetEvent at'],
  ])('stops at %s', async (_what, program, orders, text) => {
    using session = new Session('run', '--break-on', orders, '--', fixturePath(program));
    await session.held();
    expect(session.stderr).toContain(text);
    session.pressEnter();
    expect(await session.end()).toBe(1);
    expect(session.report.target.exitCode).toBe(0);
  });

  it('stops at a call that the quarantine refuses', async () => {
    const program = fixturePath('closes-recycled-value');
    using session = new Session('run', '--quarantine', '--break-on', 'stale-close', '--', program);
    await session.held();
    session.pressEnter();
    expect(await session.end()).toBe(1);
    expect(session.report.findings.map(({ rule }) => rule)).toEqual(['stale-close']);
  });

  it('holds the thread that opens the last of as many handles as are waited for', async () => {
    using session = new Session('run', '--break-on', 'leak:open_request@30', '--', fixturePath('leaks-many-events'));
    await session.held();
    expect(session.stderr).toContain('30 Event handles are open');
    session.pressEnter();
    expect(await session.end()).toBe(1);
    expect(session.stdout.match(/^leak Event/gm)).toHaveLength(64);
    expect(session.stderr.match(/is held at/g)).toHaveLength(1);
  });

  it('stops a thread of a process that was attached to', async () => {
    using target = await Target.start('misuses-on-request');
    using session = new Session('attach', String(target.processId), '--until-exit', '--break-on', 'use-after-close');
    await session.until(() => session.stderr.includes('attached to'));
    setEvent(`unclosed-go-${target.processId}`);
    expect(await session.held()).toBe(target.processId);
    session.pressEnter();
    await target.hear('done');
    setEvent(`unclosed-go-${target.processId}`);
    expect(await target.end()).toBe(5);
    expect(await session.end()).toBe(1);
  });

  it.each([
    ['of a program without misuse', ['--break-on', 'double-close'], 'double-closes-event-clean'],
    ['of another rule', ['--break-on', 'use-after-close,invalid-close'], 'double-closes-event'],
    ['at another site', ['--break-on', 'double-close:close_all'], 'double-closes-event'],
    ['that closes its handles', ['--break-on', 'leak:open_request@2'], 'leaks-many-events-clean'],
    ['of a suppressed site', ['--break-on', 'double-close', '--suppress', 'suppressions'], 'double-closes-event'],
  ])('stops no thread %s', async (_what, args, program) => {
    const folder = mkdtempSync(join(tmpdir(), 'unclosed-stop-'));
    try {
      const file = join(folder, 'suppressions');
      writeFileSync(file, 'double-close:close_again\n');
      const given = args.map((each) => (each === 'suppressions' ? file : each));
      const { stderr } = await runTool(['run', ...given, '--', fixturePath(program)]);
      expect(stderr).not.toContain('is held at');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it.each([
    ['stays', []],
    ['is unloaded', ['unloads']],
  ])('leaves the report the names of a DLL that takes the place of one at the stop, and %s', async (_what, args) => {
    const program = [fixturePath('swaps-libraries'), ...args];
    const { stdout } = await runTool(['run', '--json', '--break-on', 'double-close', '--', ...program]);
    const { findings } = JSON.parse(stdout) as JsonReport;
    const leak = findings.find(({ rule }) => rule === 'leak');
    expect(leak?.stacks['opened']).toContainEqual(
      expect.objectContaining({ module: 'large-frames-library.dll', function: 'call_back' }),
    );
  });

  it('lets the thread go on where nobody can press a key', async () => {
    const { exitCode, stderr } = await runTool([
      ...['run', '--break-on', 'double-close', '--', fixturePath('double-closes-event')],
    ]);
    expect(stderr).toContain('stdin has ended');
    expect(exitCode).toBe(1);
  });
});

describe('--dump-on', () => {
  it('writes a minidump of the first moment of a site, and the report names it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'unclosed-dump-'));
    try {
      using session = new Session(
        'run',
        '--dump-on',
        `double-close=${folder}`,
        '--',
        fixturePath('double-closes-event'),
      );
      expect(await session.end()).toBe(1);
      const [name, ...others] = readdirSync(folder);
      expect(others).toEqual([]);
      expect(session.report.findings).toMatchObject([{ rule: 'double-close', dump: join(folder, name!) }]);
      expect(readFileSync(join(folder, name!)).toString('latin1', 0, 4)).toBe('MDMP');
      expect(session.stderr).not.toContain('is held at');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('removes what killed auditors left unfinished an hour ago, and nothing else', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'unclosed-dump-'));
    try {
      const [old, fresh, others] = [
        'a-4-leak-1.dmp.8.unfinished',
        'a-4-leak-2.dmp.8.unfinished',
        'report.8.unfinished',
      ];
      for (const name of [old, fresh, others]) writeFileSync(join(folder, name), 'MDMP');
      for (const name of [old, others]) utimesSync(join(folder, name), 0, 0);
      await runTool([...['run', '--dump-on', `double-close=${folder}`, '--', fixturePath('double-closes-event')]]);
      const dump = expect.stringMatching(/^double-closes-event-\d+-double-close-1\.dmp$/) as string;
      expect(readdirSync(folder).toSorted()).toEqual([fresh, dump, others]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('writes none of a program without misuse', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'unclosed-dump-'));
    try {
      const { exitCode } = await runTool([
        ...['run', '--dump-on', `double-close=${folder}`, '--', fixturePath('double-closes-event-clean')],
      ]);
      expect(exitCode).toBe(0);
      expect(readdirSync(folder)).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
