import { existsSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

const description = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as {
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
  readonly files: readonly string[];
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
};

/** Folders of dist that are not packed. */
const leftOut = description.files.filter((each) => /^!dist\/[\w-]+$/.test(each)).map((each) => `${each.slice(1)}/`);

/** Every module that a module leads to, and what these import from outside of dist. */
function follow(entry: string): { readonly modules: readonly string[]; readonly imports: readonly string[] } {
  const modules = new Set<string>();
  const imports = new Set<string>();
  for (const queue = [entry]; queue.length > 0; ) {
    const path = queue.pop()!;
    if (modules.has(path)) continue;
    modules.add(path);
    const text = readFileSync(`${root}/${path.replace(/^dist/, 'src').replace(/\.js$/, '.ts')}`, 'utf8');
    const specifiers = text.matchAll(/^(?:import|export|\})\s(?:[^;'"`]*?\sfrom\s)?'([^']+)'|\bimport\('([^']+)'\)/gm);
    for (const [, named, dynamic] of specifiers) {
      const specifier = named ?? dynamic ?? '';
      if (specifier.startsWith('.')) queue.push(posix.join(posix.dirname(path), specifier.replace(/\.ts$/, '.js')));
      else imports.add(specifier);
    }
  }
  return { modules: [...modules], imports: [...imports] };
}

// The query helper is started by its path, so that no import leads to it.
const entries = [
  ...Object.values(description.exports).map((each) => each.default.replace('./', '')),
  'dist/handles/query/query-helper-main.js',
];

describe('the package', () => {
  it('leaves out of dist what the bundle has, and what only the documentation’s test needs', () => {
    expect(leftOut).toEqual(['dist/cli/', 'dist/self-test/', 'dist/documentation-examples/']);
  });

  it.each(entries)('%s leads to packed modules only', (entry) => {
    const { modules } = follow(entry);
    expect(modules.length).toBeGreaterThan(0);
    expect(modules.filter((path) => leftOut.some((folder) => path.startsWith(folder)))).toEqual([]);
  });

  it.each(entries)('%s needs declared dependencies only', (entry) => {
    const foreign = follow(entry).imports.filter((each) => !each.startsWith('node:'));
    const declared = { ...description.dependencies, ...description.peerDependencies };
    expect(foreign.filter((each) => !(each in declared))).toEqual([]);
  });

  it('has types beside every export', () => {
    for (const { types, default: module } of Object.values(description.exports)) {
      expect(types).toBe(module.replace(/\.js$/, '.d.ts'));
      expect(existsSync(`${root}/${module}`)).toBe(true);
    }
  });
});
