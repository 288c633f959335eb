// The program that changes the code: the changes that it makes, and that changed modules run.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { listChanges } from '../../scripts/mutants/changes.js';
import { compile, Modules } from '../../scripts/mutants/modules.js';

const directory = mkdtempSync(join(tmpdir(), 'unclosed-mutants-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe('a program is changed', () => {
  it.each<[code: string, changed: readonly string[]]>([
    ['if (a) b();', ['if (true) b();', 'if (false) b();']],
    ['x = a < b;', ['x = a <= b;', 'x = a >= b;']],
    ['x = a && b;', ['x = a || b;']],
    ['x = a?.b;', ['x = a.b;']],
    ['x = !a;', ['x = a;']],
    ['x = "a" + b;', ['x = "" + b;']],
    ['x = true;', ['x = false;']],
    ['x = a.some(f);', ['x = a.every(f);']],
    ['x = a.filter(f).length;', ['x = a.length;']],
    ['x = [a];', ['x = [];']],
    ['x = () => a;', ['x = () => undefined;']],
    ['function f() { g(); }', ['function f() {}']],
    ['x = /^a$/;', ['x = /a$/;', 'x = /^a/;']],
    ['import { a } from "b";', []],
  ])('%s', (code, changed) => {
    const all = listChanges(code).map(
      ({ start, end, replacement }) => code.slice(0, start) + replacement + code.slice(end),
    );
    expect(all).toEqual(changed);
  });
});

describe('a module', () => {
  const write = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  const part = write(
    'part.ts',
    'export const limit: number = 2;\nexport function twice(n: number) { return n * 2; }\n',
  );
  const main = write(
    'main.ts',
    `import { limit, twice as double } from './part.ts';
import given from 'given';
export { limit } from './part.ts';
export class Box { readonly size = double(limit) + given; }
export function loop(): void { for (;;) double(1); }
`,
  );
  const read = async (): Promise<Modules> => {
    const modules = new Modules({ given: { default: 10 } });
    await modules.read(main);
    return modules;
  };
  const sizeOf = ({ Box }: Record<string, unknown>) => new (Box as new () => { readonly size: number })().size;

  it('runs with what it imports, and says which functions run', async () => {
    const modules = await read();
    const hits: string[] = [];
    const names = modules.run(main, new Map(), undefined, (id) => void hits.push(id));
    expect([names['limit'], sizeOf(names)]).toEqual([2, 14]);
    expect(hits).toEqual([expect.stringContaining('part.ts')]);
    expect([...modules.reach(main)]).toEqual([main, part]);
  });

  it('runs with a change in another one', async () => {
    const modules = await read();
    const { code } = modules.get(part);
    const change = listChanges(code).find(({ kind }) => kind === 'operator')!;
    const changed = { path: part, body: compile(part, code, change) };
    expect(sizeOf(modules.run(main, new Map(), changed, () => {}))).toBe(11);
    expect(sizeOf(modules.run(main, new Map(), undefined, () => {}))).toBe(14);
  });

  it('does not loop without end', async () => {
    const modules = await read();
    const { loop } = modules.run(main, new Map(), undefined, () => {});
    modules.beginTest(1000);
    expect(loop).toThrow('a loop without end');
  });
});
