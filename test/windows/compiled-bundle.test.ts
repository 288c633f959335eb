import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The bundle's first line, with which what was compiled of it begins too. */
const LINE_SIZE_BYTES = '// \n'.length + 64;

// A copy of the tool, where it still finds koffi.
let copy: string;

beforeEach(() => {
  copy = mkdtempSync(join(root, 'fixtures/build/bundle-'));
  for (const part of ['package.json', 'bin/windows.cjs', 'bundle'])
    cpSync(join(root, part), join(copy, part), { recursive: true });
});

afterEach(() => rmSync(copy, { recursive: true }));

function help(): string {
  const { stdout, stderr, status } = spawnSync(process.execPath, [join(copy, 'bin/windows.cjs'), '--help'], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

function compiled(): string {
  const name = readdirSync(join(copy, 'bundle')).find((each) => each.endsWith('.compiled'));
  expect(name).toBe(`unclosed-${process.versions.v8}.compiled`);
  return join(copy, 'bundle', name!);
}

describe('what V8 compiled of the bundle', () => {
  it('is not believed of another build, not even of one as long', () => {
    const bundle = join(copy, 'bundle/unclosed.js');
    const other = readFileSync(bundle, 'utf8').replaceAll('Finds the handles', 'FINDS THE HANDLES');
    writeFileSync(bundle, other.replace(/^\/\/ [0-9a-f]{64}\n/, `// ${'0'.repeat(64)}\n`));
    expect(help()).toContain('FINDS THE HANDLES');
  });

  it.each([
    ['missing', () => rmSync(compiled())],
    ['empty', () => truncateSync(compiled(), 0)],
    ['cut off', () => truncateSync(compiled(), 100_000)],
    [
      'of another version of V8',
      () => writeFileSync(compiled(), readFileSync(compiled()).fill(0, LINE_SIZE_BYTES + 4, LINE_SIZE_BYTES + 8)),
    ], // version hash
  ])('may be %s', (_, damage) => {
    damage();
    expect(help()).toContain('Finds the handles');
  });
});
