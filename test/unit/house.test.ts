import { posix } from 'node:path';

import { describe, expect, it } from 'vitest';
import { listFiles, readOwnFile } from './own-files.ts';

/**
 * The house from the ground up: a storey may import those that stand before it. A name is a folder of src or a file in
 * it.
 */
const storeys = [
  'completeness.ts',
  'rules.ts',
  'process-model.ts',
  'model.ts',
  'evidence-model.ts',
  'call-ledger.ts',
  'evidence',
  'user-error.ts',
  'version.ts',
  'text',
  'wine',
  'ffi',
  'io',
  'process',
  'handles',
  'agent',
  'symbols',
  'marks',
  'verify',
  'snapshot',
  'analyze',
  'baseline',
  'report',
  'audit',
  'config',
  'self-test',
  'telemetry',
  'cli',
];

/** The rooms of agent/ from the ground up: a room may import those that stand before it. */
const agentRooms = [
  'tables',
  'ledger',
  'asm',
  'patch',
  'linkage',
  'emit/abi',
  'emit/walk',
  'emit/recorder',
  'emit/hooks',
  'emit/hooks/functions',
  'emit/hooks/runtime-objects',
  'emit',
  'link',
  'inject/gate',
  'inject/locate',
  'inject',
];

/** Storeys that are pure: all that they may import beside themselves. */
const pure: Readonly<Record<string, readonly string[]>> = {
  'completeness.ts': [],
  'rules.ts': [],
  'process-model.ts': [],
  'model.ts': ['completeness.ts', 'rules.ts', 'process-model.ts'],
  'evidence-model.ts': ['model.ts'],
  'call-ledger.ts': ['completeness.ts', 'model.ts', 'evidence-model.ts'],
  evidence: ['call-ledger.ts', 'model.ts', 'evidence-model.ts'],
  analyze: ['completeness.ts', 'rules.ts', 'model.ts', 'evidence-model.ts', 'user-error.ts', 'text'],
  baseline: ['rules.ts', 'model.ts', 'user-error.ts', 'text', 'analyze'],
  config: ['rules.ts', 'model.ts', 'user-error.ts', 'text', 'analyze'],
  // zlib only says how long a text would be: GitHub's limit is one of gzip.
  report: ['completeness.ts', 'rules.ts', 'model.ts', 'text', 'analyze', 'chalk', 'cli-table3', 'node:zlib'],
  'user-error.ts': [],
  text: [],
};

/** Files, beside whole storeys, that users of the library see. */
const publicFiles: ReadonlySet<string> = new Set([
  'model.ts',
  'process-model.ts',
  'completeness.ts',
  'rules.ts',
  'marks/mark.ts',
]);

/** Packages, and the only storeys that may import them. */
const packages: Readonly<Record<string, readonly string[]>> = {
  koffi: ['ffi'],
  commander: ['cli'],
  '@jridgewell/trace-mapping': ['symbols'],
  chalk: ['report', 'cli'],
  'cli-table3': ['report', 'cli'],
  // A peer dependency: whoever imports that file has it.
  vitest: ['verify'],
};

interface SourceFile {
  /** Path below src, with slashes. */
  readonly path: string;
  readonly storey: string;
  readonly text: string;
  /** Its imports, as they are spelt. */
  readonly specifiers: readonly string[];
}

const files: readonly SourceFile[] = listFiles('src', /\.ts$/).map((whole) => {
  const path = whole.slice('src/'.length);
  const text = readOwnFile(whole);
  const specifiers = [
    ...text.matchAll(/^(?:import|export|\})\s(?:[^;'"`]*?\sfrom\s)?'([^']+)'|\bimport\('([^']+)'\)/gm),
  ].map((match) => match[1] ?? match[2] ?? '');
  return { path, storey: path.split('/', 1)[0] ?? '', text, specifiers };
});

/** The storey that an import leads to; a package is its own name. */
function destination({ path }: SourceFile, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier;
  return posix.join(posix.dirname(path), specifier).split('/', 1)[0] ?? '';
}

/** The folder of a file of agent/, without the storey. */
function agentRoom(path: string): string {
  return posix.dirname(path).slice('agent/'.length);
}

describe('the house', () => {
  it('has no storey that is not on the plan', () => {
    expect([...new Set(files.map(({ storey }) => storey))].toSorted()).toEqual([...storeys].toSorted());
  });

  it('was read: every file with an import statement has imports', () => {
    const silent = files.filter(({ text, specifiers }) => /^import\b/m.test(text) && specifiers.length === 0);
    expect(silent.map(({ path }) => path)).toEqual([]);
    expect(files.flatMap(({ specifiers }) => specifiers).length).toBeGreaterThan(200);
  });

  it.each(storeys)('%s imports downwards only', (storey) => {
    const height = storeys.indexOf(storey);
    const upwards = files
      .filter((file) => file.storey === storey)
      .flatMap((file) =>
        file.specifiers
          .filter((each) => each.startsWith('.') && storeys.indexOf(destination(file, each)) > height)
          .map((each) => `${file.path} imports ${each}`),
      );
    expect(upwards).toEqual([]);
  });

  it('has no room in agent/ that is not on the plan', () => {
    const rooms = files.filter(({ storey }) => storey === 'agent').map(({ path }) => agentRoom(path));
    expect([...new Set(rooms)].toSorted()).toEqual([...agentRooms].toSorted());
  });

  it.each(agentRooms)('agent/%s imports downwards only', (room) => {
    const height = agentRooms.indexOf(room);
    const upwards = files
      .filter(({ storey, path }) => storey === 'agent' && agentRoom(path) === room)
      .flatMap((file) =>
        file.specifiers
          .filter((each) => each.startsWith('.') && destination(file, each) === 'agent')
          .filter((each) => agentRooms.indexOf(agentRoom(posix.join(posix.dirname(file.path), each))) > height)
          .map((each) => `${file.path} imports ${each}`),
      );
    expect(upwards).toEqual([]);
  });

  it('has no file that leads back to itself', () => {
    const importsOf = new Map(
      files.map((file) => [
        file.path,
        file.specifiers
          .filter((each) => each.startsWith('.'))
          .map((each) => posix.join(posix.dirname(file.path), each)),
      ]),
    );
    const reached = (from: string): ReadonlySet<string> => {
      const found = new Set<string>();
      for (const queue = [from]; queue.length > 0; ) {
        for (const next of importsOf.get(queue.pop()!) ?? []) {
          if (!found.has(next)) queue.push(next);
          found.add(next);
        }
      }
      return found;
    };
    expect([...importsOf.keys()].filter((path) => reached(path).has(path))).toEqual([]);
  });

  it.each(Object.entries(pure))('%s is pure', (storey, allowed) => {
    const foreign = files
      .filter((file) => file.storey === storey)
      .flatMap((file) =>
        file.specifiers
          .filter((each) => ![storey, ...allowed].includes(destination(file, each)))
          .map((each) => `${file.path} imports ${each}`),
      );
    expect(foreign).toEqual([]);
  });

  it('imports packages in their places only, and no unknown ones', () => {
    const astray = files.flatMap(({ path, storey, specifiers }) =>
      specifiers
        .filter(
          (each) => !each.startsWith('.') && !each.startsWith('node:') && packages[each]?.includes(storey) !== true,
        )
        .map((each) => `${path} imports ${each}`),
    );
    expect(astray).toEqual([]);
  });

  it('spells the extension of every file that it imports', () => {
    const bare = files.flatMap(({ path, specifiers }) =>
      specifiers
        .filter((each) => each.startsWith('.') && !/\.[jt]s$/.test(each))
        .map((each) => `${path} imports ${each}`),
    );
    expect(bare).toEqual([]);
  });

  it('exports nothing without an importer', () => {
    const sources = new Map(
      ['src', 'test', 'bench', 'scripts', 'bin', 'launcher', 'fixtures/matrix']
        .flatMap((folder) => listFiles(folder, /\.[cm]?[jt]s$/))
        .map((path) => [path, readOwnFile(path)]),
    );
    // The names that are imported from each file: by name, or as a member of an import of the whole file.
    const used = new Map<string, Set<string>>();
    for (const [path, text] of sources) {
      for (const [, names = '', static_, dynamic] of text.matchAll(
        /(?:(?:import|export)\s(?:type\s)?([^;'"`]*?)\sfrom\s'(\.[^']+)')|import\('(\.[^']+)'\)/g,
      )) {
        const target = posix.join(posix.dirname(path), (static_ ?? dynamic)!).replace(/^dist\/(.*)\.js$/, 'src/$1.ts');
        const isWhole = dynamic !== undefined || names.includes('*');
        const found = isWhole
          ? [...text.matchAll(/\.(\w+)|\{([^{}]*)\}\s*=\s*await/g)].flatMap(([, member, taken]) =>
              member === undefined ? [...taken!.matchAll(/\w+/g)].map(([name]) => name) : [member],
            )
          : [...names.matchAll(/\w+/g)].map(([name]) => name);
        used.set(target, new Set([...(used.get(target) ?? []), ...found]));
      }
    }
    const { exports } = JSON.parse(readOwnFile('package.json')) as {
      exports: Readonly<Record<string, { readonly types: string }>>;
    };
    const published = Object.values(exports).map(({ types }) => types.replace(/^\.\/dist\/(.*)\.d\.ts$/, '$1.ts'));
    expect(published).toHaveLength(6);
    const unused = files
      // model.ts names every part of the report that audit() gives; registers.ts has all of the processor's.
      .filter(({ path }) => ![...published, 'model.ts'].includes(path) && path !== 'agent/asm/registers.ts')
      .flatMap(({ path, text }) =>
        [...text.matchAll(/^export (?:abstract )?(?:async )?(?:class|function\*?|interface|type|const) (\w+)/gm)]
          .map(([, name]) => name!)
          .filter((name) => used.get(`src/${path}`)?.has(name) !== true)
          .map((name) => `${path} exports ${name}`),
      );
    expect(unused).toEqual([]);
  });

  it('has no drawer for odds and ends', () => {
    expect(
      files
        .filter(({ path }) => /(^|\/)(utils?|helpers?|common|misc|shared)(\/|\.ts$)/.test(path))
        .map(({ path }) => path),
    ).toEqual([]);
  });

  it('has no default export and no enum', () => {
    expect(
      files.filter(({ text }) => /^export default\b|^(export )?(const )?enum\b/m.test(text)).map(({ path }) => path),
    ).toEqual([]);
  });

  it('prints in cli/ only, and never by console or the streams of Node.js', () => {
    // Node.js under Wine dies at the first use of a stream that is a pipe of Linux. cli/screen/terminal.ts uses them on
    // Windows only.
    const touching = files.filter(({ text }) =>
      /^(?!\s*(\*|\/\/|\/\*\*)).*\b(console\.\w+\(|process\.std(out|err)\b)/m.test(text.replace(/`[^`]*`/g, '')),
    );
    expect(touching.map(({ path }) => path)).toEqual(['cli/screen/terminal.ts']);
  });

  it('names no file in a comment that is not there', () => {
    const paths = new Set(files.map(({ path }) => `/${path}`));
    const named = files.flatMap(({ path, text }) =>
      [...text.matchAll(/^\s*(?:\/\/|\/?\*).*/gm)].flatMap(([comment]) =>
        [...comment.matchAll(/(?<![\w./])[a-z][\w-]*(?:\/[\w-]+)+\.ts\b/g)].map(([name]) => ({ path, name })),
      ),
    );
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter(({ name }) => ![...paths].some((path) => path.endsWith(`/${name}`)))).toEqual([]);
  });

  it('has a doc comment for every public symbol', () => {
    const isPublic = ({ path, storey }: SourceFile) => storey === 'io' || storey === 'audit' || publicFiles.has(path);
    const undocumented = files.filter(isPublic).flatMap(({ path, text }) => {
      const lines = text.split('\n');
      return lines.flatMap((line, index) => {
        const name = /^export (?:declare )?(?:abstract )?(?:async )?(?:class|function|interface|type|const) (\w+)/.exec(
          line,
        )?.[1];
        // Overloads and a type of a constant's name share the comment of the first.
        const isFirst =
          name !== undefined &&
          !lines
            .slice(0, index)
            .some((each) => new RegExp(`^export .*\\b(?:class|function|interface|type|const) ${name}\\b`).test(each));
        return isFirst && lines[index - 1]?.endsWith('*/') !== true ? [`${path}: ${name}`] : [];
      });
    });
    expect(undocumented).toEqual([]);
  });
});
