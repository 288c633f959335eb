import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { SourceLines } from '../../../src/cli/source-lines.ts';
import { isWine } from '../../../src/ffi/ntdll.ts';
import { openTargetFile } from '../../../src/process/target-file.ts';
import { runOnLinux } from '../wine/on-linux.ts';

const MEBIBYTE = 1 << 20;
let directory: string;

beforeAll(() => {
  // Below the working directory, which is on drive Z: under Wine: the drive on which Linux's files are.
  mkdirSync('fixtures/build', { recursive: true });
  directory = mkdtempSync(join(process.cwd(), 'fixtures/build/sources-'));
});
afterAll(async () => {
  if (isWine) await runOnLinux('rm -f "$1"', join(directory, 'fifo'));
  rmSync(directory, { recursive: true, force: true });
});

function write(name: string, content: string | Buffer): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

const read = (path: string) => new SourceLines([]).read(path);

describe('the lines of a source file', () => {
  it.each([
    ['with line feeds', 'a\nb\n', ['a', 'b', '']],
    ['with carriage returns', 'a\r\nb\r\n', ['a', 'b', '']],
    ['with a byte order mark', '\ufeffa\nb', ['a', 'b']],
    ['without an end of its last line', 'a\nb', ['a', 'b']],
  ])('%s', (name, content, expected) => {
    const path = write(`${name}.c`, content);
    expect(read(path)).toEqual(expected);
    expect(read(relative(process.cwd(), path))).toEqual(expected);
  });

  it('end where the file ends: a line beyond is not there', () => {
    expect(read(write('short.c', 'a\nb'))?.[1000]).toBeUndefined();
  });

  it('are read once, whatever happens to the file afterwards', () => {
    const lines = new SourceLines([]);
    const path = write('gone.c', 'a');
    expect(lines.read(path)).toEqual(['a']);
    rmSync(path);
    expect(lines.read(path)).toEqual(['a']);
  });
});

describe('no lines come from', () => {
  it.each([
    ['a file that is missing', () => join(directory, 'missing.c')],
    ['a directory', () => directory],
    ['an empty file', () => write('empty.c', '')],
    ['a file that is too large', () => sparse('large.c', 16 * MEBIBYTE + 1)],
    ['another machine', () => '//host.invalid/share/x.c'],
    ['a device', () => 'NUL'],
  ])('%s', (_, makePath) => {
    expect(read(makePath())).toBeUndefined();
  });

  it.runIf(isWine).each([
    ['a FIFO', makeFifo],
    ['a device of Linux', () => 'Z:\\dev\\zero'],
    ['a file of Linux without a size', () => 'Z:\\proc\\self\\status'],
  ])('%s', async (_, makePath) => {
    const path = await makePath();
    expect(read(path)).toBeUndefined();
    expect(openTargetFile(path, { sizeBytesMax: MEBIBYTE })).toBeUndefined();
  });

  it('more files than a report can need', () => {
    const lines = new SourceLines([]);
    const paths = Array.from({ length: 17 }, (_, index) => sparse(`many-${index}.c`, 16 * MEBIBYTE));
    expect(paths.filter((path) => lines.read(path) !== undefined)).toHaveLength(16);
  });
});

function sparse(name: string, sizeBytes: number): string {
  const path = write(name, '');
  truncateSync(path, sizeBytes);
  return path;
}

async function makeFifo(): Promise<string> {
  const path = join(directory, 'fifo');
  // Windows neither sees nor removes it.
  await runOnLinux('rm -f "$1"; mkfifo "$1"', path);
  return path;
}
