import { describe, expect, it } from 'vitest';
import { escapeJson, escapeText } from '../../../src/text/escape.ts';
import { hostileText, randomNumbers } from '../report/hostile.ts';

describe('escaped text', () => {
  it.each([
    ['an escape sequence', '\x1b[2J', '\\x1b[2J'],
    ['an eight-bit escape sequence', '\x9b2J', '\\x9b2J'],
    ['line feeds, returns and tabs', 'a\r\n\tb', 'a\\r\\n\\tb'],
    ['NUL and DEL', '\0\x7f', '\\x00\\x7f'],
    ['a change of direction', 'a\u202eb', 'a\\u{202e}b'],
    ['what is invisible', 'a\u200b\ufeff\u00adb', 'a\\u{200b}\\u{feff}\\xadb'],
    ['a lone surrogate', '\ud800', '\\u{d800}'],
    ['line and paragraph separators', '\u2028\u2029', '\\u{2028}\\u{2029}'],
    ['a space that is none', '\u00a0', '\\xa0'],
    ['a private code point', '\uf03a', '\\u{f03a}'],
  ])('shows %s', (_what, text, escaped) => {
    expect(escapeText(text)).toBe(escaped);
  });

  it.each(['C:\\Users\\me\\a file.log', 'größe.txt', '漢字', '😀', 'HKLM\\Software', ''])(
    'leaves %j as it is',
    (text) => {
      expect(escapeText(text)).toBe(text);
    },
  );

  it('can be ASCII only', () => {
    expect(escapeText('größe 😀', true)).toBe('gr\\xf6\\xdfe \\u{1f600}');
  });

  it('is printable, one line, and the same when escaped again, whatever the text', () => {
    const random = randomNumbers(1);
    for (let round = 0; round < 2000; round += 1) {
      const escaped = escapeText(hostileText(random), round % 2 === 0);
      expect(escaped).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      expect(escapeText(escaped, round % 2 === 0)).toBe(escaped);
    }
  });
});

describe('escaped JSON', () => {
  it('parses to the same value and holds nothing that a terminal obeys or hides', () => {
    const random = randomNumbers(2);
    for (let round = 0; round < 2000; round += 1) {
      const text = hostileText(random);
      const escaped = escapeJson(JSON.stringify(text));
      expect(JSON.parse(escaped)).toBe(text);
      expect(escaped).not.toMatch(/[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u);
    }
  });

  it('keeps the line feeds between values', () => {
    const json = JSON.stringify({ name: '\u202e', other: ['a'] }, undefined, 2);
    expect(escapeJson(json).split('\n')).toHaveLength(json.split('\n').length);
  });
});
