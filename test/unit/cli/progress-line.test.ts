import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';

import { openProgressLine } from '../../../src/cli/screen/progress-line.ts';
import { write } from '../../../src/cli/screen/terminal.ts';
import { hostVariable } from '../../../src/wine/host.ts';

const directory = mkdtempSync(join(tmpdir(), 'unclosed-progress-'));
const screen = join(directory, 'screen');
const environment = { ...process.env };
/** Makes room below the cursor, notes where it is, and goes there. */
const BEGIN = '\x1bD\x1b[A\x1b7\r\n';
const ERASE = '\r\x1b[K';
/** Erases the line, and goes back. */
const END = `${ERASE}\x1b8`;

/** A file takes the place of a terminal of 40 columns. */
function useTerminal(variables: Readonly<Record<string, string>> = {}): void {
  const stderr = { columns: 40, colorDepth: 8, path: screen };
  Object.assign(process.env, { TERM: 'xterm-256color' }, variables);
  process.env[hostVariable] = JSON.stringify({ wine: 'wine-8.0', launch: '1', stderr });
}

const shown = (): string => readFileSync(screen, 'utf8');

beforeEach(() => writeFileSync(screen, ''));
afterEach(() => {
  process.env = { ...environment };
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('a line of progress', () => {
  it('appears when the work takes more than a second, and not at each note', () => {
    useTerminal();
    let nowMs = 0;
    using line = openProgressLine(() => nowMs);
    for (const ms of [0, 400, 999]) {
      nowMs = ms;
      line.note('reading', 'app.exe');
    }
    expect(shown()).toBe('');
    for (const ms of [1000, 1001, 1100, 2300]) {
      nowMs = ms;
      line.note('reading', 'app.exe');
    }
    expect(shown()).toBe(`${BEGIN}unclosed: reading of app.exe, 1 s …${ERASE}unclosed: reading of app.exe, 2 s …`);
  });

  it('is erased before any other output, which goes on where the program left the cursor', () => {
    useTerminal();
    let nowMs = 0;
    using line = openProgressLine(() => nowMs);
    line.note('reading symbols');
    nowMs = 1500;
    line.note('reading symbols');
    write(2, 'unclosed: interrupted\n');
    expect(shown()).toBe(`${BEGIN}unclosed: reading symbols, 1 s …${END}unclosed: interrupted\n`);
  });

  it.each([
    { title: 'the work is over', end: (line: ReturnType<typeof openProgressLine>) => line.note(undefined) },
    { title: 'it is disposed of', end: (line: ReturnType<typeof openProgressLine>) => line[Symbol.dispose]() },
  ])('vanishes when $title', ({ end }) => {
    useTerminal();
    let nowMs = 0;
    const line = openProgressLine(() => nowMs);
    line.note('reading symbols');
    nowMs = 1500;
    line.note('reading symbols');
    end(line);
    expect(shown().endsWith(` …${END}`)).toBe(true);
    const before = shown();
    end(line);
    expect(shown()).toBe(before);
  });

  it('never leaves its row of the terminal, and shows no name as it is', () => {
    useTerminal();
    let nowMs = 0;
    using line = openProgressLine(() => nowMs);
    line.note('reading symbols');
    nowMs = 1500;
    line.note('reading symbols', `\x1b[31m\n${'long'.repeat(30)}`);
    const [, text = ''] = shown().split(BEGIN);
    expect(text).toMatch(/^[ -~]+…$/);
    expect(text).toHaveLength(39);
  });

  it.each([
    { title: 'where stderr is no terminal', prepare: () => {} },
    { title: 'on a dumb terminal', prepare: () => useTerminal({ TERM: 'dumb' }) },
  ])('never appears $title', ({ prepare }) => {
    prepare();
    let nowMs = 0;
    using line = openProgressLine(() => nowMs);
    line.note('reading symbols');
    nowMs = 5000;
    line.note('reading symbols');
    expect(shown()).toBe('');
  });
});
