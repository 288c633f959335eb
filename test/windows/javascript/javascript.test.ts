// Programs in JavaScript that leak a handle: the line with `// leak` opens it, and a line with `// caller` called that.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { audit } from '../../../src/audit/index.ts';
import type { Frame, Report } from '../../../src/model.ts';

const programs = fileURLToPath(new URL('programs', import.meta.url));
/** Those in which a child of theirs leaks. */
const children = fileURLToPath(new URL('children', import.meta.url));
/** Those in which a thread of libuv's pool opens the handle: the marked lines asked it to. */
const requested = fileURLToPath(new URL('requested', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'unclosed-javascript-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));

const auditNode = (path: string, followChildren = false): Promise<Report> =>
  audit({ program: process.execPath, args: [path], javaScript: true, followChildren, targetStdout: 'stderr' });

/** For each leak, the lines of the program's own frames of JavaScript in a file. */
function linesOf({ findings }: Report, file: string): readonly (readonly number[])[] {
  const isOwn = (frame: Frame): boolean => frame.file === file && frame.javascript === true;
  return findings
    .filter(({ rule }) => rule === 'leak')
    .map(({ stacks: { opened = [] } }) => opened.filter(isOwn).map(({ line = 0 }) => line));
}

function marked(source: string, mark: string): readonly number[] {
  return source.split('\n').flatMap((line, index) => (line.includes(`// ${mark}`) ? [index + 1] : []));
}

describe('the line that leaks is named', () => {
  test.each([
    ...readdirSync(programs).map((name) => [name, programs, false] as const),
    ...readdirSync(children).map((name) => [name, children, true] as const),
  ])('in %s', async (name, directory, followChildren) => {
    const path = join(directory, name);
    const source = readFileSync(path, 'utf8');
    const report = await auditNode(path, followChildren);
    expect(report.target.exitCode).toBe(0);
    const stacks = linesOf(report, path);
    const [leak, ...callers] = [...marked(source, 'leak'), ...marked(source, 'caller')];
    const stack = stacks.find(([innermost]) => innermost === leak);
    expect(stack, JSON.stringify(stacks)).toBeDefined();
    for (const caller of callers) expect(stack).toContain(caller);
  });

  test('in a file and a function with odd names', async () => {
    const path = join(scratch, 'odd näme, 100%.cjs');
    const name = JSON.stringify('a b, "c"\n\ud83d\ude00');
    const lines = ['const odd = {', `[${name}]() {`, "require('fs').openSync(__filename);", '} };', `odd[${name}]();`];
    writeFileSync(path, lines.join('\n'));
    expect(linesOf(await auditNode(path), path)).toContainEqual([3, 5]);
  });

  const typeScript = readFileSync(fileURLToPath(new URL('mapped.ts', import.meta.url)), 'utf8');
  const mapped = stripTypeScriptTypes(typeScript, { mode: 'transform', sourceMap: true, sourceUrl: 'mapped.ts' });
  const mappedLines = [...marked(typeScript, 'leak'), ...marked(typeScript, 'caller')];
  const comment = /\n*\/\/# sourceMappingURL=data:[^,]*,(\S+)\s*$/;

  test('in TypeScript, by a source map in the script', async () => {
    writeFileSync(join(scratch, 'inline.mjs'), mapped);
    const report = await auditNode(join(scratch, 'inline.mjs'));
    expect(linesOf(report, join(scratch, 'mapped.ts'))).toContainEqual(mappedLines);
  });

  test('in TypeScript, by a source map beside the script, from another directory', async () => {
    mkdirSync(join(scratch, 'dist'));
    const map = JSON.parse(Buffer.from(comment.exec(mapped)![1]!, 'base64').toString()) as object;
    writeFileSync(join(scratch, 'dist', 'beside.mjs.map'), JSON.stringify({ ...map, sources: ['../src/mapped.ts'] }));
    writeFileSync(
      join(scratch, 'dist', 'beside.mjs'),
      `${mapped.replace(comment, '')}\n//# sourceMappingURL=beside.mjs.map\n`,
    );
    const report = await auditNode(join(scratch, 'dist', 'beside.mjs'));
    expect(linesOf(report, join(scratch, 'src', 'mapped.ts'))).toContainEqual(mappedLines);
  });
});

describe('the line that asked a thread of libuv’s pool is named', () => {
  test.each(readdirSync(requested))('in %s', async (name) => {
    const path = join(requested, name);
    const source = readFileSync(path, 'utf8');
    const report = await auditNode(path);
    const leaks = report.findings.filter(({ object, rule }) => rule === 'leak' && object.name === path);
    expect(leaks.map(({ count, level }) => ({ count, level }))).toEqual([
      { count: name === 'alternating.mjs' ? 100 : 1, level: name === 'alternating.mjs' ? 'error' : 'warning' },
    ]);
    const { opened = [] } = leaks[0]!.stacks;
    const own = opened.filter(({ file, requested: isRequested }) => file === path && isRequested === true);
    expect(own[0]?.line).toBe(marked(source, 'leak')[0]);
    expect(own.map(({ line }) => line)).toEqual(expect.arrayContaining([...marked(source, 'caller')]));
    expect(report.completeness.gaps.map(({ kind }) => kind)).not.toContain('requests-unknown');
  });
});

test('a stream that is left open is a leak, but not who asked for it', async () => {
  const path = join(scratch, 'stream.cjs');
  writeFileSync(
    path,
    "require('fs').createReadStream(__filename, { autoClose: false }).on('open', () => process.exit());",
  );
  const report = await auditNode(path);
  const leaks = report.findings.filter(({ object }) => object.name === path);
  expect(leaks.map(({ rule, level, count }) => ({ rule, level, count }))).toEqual([
    { rule: 'leak', level: 'warning', count: 1 },
  ]);
  expect(report.completeness.gaps).toContainEqual({ kind: 'requests-unknown', count: 1 });
});

describe('an audit with the names of JavaScript', () => {
  /** Holds the logs of these audits alone: others would remove those of an auditor that was killed. */
  let temporary: string;
  beforeEach(() => {
    temporary = mkdtempSync(join(scratch, 'temporary-'));
    vi.stubEnv('TEMP', temporary);
  });
  afterEach(() => vi.unstubAllEnvs());

  test('says what it has added to the arguments, and leaves no log behind', async () => {
    const report = await auditNode(join(programs, 'sync.cjs'));
    expect(report.target.added).toContain('--log-code');
    expect(report.target.command).toEqual([process.execPath, ...report.target.added!, join(programs, 'sync.cjs')]);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('removes the logs of an auditor that was killed, and those of no other', async () => {
    const { pid: dead } = spawnSync(process.execPath, ['-e', '']);
    const [left, used] = [dead, process.pid].map((pid) => mkdtempSync(join(temporary, `unclosed-v8-${pid}-`)));
    await auditNode(join(programs, 'sync.cjs'));
    expect([left, used].map((path) => existsSync(path!))).toEqual([false, true]);
  });

  test('has the program’s function as the site of a leak, and the same fingerprint in each run', async () => {
    const path = join(programs, 'class-method.cjs');
    const reports = [await auditNode(path), await auditNode(path)];
    const leaks = reports.map(({ findings }) => findings.find(({ object }) => object.name === path));
    expect(leaks[0]?.message).toMatch(/opened at get handle \(class-method\.cjs:6\)/);
    expect(leaks[0]?.fingerprint).toBe(leaks[1]?.fingerprint);
  });

  test('is refused for a program that is not Node.js', async () => {
    await expect(audit({ program: 'cmd.exe', javaScript: true })).rejects.toThrow(/known of node\.exe only/);
  });
});
