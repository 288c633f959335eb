import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const compiler = join(root, 'node_modules/typescript/bin/tsc');
// Below the project, so that the examples find its dependencies.
const workshop = join(root, 'dist', 'documentation-examples');

const page = readFileSync(join(root, 'docs/ownership-library.md'), 'utf8').replaceAll('\r\n', '\n');
const examples = Array.from(page.matchAll(/^```ts\n(.*?)^```$/gms), ([, source], index) => ({
  name: `example-${index + 1}`,
  source: source!.replaceAll("'unclosed/io'", "'../../src/io/index.ts'"),
}));

beforeAll(() => {
  mkdirSync(workshop, { recursive: true });
  for (const { name, source } of examples) writeFileSync(join(workshop, `${name}.ts`), source);
  const compilerOptions = {
    rootDir: '../..',
    outDir: 'out',
    declaration: false,
    sourceMap: false,
    isolatedDeclarations: false,
  };
  const project = { extends: '../../tsconfig.json', compilerOptions, files: examples.map(({ name }) => `${name}.ts`) };
  writeFileSync(join(workshop, 'tsconfig.json'), JSON.stringify(project));
});

afterAll(() => {
  rmSync(workshop, { recursive: true });
});

describe('docs/ownership-library.md', () => {
  test('has examples, and they compile', () => {
    expect(examples.length).toBeGreaterThanOrEqual(5);
    const { status, stdout, stderr } = spawnSync(process.execPath, [compiler, '-p', workshop], { encoding: 'utf8' });
    expect({ status, output: stdout + stderr }).toEqual({ status: 0, output: '' });
  });

  test.each(examples)('$name runs as it says', ({ name }) => {
    const program = join(workshop, 'out', 'dist', 'documentation-examples', `${name}.js`);
    const { status, stdout, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
    expect({ status, output: stdout + stderr }).toEqual({ status: 0, output: '' });
  });
});
