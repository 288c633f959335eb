import { lexer, type Token, type Tokens } from 'marked';
import { describe, expect, it } from 'vitest';

import { makeOddReport } from '../../../../bench/odd-report.js';
import type { Finding, Report } from '../../../../src/model.ts';
import { markdown } from '../../../../src/report/formats/markdown.ts';
import { codeSpan, prose } from '../../../../src/report/markdown/text.ts';
import { randomNumbers } from '../hostile.ts';
import { clean, sample } from '../sample.ts';
import { atHome, everything, listAll } from './everything.ts';

/** All tokens of a text, those within others too. */
function tokensOf(text: string): readonly Token[] {
  const all = (tokens: readonly Token[]): readonly Token[] =>
    tokens.flatMap((token) => [
      token,
      ...all((token as Tokens.Generic).tokens ?? []),
      ...all((token as Tokens.List).items ?? []),
    ]);
  return all(lexer(text));
}

/** HTML that the reporter itself writes. */
const ownHtml = /^(?:<details><summary>Stacks<\/summary>|<\/details>)\s*$/;
const ownTypes: ReadonlySet<string> = new Set([
  'heading',
  'paragraph',
  'text',
  'codespan',
  'code',
  'space',
  'html',
  'list',
  'list_item',
  'strong',
  'em',
  'blockquote',
]);

/** Everything in a text that means more than words. */
function meaningsOf(text: string): readonly string[] {
  return tokensOf(text).flatMap((token) => {
    if (token.type === 'html' && ownHtml.test(token.raw)) return [];
    if (!ownTypes.has(token.type) || token.type === 'html') return [`${token.type}: ${token.raw}`];
    // A mention, a reference to an issue and an address mean something to a forge where they are plain text.
    const isPlain = token.type === 'text' && (token as Tokens.Text).tokens === undefined;
    return isPlain && /[@#<>|`]|:\/\/|www\.|\]\(/.test(token.raw) ? [`plain: ${token.raw}`] : [];
  });
}

const traps: readonly string[] = [
  '`',
  '``',
  '` ` `',
  '```\n',
  'a`b``c',
  '|',
  'a|b',
  '<b>',
  '</details>',
  '<!--',
  '@octocat',
  '@octocat,',
  '#12',
  'GH-12',
  'https://example.org',
  'www.example.org',
  'me@example.org',
  '[x](https://example.org)',
  '![x](y)',
  '[x]: y',
  '*a*',
  '_a_',
  '**',
  '~~a~~',
  '# a',
  '- a',
  '1. a',
  '> a',
  '---',
  '===',
  '\\`',
  '\\',
  '&lt;',
  '&#64;a',
  ':smile:',
  '$x$',
  '~~~',
  '\t',
  ' ',
  '',
  '\u202e',
  '\n\n# a',
  '- [ ] a',
  '[^1]',
  '{{x}}',
  '!5',
  '~label',
  '%3',
  '&2',
];

describe('a name as code', () => {
  it.each(traps)('is code from end to end: %j', (trap) => {
    for (const name of [trap, `a ${trap}`, `${trap} a`, `${trap}${trap}`]) {
      const [paragraph, ...others] = lexer(`x ${codeSpan(name)} y`) as readonly Token[] as readonly [
        Tokens.Paragraph,
        ...Token[],
      ];
      expect(others).toEqual([]);
      expect(
        paragraph.tokens.map(({ type }) => type),
        name,
      ).toEqual(['text', 'codespan', 'text']);
    }
  });
});

describe('a sentence with names in it', () => {
  it('has as code what is more than words', () => {
    expect(prose('3 File handles opened at open_log (log.c:4) are still open; none was closed.')).toBe(
      '3 File handles opened at `open_log (log.c:4)` are still open; none was closed.',
    );
    expect(prose('Event handle 0x38, closed by @me.')).toBe('Event handle `0x38`, closed by `@me`.');
  });

  it('means no more than its words, whatever stands in it', () => {
    const random = randomNumbers(7);
    for (let round = 0; round < 400; round += 1) {
      const words = Array.from({ length: 1 + random(6) }, () => traps[random(traps.length)]! + (random(2) ? '' : 'x'));
      const text = prose(words.join(random(2) === 0 ? ' ' : ''));
      expect(meaningsOf(text), text).toEqual([]);
    }
  });
});

describe('the Markdown report', () => {
  it('says what was found, where, and how it came about', () => {
    const text = markdown(everything, atHome);
    expect(text).toMatch(/^### `unclosed`: 1 error, 1 warning in `app\.exe`\n/);
    expect(text).toContain('\n#### error: `leak` at `src/log file.c:4`\n');
    expect(text).toContain('opened at\n    CreateFileW');
    expect(text).toContain('**The report is incomplete.**');
    expect(text).not.toContain('#### note');
    expect(markdown(everything, listAll)).toContain('#### error (suppressed): `leak`');
    expect(markdown(clean, atHome)).toContain('no leaks and no misused handles in `app.exe`');
  });

  it('is no more than 65,536 characters, and says what it left out', () => {
    const [leak] = everything.findings as readonly [Finding];
    const report: Report = { ...everything, findings: Array.from({ length: 2000 }, () => leak) };
    for (const each of [report, makeOddReport(2000, 100), { ...sample, findings: report.findings }]) {
      const text = markdown(each, listAll);
      expect(text.length).toBeLessThan(65_536);
      expect(text.length).toBeGreaterThan(30_000);
      expect(text).toMatch(/\n_\d+ more findings left out here for lack of room: see the JSON report\._\n$/);
    }
  });

  it('means nothing but what it says, whatever the target is called', () => {
    expect(meaningsOf(markdown(sample, listAll))).toEqual([]);
    expect(meaningsOf(markdown(makeOddReport(400, 30), listAll))).toEqual([]);
    for (const trap of traps) {
      const named: Report = {
        ...everything,
        target: { ...everything.target, command: [`C:\\repo\\${trap}`] },
        findings: everything.findings.map((finding) => ({
          ...finding,
          message: `opened at ${trap} (${trap}:4)`,
          object: { type: trap, name: trap },
          stacks: { opened: [{ module: trap, function: trap, offset: 1, file: `C:\\repo\\${trap}.c`, line: 1 }] },
          ...(finding.suppressedBy === undefined ? {} : { suppressedBy: { ...finding.suppressedBy, line: trap } }),
        })),
        completeness: { complete: false, gaps: [{ kind: 'no-marks', mark: trap }] },
      };
      expect(meaningsOf(markdown(named, listAll)), trap).toEqual([]);
    }
  });
});
