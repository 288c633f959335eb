import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { readWork, withoutInputs } from '../../action/inputs.js';

interface Step {
  readonly id?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly shell?: string;
  readonly if?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Action {
  readonly inputs: Readonly<Record<string, { readonly description: string; readonly default?: string }>>;
  readonly outputs: Readonly<Record<string, { readonly description: string; readonly value: string }>>;
  readonly runs: { readonly using: string; readonly steps: readonly Step[] };
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const text = readFileSync(`${root}/action.yml`, 'utf8');
const { inputs, outputs, runs } = parse(text) as Action;
const { steps } = runs;

/** All expressions of a value, without their braces; the conditions of steps need none. */
function expressions(value: unknown): readonly string[] {
  return [...JSON.stringify(value).matchAll(/\$\{\{(.*?)\}\}|"if":"(.*?)"/g)].map(
    (match) => match[1] ?? match[2] ?? '',
  );
}

function named(kind: RegExp, value: unknown): readonly string[] {
  return [
    ...new Set(expressions(value).flatMap((each) => [...each.matchAll(kind)].map(([, name]) => name!))),
  ].toSorted();
}

describe('action.yml', () => {
  it('is a composite action with a description of each input and output', () => {
    expect(runs.using).toBe('composite');
    for (const { description } of [...Object.values(inputs), ...Object.values(outputs)])
      expect(description).toMatch(/\.$/);
  });

  it('puts no expression into a script, where a value could become a command', () => {
    const scripts = steps.flatMap(({ run }) => (run === undefined ? [] : [run]));
    expect(scripts.length).toBeGreaterThan(3);
    expect(scripts.filter((script) => script.includes('${{'))).toEqual([]);
  });

  it('says the shell of each script', () => {
    expect(steps.filter(({ run, shell }) => run !== undefined && shell !== 'bash')).toEqual([]);
  });

  it('uses the inputs that it declares, all of them and no others', () => {
    expect(named(/\binputs\.([\w-]+)/g, steps)).toEqual(Object.keys(inputs).toSorted());
  });

  it('uses outputs of steps that are before it', () => {
    const written = /\bsteps\.([\w-]+)\.outputs/g;
    steps.forEach((step, index) => {
      const before = steps.slice(0, index).map(({ id }) => id);
      for (const id of named(written, step)) expect(before).toContain(id);
    });
    expect(named(written, outputs)).toEqual(['run']);
  });

  it('uses actions of versions that run on Node.js 24, which is all that GitHub has', () => {
    expect(steps.flatMap(({ uses }) => uses ?? [])).toEqual([
      'actions/setup-node@v6',
      'actions/cache@v5',
      'github/codeql-action/upload-sarif@v4',
    ]);
  });

  it('passes every input of the run on by the environment, under the name that is read', () => {
    const env = steps.find(({ id }) => id === 'run')?.env ?? {};
    const read = new Set<string>();
    const spy = new Proxy<Record<string, string>>(
      { ACTION_PROGRAM: 'app.exe' },
      {
        get: (target, name) => {
          read.add(String(name));
          return target[String(name)];
        },
      },
    );
    readWork(spy);
    const passed = Object.entries(env).filter(([, value]) => value.includes('inputs.'));
    expect(passed.map(([name]) => name).toSorted()).toEqual([...read].toSorted());
    for (const [name, value] of passed)
      expect(value).toBe(`\${{ inputs.${name.slice('ACTION_'.length).toLowerCase().replaceAll('_', '-')} }}`);
  });
});

describe('the command line that the action makes', () => {
  it('has the reports of every run, and the program behind --', () => {
    const { args, reports } = readWork({ ACTION_PROGRAM: 'build/tests.exe' });
    const paths = Object.values(reports).map((path) => path.replaceAll('\\', '/'));
    expect(paths).toEqual(['json', 'sarif', 'html'].map((name) => `unclosed-report/unclosed.${name}`));
    expect(args.slice(0, 3)).toEqual(['run', '--reporter=table', '--reporter=github']);
    expect(args.slice(-2)).toEqual(['--', 'build/tests.exe']);
  });

  it('has one argument for each value, whatever is in it', () => {
    const hostile = '$(touch owned); `id` && "x" | ${{ github.token }} --json';
    const { args } = readWork({
      ACTION_PROGRAM: hostile,
      ACTION_ARGUMENTS: `--quick\n\n${hostile}\r\n--last`,
      ACTION_CONFIG: `--no-config ${hostile}`,
      ACTION_BASELINE: 'known.baseline',
      ACTION_FAIL_ON: 'error',
      ACTION_EXIT_CODE_POLICY: 'program-first',
      ACTION_REQUIRE_COMPLETE: 'true',
      ACTION_REPORTERS: 'junit=unclosed.xml\nmarkdown=comment.md',
      ACTION_OPTIONS: '--quarantine',
    });
    expect(args.slice(args.indexOf('--') + 1)).toEqual([hostile, '--quick', hostile, '--last']);
    expect(args.slice(6, args.indexOf('--'))).toEqual([
      '--reporter=junit=unclosed.xml',
      '--reporter=markdown=comment.md',
      `--config=--no-config ${hostile}`,
      '--baseline=known.baseline',
      '--fail-on=error',
      '--exit-code-policy=program-first',
      '--require-complete',
      '--quarantine',
    ]);
  });

  it.each([
    { title: 'no program', environment: {}, message: /input program is needed/ },
    {
      title: 'a flag that is neither true nor false',
      environment: { ACTION_PROGRAM: 'app.exe', ACTION_REQUIRE_COMPLETE: 'yes' },
      message: /require-complete is yes/,
    },
  ])('is refused with $title', ({ environment, message }) => {
    expect(() => readWork(environment)).toThrow(message);
  });

  it('keeps the inputs out of the environment of the program', () => {
    expect(withoutInputs({ ACTION_PROGRAM: 'app.exe', PATH: '/bin' })).toEqual({ PATH: '/bin' });
  });
});
