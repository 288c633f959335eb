import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import type { Command } from 'commander';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { reporterNames } from '../../../src/report/index.ts';
import { loadProgram } from '../../../src/cli/program.ts';
import { parseCall, unknownOptions } from './command-lines.ts';

const read = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), 'utf8').replaceAll('\r\n', '\n');

interface Block {
  readonly language: string;
  readonly text: string;
}

const blocks: readonly Block[] = ['README.md', 'docs/ci.md'].flatMap((path) =>
  Array.from(read(path).matchAll(/^```(\w+)\n(.*?)^```$/gms), ([, language = '', text = '']) => ({ language, text })),
);
const documents = blocks.filter(({ language }) => language === 'yaml').map(({ text }) => parse(text) as unknown);
const action = parse(read('action.yml')) as {
  readonly inputs: Readonly<Record<string, object>>;
  readonly outputs: Readonly<Record<string, object>>;
};

/** Every map in a document of YAML. */
function maps(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  if (typeof value !== 'object' || value === null) return [];
  const inner = Object.values(value).flatMap(maps);
  return Array.isArray(value) ? inner : [value as Readonly<Record<string, unknown>>, ...inner];
}

/** Every text in a document of YAML. */
function texts(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(texts) : [];
}

let program: Command;
beforeAll(async () => {
  program = await loadProgram();
});

describe('the examples for builds', () => {
  it('are YAML for GitHub, GitLab and Azure Pipelines, and a script for Jenkins', () => {
    expect(documents).toHaveLength(5);
    expect(blocks.filter(({ language }) => language === 'groovy')).toHaveLength(1);
  });

  it('have options of unclosed that exist only', () => {
    const scripts = blocks.filter(({ language }) => language !== 'yaml').flatMap(({ text }) => text.split('\n'));
    const lines = [...scripts, ...documents.flatMap(texts).flatMap((text) => text.split('\n'))].filter((line) =>
      /\bunclosed (?:run|attach|init|watch)\b/.test(line),
    );
    expect(lines.length).toBeGreaterThan(12);
    for (const line of lines) {
      const call = parseCall(program, line);
      expect(call.command.name(), line).not.toBe('unclosed');
      expect(unknownOptions(call), line).toEqual([]);
      for (const [, name = ''] of line.matchAll(/--reporter[ =](\w+)/g)) expect(reporterNames, line).toContain(name);
    }
  });

  it('give the action inputs that it has, and read outputs that it has', () => {
    const steps = documents.flatMap(maps).filter(({ uses }) => uses === './tools/unclosed');
    expect(steps).toHaveLength(1);
    for (const step of steps) {
      expect(Object.keys(action.inputs)).toEqual(expect.arrayContaining(Object.keys(step['with'] as object)));
      const written = JSON.stringify(documents).matchAll(/steps\.unclosed\.outputs\.([\w-]+)/g);
      const names = Array.from(written, ([, name]) => name);
      expect(names.length).toBeGreaterThan(0);
      expect(Object.keys(action.outputs)).toEqual(expect.arrayContaining(names));
    }
  });

  it('say of each input and output of the action what it is', () => {
    const page = read('docs/ci.md');
    const names = [...Object.keys(action.inputs), ...Object.keys(action.outputs)];
    expect(names.filter((name) => !new RegExp(`^\\|[^|]*\`${name}\``, 'm').test(page))).toEqual([]);
  });

  it('use actions of the versions that run on Node.js 24', () => {
    const used = documents.flatMap(maps).flatMap(({ uses }) => (typeof uses === 'string' ? [uses] : []));
    const published = [
      'actions/checkout@v6',
      'actions/setup-node@v6',
      'actions/cache@v5',
      'actions/upload-artifact@v7',
      'github/codeql-action/upload-sarif@v4',
      './tools/unclosed',
    ];
    expect([...new Set(used)].toSorted()).toEqual(published.toSorted());
  });

  it('put no expression of GitHub into a script', () => {
    const scripts = documents.flatMap(maps).flatMap(({ run }) => (typeof run === 'string' ? [run] : []));
    expect(scripts.length).toBeGreaterThan(5);
    expect(scripts.filter((script) => script.includes('${{'))).toEqual([]);
  });
});
