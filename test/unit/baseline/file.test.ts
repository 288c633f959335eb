import { describe, expect, it } from 'vitest';

import { toEntry } from '../../../src/baseline/entries.ts';
import { compareEntries, parseBaseline, printBaseline } from '../../../src/baseline/file.ts';
import { UserError } from '../../../src/user-error.ts';
import { randomEntries, randomFindings, tries } from './made-up.ts';

const header = '# unclosed baseline 1';
const first = 'double-close 00000000000000aa 3 Event: CloseHandle < app.exe!shut';
const second = 'leak 77b97fc1011732e6 2 File: CreateFile < app.exe!open_log # issue 812';
const parse = (...lines: readonly string[]): ReturnType<typeof parseBaseline> =>
  parseBaseline(lines.join('\n'), 'x.baseline');

describe('a baseline', () => {
  it('has a finding on each line: rule, fingerprint, count, site and a remark', () => {
    expect(parse(header, first, second)).toEqual([
      { rule: 'double-close', fingerprint: '00000000000000aa', count: 3, site: 'Event: CloseHandle < app.exe!shut' },
      {
        rule: 'leak',
        fingerprint: '77b97fc1011732e6',
        count: 2,
        site: 'File: CreateFile < app.exe!open_log',
        remark: 'issue 812',
      },
    ]);
  });

  it('has a count of handles in each iteration for a site that grows with them', () => {
    const [entry] = parse(header, 'leak 77b97fc1011732e6 2/iteration Event: x');
    expect(entry).toMatchObject({ count: 2, perIteration: true });
  });

  it('is written in the order of its lines, whatever the order of the entries', () => {
    const [one, other] = parse(header, second, first);
    const text = printBaseline([one!, other!]);
    expect(text.split('\n').slice(1)).toEqual([first, second, '']);
    expect(printBaseline([other!, one!])).toBe(text);
  });

  it('is the same after it was written and read', () => {
    for (const random of tries(300)) {
      const entries = randomEntries(random);
      expect(parseBaseline(printBaseline(entries), 'x')).toEqual(entries.toSorted(compareEntries));
    }
  });

  it('is the same with the names of a hostile target in it, in plain ASCII', () => {
    for (const random of tries(300)) {
      const entries = randomFindings(random).map(toEntry).toSorted(compareEntries);
      const text = printBaseline(entries);
      expect(text).toMatch(/^[\n\x20-\x7e]*$/);
      expect(parseBaseline(text, 'x')).toEqual(entries);
    }
  });

  it.each([
    ['line ends of Windows', [header, first, second, ''].join('\r\n')],
    ['a byte order mark', `\uFEFF${[header, first, second].join('\n')}`],
    [
      'empty lines, and more space between the words',
      `${header}\n\n  ${first.replaceAll(' ', '  ').replaceAll(' <  ', '< ')}\t\n\n${second}\n\n`,
    ],
    ['another text behind the version', `${header}: my words\n${first}\n${second}`],
  ])('may have %s', (_, text) => {
    expect(parseBaseline(text, 'x').map(({ fingerprint }) => fingerprint)).toEqual([
      '00000000000000aa',
      '77b97fc1011732e6',
    ]);
  });

  it.each([
    ['nothing', [''], 1, 'a baseline begins with "# unclosed baseline 1"'],
    ['another file', ['{ "findings": [] }'], 1, 'a baseline begins with'],
    ['no header', [first], 1, 'a baseline begins with'],
    ['a version of the future', ['# unclosed baseline 2: …'], 1, 'its version is 2, and this unclosed knows 1'],
    ['a version that only begins like one', ['# unclosed baseline 1x'], 1, 'a baseline begins with'],
    ['the beginning of a conflict', [header, first, '<<<<<<< HEAD', second], 3, 'a conflict of a merge stands here'],
    ['the middle of a conflict', [header, '=======', first], 2, 'a conflict of a merge'],
    ['the base of a conflict', [header, '||||||| 0c1d', first], 2, 'a conflict of a merge'],
    ['the end of a conflict', [header, first, '>>>>>>> topic'], 3, 'a conflict of a merge'],
    ['a conflict that begins the file', ['<<<<<<< HEAD', header], 1, 'a conflict of a merge'],
    ['a comment of its own', [header, '# mine', first], 2, 'a comment has no line of its own'],
    [
      'half a line',
      [header, first, 'leak 77b97fc1011732e6 2'],
      3,
      'an entry has a rule, a fingerprint, a count and a site',
    ],
    ['a rule that there is not', [header, second.replace('leak', 'leek')], 2, 'there is no rule "leek". Try leak.'],
    ['a fingerprint cut short', [header, second.replace('e6 ', ' ')], 2, '"77b97fc1011732" is no fingerprint'],
    ['a fingerprint in capitals', [header, second.replace('b97f', 'B97F')], 2, 'is no fingerprint'],
    ['no count', [header, second.replace(' 2 ', ' two ')], 2, '"two" is no count. Try 1, or 1/iteration.'],
    ['a count of nothing', [header, second.replace(' 2 ', ' 0 ')], 2, '"0" is no count'],
    ['a count below nothing', [header, second.replace(' 2 ', ' -2 ')], 2, '"-2" is no count'],
    ['a count beyond all measure', [header, second.replace(' 2 ', ` ${'9'.repeat(16)} `)], 2, 'is no count'],
    ['another unit', [header, second.replace(' 2 ', ' 2/run ')], 2, '"2/run" is no count'],
    ['no site before the remark', [header, 'leak 77b97fc1011732e6 2 # issue'], 2, 'the site is missing'],
    ['the same finding twice', [header, second, first, second], 4, 'it has the fingerprint of line 2'],
    ['text that is not UTF-8', [header, first, '\uFFFD'], 3, 'it has the character U+FFFD'],
    ['UTF-16', ['#\0 \0u\0'], 1, 'it has the character U+0000'],
    ['an escape sequence', [header, `${first}\x1b[2J`], 2, 'it has the character U+001B'],
    ['a line without an end', [header, first, `leak ${'x'.repeat(5000)}`], 3, 'it is longer than 4096 characters'],
  ])('is refused for %s, with the number of the line', (_, lines, lineNumber, why) => {
    const refusal = (): unknown => parse(...lines);
    expect(refusal).toThrow(UserError);
    expect(refusal).toThrow(`Cannot use baseline "x.baseline": line ${lineNumber}: `);
    expect(refusal).toThrow(why);
    expect(refusal).toThrow(/ Try .*\.$/);
  });

  it('that was damaged anywhere is refused with a line, or is another baseline', () => {
    const damages: readonly ((text: string, at: number, random: (limit: number) => number) => string)[] = [
      (text, at) => text.slice(0, at),
      (text, at) => text.slice(0, at) + text.slice(at + 1),
      (text, at, random) => text.slice(0, at) + String.fromCharCode(random(0x250)) + text.slice(at + 1),
      (text, at, random) => text.slice(0, at) + text.slice(random(text.length)),
      (text, at) => `${text.slice(0, at)}\n${text.slice(at)}`,
    ];
    let refused = 0;
    for (const random of tries(2000)) {
      const text = printBaseline(randomEntries(random));
      const damaged = damages[random(damages.length)]!(text, random(text.length), random);
      try {
        const entries = parseBaseline(damaged, 'x');
        expect(parseBaseline(printBaseline(entries), 'x')).toEqual(entries.toSorted(compareEntries));
      } catch (error) {
        refused++;
        expect(error).toBeInstanceOf(UserError);
        expect((error as Error).message).toMatch(/^Cannot use baseline "x": line \d+: .* Try .*\.$/);
      }
    }
    expect(refused).toBeGreaterThan(500);
  });

  it('may be large, but not larger than anything that a person reviews', () => {
    const line = (index: number): string => `leak ${index.toString(16).padStart(16, '0')} 1 x`;
    const lines = Array.from({ length: 100_001 }, (_, index) => line(index));
    expect(parse(header, ...lines.slice(1))).toHaveLength(100_000);
    expect(() => parse(header, ...lines)).toThrow('line 100002: there are more than 100000 entries');
  });
});
