import { readFileSync } from 'node:fs';

import { describe, expect, it, test } from 'vitest';

import { matrix, shapes } from '../../fixtures/matrix/cases.mjs';
import { judge } from '../../fixtures/matrix/verdict.mjs';

const rules = [...new Set(matrix.map(({ rule }) => rule))];
const resources = [...new Set(matrix.map(({ resource }) => resource))];
const bad = matrix.filter(({ form }) => form === 'bad');

describe('the matrix', () => {
  it('has programs enough, each with a name of its own', () => {
    expect(matrix.length).toBeGreaterThanOrEqual(150);
    expect(new Set(matrix.map(({ name }) => name)).size).toBe(matrix.length);
  });

  it('has every misuse in every shape', () => {
    const cells = rules.flatMap((rule) => shapes.map((shape) => `${rule} ${shape}`));
    const present = new Set(bad.map(({ rule, shape }) => `${rule} ${shape}`));
    expect(cells.filter((cell) => !present.has(cell))).toEqual([]);
  });

  it('has every resource in every shape', () => {
    const cells = resources.flatMap((resource) => shapes.map((shape) => `${resource} ${shape}`));
    const present = new Set(bad.map(({ resource, shape }) => `${resource} ${shape}`));
    expect(cells.filter((cell) => !present.has(cell))).toEqual([]);
  });

  it('has every resource leaked', () => {
    expect(new Set(bad.filter(({ rule }) => rule === 'leak').map(({ resource }) => resource))).toEqual(
      new Set(resources),
    );
  });

  it('excuses a miss only in the words of docs/limits.md', () => {
    const text = readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8').replace(/\s+/g, ' ');
    const excuses = [...new Set(matrix.flatMap(({ limit }) => limit ?? []))];
    expect(excuses.filter((limit) => !text.includes(limit))).toEqual([]);
  });

  it('has a good form of every bad one, and a truth of the bad one only', () => {
    const names = new Set(matrix.map(({ name }) => name));
    expect(bad.filter(({ name }) => !names.has(name.replace(/-bad$/, '-good')))).toEqual([]);
    expect(bad.length * 2).toBe(matrix.length);
    expect(matrix.filter(({ form, truth }) => (form === 'bad') !== (truth !== undefined))).toEqual([]);
  });

  it('has bad and good forms that differ', () => {
    const sources = new Map(matrix.map(({ name, source, library }) => [name, code(source) + code(library ?? '')]));
    expect(bad.filter(({ name }) => sources.get(name) === sources.get(name.replace(/-bad$/, '-good')))).toEqual([]);
  });

  it('names functions that the program or its DLL has', () => {
    const missing = bad.flatMap(({ name, source, library, truth }) =>
      Object.values(truth?.stacks ?? {}).filter(({ module, function: place }) => {
        const text = module === `${name}.dll` ? library : source;
        const own = place.slice(place.lastIndexOf(':') + 1);
        return text === undefined || !new RegExp(`^[\\w *()]*(?<!\\w)${own}\\([^;]*\\{$`, 'm').test(text);
      }),
    );
    expect(missing).toEqual([]);
  });

  it('says in its good forms nothing of mistakes', () => {
    expect(
      matrix.filter(
        ({ form, source, library }) => form === 'good' && /planted\(|puts\("leak/.test(source + (library ?? '')),
      ),
    ).toEqual([]);
  });

  it('has a sample with every rule and every shape, both forms of each', () => {
    const sample = matrix.filter(({ isSample }) => isSample);
    expect(new Set(sample.map(({ rule }) => rule))).toEqual(
      new Set(bad.filter(({ limit }) => limit === undefined).map(({ rule }) => rule)),
    );
    expect(sample.filter(({ limit }) => limit !== undefined)).toEqual([]);
    expect(new Set(sample.map(({ shape }) => shape))).toEqual(new Set(shapes));
    expect(sample.filter(({ form }) => form === 'bad').length * 2).toBe(sample.length);
  });
});

/** The text without its comments, which differ between the forms of a program. */
function code(text: string): string {
  return text.replace(/^ *\/\/.*$/gm, '');
}

describe('a report', () => {
  const program = {
    ...matrix[0]!,
    name: 'x',
    rule: 'double-close',
    form: 'bad' as const,
    limit: undefined,
    truth: {
      rule: 'double-close',
      atLeast: 'error' as const,
      atMost: 'error' as const,
      objectType: 'Event',
      count: 2,
      stacks: { offending: { module: 'x.dll', function: 'finish' } },
    },
  };
  const output = 'double-close Event 0x44\r\ndouble-close Event 0x48\r\n';
  const frames = [
    { module: 'ntdll.dll', system: true as const },
    { module: 'x.dll', function: 'finish' },
    { module: 'x.exe', function: 'main' },
  ];
  const finding = {
    rule: 'double-close',
    level: 'error' as const,
    count: 2,
    object: { type: 'Event' },
    handles: ['0x44', '0x48'],
    stacks: { offending: frames },
  };
  const report = { findings: [finding], target: { exitCode: 0 }, completeness: { complete: true, gaps: [] } };

  test('that says what is true is a true positive', () => {
    expect(judge(program, report, output)).toEqual({ outcome: 'true positive', falsePositives: [], complaints: [] });
    const native = { ...finding, handles: [0x44n, 0x48n] };
    expect(judge(program, { ...report, findings: [native] }, output).outcome).toBe('true positive');
  });

  test.each([
    ['of another rule', { rule: 'use-after-close' }],
    ['of a lower level', { level: 'warning' as const }],
    ['of another number', { count: 1 }],
    ['of another object', { object: { type: 'File' } }],
    ['of another value', { handles: ['0x4c'] }],
    ['in another function', { stacks: { offending: frames.toSpliced(1, 1) } }],
    ['without the stack', { stacks: {} }],
  ])('with a finding %s misses the truth and says what is not true', (_, change) => {
    const { outcome, falsePositives, complaints } = judge(
      program,
      { ...report, findings: [{ ...finding, ...change }] },
      output,
    );
    expect({ outcome, falsePositives }).toEqual({
      outcome: 'false negative',
      falsePositives: ['rule' in change ? change.rule : 'double-close'],
    });
    expect(complaints.join('\n')).toMatch(/^missed: error double-close Event × 2, offending at x\.dll!finish\n/);
  });

  test('that says it twice is half false', () => {
    expect(judge(program, { ...report, findings: [finding, { ...finding }] }, output)).toMatchObject({
      outcome: 'true positive',
      falsePositives: ['double-close'],
    });
  });

  test('with a note only misses the truth, and accuses no code', () => {
    const note = { ...finding, level: 'note' as const };
    expect(judge(program, { ...report, findings: [note] }, output)).toMatchObject({
      outcome: 'false negative',
      falsePositives: [],
    });
  });

  test('of a good form must have nothing above a note', () => {
    const good = { ...program, form: 'good' as const, truth: undefined };
    expect(judge(good, { ...report, findings: [{ ...finding, level: 'note' as const }] }, '')).toEqual({
      outcome: 'true negative',
      falsePositives: [],
      complaints: [],
    });
    const accused = judge(good, report, '');
    expect(accused.outcome).toBeUndefined();
    expect(accused.falsePositives).toEqual(['double-close']);
    expect(judge(good, { ...report, findings: [{ ...finding, rule: 'leak' }] }, '')).toMatchObject({
      outcome: 'true negative',
      falsePositives: ['leak'],
    });
  });

  test('of what docs/limits.md excuses is a known miss, a complaint once it is found, and no licence to accuse', () => {
    const excused = { ...program, limit: 'It cannot be known.' };
    expect(judge(excused, { ...report, findings: [] }, output)).toEqual({
      outcome: 'known miss',
      falsePositives: [],
      complaints: [],
    });
    expect(judge(excused, { ...report, findings: [{ ...finding, level: 'warning' as const }] }, output)).toEqual({
      outcome: 'known miss',
      falsePositives: [],
      complaints: [],
    });
    expect(judge(excused, report, output).complaints).toHaveLength(1);
    expect(judge(excused, { ...report, findings: [{ ...finding, rule: 'leak' }] }, output)).toMatchObject({
      outcome: 'known miss',
      falsePositives: ['leak'],
    });
  });

  test.each([
    ['ended badly', { target: { exitCode: 99 } }, output, /ended with 99/],
    [
      'was not seen whole',
      { completeness: { complete: false, gaps: [{ kind: 'names-timed-out' }] } },
      output,
      /incomplete: names-timed-out/,
    ],
    ['did not do what the truth says', {}, 'double-close Event 0x44\n', /made 1 mistakes, and the truth says 2/],
  ])('of a program that %s is complained of', (_, change, printed, complaint) => {
    expect(judge(program, { ...report, ...change }, printed).complaints.join('\n')).toMatch(complaint);
  });
});
