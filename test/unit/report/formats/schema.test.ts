import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';

import { mayHideFindings } from '../../../../src/completeness.ts';
import { json } from '../../../../src/report/formats/json.ts';
import type { Report } from '../../../../src/model.ts';
import { ruleNames } from '../../../../src/rules.ts';
import { makeOddReport } from '../../../../bench/odd-report.js';
import { readOwnFile } from '../../own-files.ts';
import { clean, sample } from '../sample.ts';
import { everything, listAll, whole } from './everything.ts';

interface Schema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly $defs?: Readonly<Record<string, Schema>>;
}

const schema = JSON.parse(readOwnFile('schema/report.schema.json')) as Schema & Readonly<Record<string, unknown>>;
const validate = new Ajv2020({ allErrors: true, strict: true, strictRequired: false }).compile(schema);

function faultsOf(report: Report): unknown {
  return validate(JSON.parse(whole(json(report, listAll)))) ? [] : validate.errors;
}

/** The members that a schema names, by their paths, and for which of them a document has a value. */
function membersOf(node: Schema, value: unknown, path: string, members: Map<string, boolean>): void {
  if (node.$ref !== undefined) {
    const name = node.$ref.replace('#/$defs/', '');
    membersOf(schema.$defs![name]!, value, name, members);
    return;
  }
  for (const each of node.oneOf ?? []) {
    const { kind } = each.properties ?? {};
    const kinds = kind?.enum ?? [kind?.const];
    if (kinds.includes((value as { kind?: unknown } | undefined)?.kind)) membersOf(each, value, path, members);
  }
  for (const [key, member] of Object.entries(node.properties ?? {})) {
    const inside = (value as Readonly<Record<string, unknown>> | undefined)?.[key];
    const name = `${path}.${key}`;
    members.set(name, members.get(name) === true || inside !== undefined);
    if (inside !== undefined) membersOf(member, inside, name, members);
  }
  if (node.items !== undefined && Array.isArray(value)) {
    for (const each of value) membersOf(node.items, each, `${path}[]`, members);
  }
}

describe('the schema of the JSON report', () => {
  it('holds for a report with every member, and each of its members is in that report', () => {
    expect(faultsOf(everything)).toEqual([]);
    const members = new Map<string, boolean>();
    membersOf(schema, JSON.parse(whole(json(everything, listAll))), 'report', members);
    expect(members.size).toBeGreaterThan(90);
    expect([...members].filter(([, isThere]) => !isThere).map(([name]) => name)).toEqual([]);
  });

  it.each([
    ['with nothing in it', clean],
    ['of a real kind', sample],
  ])('holds for a report %s', (_, report) => {
    expect(faultsOf(report)).toEqual([]);
  });

  it('holds whatever the target is called', () => {
    expect(faultsOf(makeOddReport(100, 20))).toEqual([]);
  });

  it.each([
    ['at the top', []],
    ['in a finding', ['findings', '0']],
    ['in a frame', ['findings', '0', 'stacks', 'opened', '0']],
    ['in a gap', ['completeness', 'gaps', '0']],
    ['in the figures', ['stats']],
  ])('refuses a key that it does not know %s', (_, path) => {
    const document: unknown = JSON.parse(whole(json(everything, listAll)));
    expect(validate(document)).toBe(true);
    const place = path.reduce(
      (value, key) => value[key] as Record<string, unknown>,
      document as Record<string, unknown>,
    );
    place['extra'] = 1;
    expect(validate(document)).toBe(false);
  });

  it('has the rules and the kinds of gaps, and no others', () => {
    const { finding, gap } = schema.$defs!;
    expect(finding!.properties!['rule']!.enum).toEqual(ruleNames);
    const kinds = gap!.oneOf!.flatMap(({ properties }) => properties!['kind']!.enum ?? [properties!['kind']!.const]);
    expect(kinds.toSorted()).toEqual(Object.keys(mayHideFindings).toSorted());
  });
});
