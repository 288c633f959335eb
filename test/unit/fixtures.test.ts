import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import {
  type ExpectedFinding,
  type ExpectedFunction,
  type FixtureExpectation,
  sourceFile,
} from '../../fixtures/expectations/expectation.ts';
import { demoExpectation, fixtureExpectations } from '../../fixtures/expectations.ts';

const folder = fileURLToPath(new URL('../../fixtures', import.meta.url));
const all = [...fixtureExpectations, demoExpectation];

/** Stacks that a finding of each rule must have. A `leak` has the siblings' stack when there are any. */
const stacksOfRule: Readonly<Record<string, readonly string[]>> = {
  leak: ['opened'],
  'double-close': ['closed', 'offending', 'opened'],
  'use-after-close': ['closed', 'offending', 'opened'],
  'stale-close': ['closed', 'offending', 'opened', 'victim'],
  'invalid-close': ['offending'],
  'invalid-use': ['offending'],
  'wrong-closer': ['offending', 'opened'],
  'wrong-type': ['offending', 'opened'],
  'protected-close': ['offending', 'opened'],
  inherited: ['offending', 'opened'],
};

function readSource(fileName: string): string {
  return readFileSync(join(folder, fileName), 'utf8');
}

/** A program's source with the headers that it includes from its own folder. */
function readWhole(fileName: string): string {
  const text = readSource(fileName);
  const headers = [...text.matchAll(/^#include "([\w-]+\.h)"$/gm)].map((match) => readWhole(match[1] ?? ''));
  return [...headers, text].join('\n');
}

function listFunctions(expected: ExpectedFunction | undefined): readonly string[] {
  if (expected === undefined) return [];
  return typeof expected === 'string' ? [expected] : expected;
}

function listAllFunctions(finding: ExpectedFinding): readonly string[] {
  const { opened, closed, offending, victim, siblingsClosed } = finding.stacks;
  return [opened, closed, offending, victim, siblingsClosed].flatMap(listFunctions);
}

/** The source of a finding's functions: the program's, or that of the library that it loads. */
function sourceOf(expectation: FixtureExpectation, { module }: ExpectedFinding): string {
  return readWhole(module === undefined ? sourceFile(expectation) : module.replace(/\.dll$/, '.c'));
}

test('every program has exactly one entry in the table', () => {
  const programs = [
    ...readdirSync(folder).filter((name) => name.endsWith('.c') && !name.endsWith('-library.c')),
    ...readdirSync(join(folder, 'languages')).flatMap((name) => (name === 'planted.rs' ? [] : [`languages/${name}`])),
  ];
  expect(all.map(sourceFile).toSorted()).toEqual(programs.toSorted());
});

describe.each(all)('$program', (expectation) => {
  const source = readWhole(sourceFile(expectation));

  test('says in its first lines what it does', () => {
    expect(readSource(sourceFile(expectation))).toMatch(/^\/\/ [A-Z]/);
  });

  test('has a clean twin unless there is nothing to make clean', () => {
    const hasTwin = /\bCLEAN\b/.test(readSource(sourceFile(expectation)));
    expect(hasTwin).toBe(expectation.hasNoTwin !== true);
    if (expectation !== demoExpectation && !hasTwin) expect(expectation.findings).toEqual([]);
  });

  test('does not lack a function that the table names', () => {
    for (const finding of expectation.findings) {
      const text = sourceOf(expectation, finding);
      for (const name of listAllFunctions(finding)) {
        const own = name.replace(/^.*::/, '');
        expect(text).toMatch(new RegExp(`^[\\w &()*]+\\b${own}\\([^;]*{$`, 'm'));
      }
    }
  });

  test('has the stacks that the rules of its findings need', () => {
    for (const { rule, stacks } of expectation.findings) {
      expect(
        Object.keys(stacks)
          .filter((name) => name !== 'siblingsClosed')
          .toSorted(),
      ).toEqual(stacksOfRule[rule]);
    }
  });

  test('prints the rules and object types that the table expects, and no others', () => {
    if (expectation === demoExpectation) return;
    const texts = new Set([source, ...expectation.findings.map((finding) => sourceOf(expectation, finding))]);
    const printed = [...texts].flatMap((text) =>
      [
        ...text.matchAll(
          /(?:planted\(|printf\(")"?(leak|[\w-]+-close|[\w-]+-use|wrong-closer|wrong-type|inherited)(?:", "| )(\w+)/g,
        ),
      ].map(([, rule, type]) => `${rule} ${type}`),
    );
    const expected = expectation.findings.map(({ rule, objectType }) => `${rule} ${objectType}`);
    // The system may or may not refuse a close of -1; see the program.
    const conditional = expectation.program === 'closes-invalid-handle-value' ? ['invalid-close Unknown'] : [];
    expect([...new Set(printed)].toSorted()).toEqual([...new Set([...expected, ...conditional])].toSorted());
  });
});
