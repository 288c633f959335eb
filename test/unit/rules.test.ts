import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { demoExpectation, fixtureExpectations } from '../../fixtures/expectations.ts';
import { checks } from '../../src/analyze/index.ts';
import { compareLevels, helpOf, isAtLeast, isRuleName, type Level, ruleNames, rules } from '../../src/rules.ts';

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const documentation = readFileSync(fromRoot('docs/findings.md'), 'utf8');

/** The anchor that a heading of Markdown gets on GitHub and npm. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w -]/g, '')
    .replaceAll(' ', '-');
}

const headings = [...documentation.matchAll(/^## (.+)$/gm)].map(([, heading = '']) => heading);
/** The rows of the first table, by rule: what happened, and the levels. */
const rows = new Map(
  [...documentation.matchAll(/^\| \[`([\w-]+)`\]\((#[\w-]+)\) +\| (.*?) +\| (.*?) +\|$/gm)].map(
    ([, rule, anchor, description, levels]) => [rule, { anchor, description, levels }],
  ),
);

describe('the table of rules', () => {
  it('has a row for each file of analyze/rules/, and no other', () => {
    const files = readdirSync(fromRoot('src/analyze/rules')).map((file) => file.replace(/\.ts$/, ''));
    expect(files.toSorted()).toEqual(ruleNames.toSorted());
  });

  it.each(ruleNames)('binds %s to the check of that rule', (name) => {
    expect(checks[name].rule).toBe(name);
  });

  it.each(ruleNames)('says of %s what the documentation says', (name) => {
    const { description, levels, documentation: link } = rules[name];
    expect(rows.get(name)).toEqual({
      anchor: link.replace('docs/findings.md', ''),
      description,
      levels: levels.join(', '),
    });
  });

  it('has a row for each row of the documentation', () => {
    expect([...rows.keys()].toSorted()).toEqual(ruleNames.toSorted());
  });

  it('has a link for each rule in the README, and each name in the description of the JSON', () => {
    const readme = readFileSync(fromRoot('README.md'), 'utf8');
    expect(ruleNames.filter((name) => !readme.includes(`](${rules[name].documentation})`))).toEqual([]);
    const [row = ''] = /^\| `rule` .*$/m.exec(readFileSync(fromRoot('docs/json.md'), 'utf8')) ?? [];
    expect(ruleNames.filter((name) => !row.includes(`\`${name}\``))).toEqual([]);
  });

  it.each(ruleNames)('leads from %s to its section', (name) => {
    const section = headings.find((heading) => `docs/findings.md#${anchorOf(heading)}` === rules[name].documentation);
    expect(section?.split(' and ')).toContain(name);
  });

  it.each(ruleNames)('has a title, a sentence and a help text for %s', (name) => {
    const { title, description } = rules[name];
    expect(title).toMatch(/^[A-Z][^.]*[^. ]$/);
    expect(description).toMatch(/^[A-Z][^.]*\.$/);
    expect(helpOf(name)).toMatch(
      /^\*\*What it means\.\*\* [A-Z`].*\.\n\n\*\*Why it matters\.\*\* [A-Z`].*\.\n\n\*\*How to fix it\.\*\* [A-Z`].*\.\n$/,
    );
  });

  it.each(ruleNames)('lists the levels of %s once each, the worst first', (name) => {
    const { levels } = rules[name];
    expect(levels).toEqual([...new Set(levels)].toSorted(compareLevels));
  });

  it('allows every level that a fixture expects', () => {
    const expected = [demoExpectation, ...fixtureExpectations].flatMap(({ findings }) => findings);
    expect(expected.length).toBeGreaterThan(0);
    expect(expected.filter(({ rule, level }) => !rules[rule].levels.includes(level))).toEqual([]);
  });

  it('knows its names, and no other', () => {
    expect(ruleNames.every(isRuleName)).toBe(true);
    expect(['', '*', 'Leak', 'toString', '__proto__'].some(isRuleName)).toBe(false);
  });
});

describe('levels', () => {
  it('are ordered from error to note', () => {
    expect((['note', 'error', 'warning'] as Level[]).toSorted(compareLevels)).toEqual(['error', 'warning', 'note']);
  });

  it.each<[Level, Level, boolean]>([
    ['error', 'warning', true],
    ['warning', 'warning', true],
    ['note', 'warning', false],
  ])('%s is at least %s: %s', (level, least, is) => {
    expect(isAtLeast(level, least)).toBe(is);
  });
});
