import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';

import { checkConfig } from '../../../src/config/parse.ts';
import { configShape } from '../../../src/config/shapes.ts';
import { readOwnFile } from '../own-files.ts';
import { toJsonSchema } from './json-schema.ts';

const schema = JSON.parse(readOwnFile('schema/config.schema.json')) as Record<string, unknown>;
const fits = new Ajv({ strict: true, allErrors: true }).compile(schema);

function isAccepted(config: unknown): boolean {
  try {
    checkConfig(config, 'x');
    return true;
  } catch {
    return false;
  }
}

describe('the schema for editors', () => {
  it('is packed, and says what the tool checks', () => {
    expect(schema).toEqual({
      $schema: 'http://json-schema.org/draft-07/schema#',
      title: 'unclosed.config.json',
      ...toJsonSchema(configShape),
    });
    expect((JSON.parse(readOwnFile('package.json')) as { readonly files: readonly string[] }).files).toContain(
      'schema',
    );
  });

  it('has every key of the documentation, and the documentation every key', () => {
    const page = readOwnFile('docs/configuration.md');
    const documented = [...page.matchAll(/^\| `([a-z$]\w*)` /gm)].map(([, key]) => key!);
    expect(documented.toSorted()).toEqual(Object.keys(schema['properties'] as object).toSorted());
  });

  const examples = [...readOwnFile('docs/configuration.md').matchAll(/^```json\n(.*?)^```/gms)].map(
    ([, text]) => JSON.parse(text!) as Record<string, unknown>,
  );

  it('and the tool accept the examples of the documentation', () => {
    expect(examples.length).toBeGreaterThan(1);
    for (const example of examples) {
      const config = example['unclosed'] ?? example;
      expect(fits(config), JSON.stringify(fits.errors)).toBe(true);
      expect(isAccepted(config)).toBe(true);
    }
  });

  it.each<readonly [unknown, boolean]>([
    [{}, true],
    [[], false],
    [null, false],
    ['failOn', false],
    [{ $schema: './schema.json' }, true],
    [{ failOn: 'never' }, true],
    [{ failOn: 'off' }, false],
    [{ failon: 'never' }, false],
    [{ requireComplete: false }, true],
    [{ requireComplete: 'yes' }, false],
    [{ exitCodePolicy: 'program-first' }, true],
    [{ exitCodePolicy: 'both' }, false],
    [{ leaksBySection: true }, true],
    [{ leaksBySection: 1 }, false],
    [{ rules: { leak: 'off', inherited: 'error' } }, true],
    [{ rules: { leek: 'off' } }, false],
    [{ rules: { leak: 2 } }, false],
    [{ rules: [] }, false],
    [{ baseline: 'a' }, true],
    [{ baseline: '' }, false],
    [{ baseline: null }, false],
    [{ suppressions: [{ match: 'leak:a', reason: 'r' }] }, true],
    [{ suppressions: [{ match: 'leak:a', reason: 'r', expires: '2027-01-31' }] }, true],
    [{ suppressions: [{ match: 'leak:a#b', reason: 'issue #1 # x' }] }, true],
    [{ suppressions: [{ match: 'leak:a # b', reason: 'r' }] }, false],
    [{ suppressions: [{ match: 'leak:a\nleak:b', reason: 'r' }] }, false],
    [{ suppressions: [{ match: 'leak', reason: 'r' }] }, false],
    [{ suppressions: [{ match: '#leak:a', reason: 'r' }] }, false],
    [{ suppressions: [{ match: 'leak:a' }] }, false],
    [{ suppressions: [{ match: 'leak:a', reason: ' ' }] }, false],
    [{ suppressions: [{ match: 'leak:a', reason: 'r', expires: 'soon' }] }, false],
    [{ suppressions: ['leak:a'] }, false],
    [{ suppressionFiles: ['a', 'b'] }, true],
    [{ suppressionFiles: 'a' }, false],
    [{ reporters: ['table', 'json=a.json'] }, true],
    [{ symbols: ['pdb'] }, true],
    [{ symbols: [''] }, false],
    [{ include: { modules: ['a*.dll'], processes: [] }, exclude: {} }, true],
    [{ exclude: { files: ['a'] } }, false],
    [{ warmUp: 0, quarantine: 1, maxHandles: 1024 }, true],
    [{ warmUp: -1 }, false],
    [{ warmUp: 1.5 }, false],
    [{ quarantine: 0 }, false],
    [{ quarantine: 65537 }, false],
    [{ history: 32, notes: true, only: ['a.exe'], skip: [] }, true],
    [{ history: 0 }, false],
    [{ history: 33 }, false],
    [{ notes: 1 }, false],
    [{ only: 'a.exe' }, false],
    [{ skip: [''] }, false],
    [{ settle: '500ms' }, true],
    [{ settle: '500' }, false],
    [{ settle: 500 }, false],
    [{ __proto__: null, constructor: 1 }, false],
    [JSON.parse('{ "__proto__": 1 }'), false],
  ])('and the tool agree on %j', (config, expected) => {
    expect([fits(config), isAccepted(config)]).toEqual([expected, expected]);
  });
});
