import { describe, expect, it } from 'vitest';

import { parseConfig } from '../../../src/config/parse.ts';
import { UserError } from '../../../src/user-error.ts';

const parse = (text: string): unknown => parseConfig(text, 'unclosed.config.json');

describe('a configuration', () => {
  it('is what it says, without the place of its schema', () => {
    expect(parse('{ "$schema": "./x.json", "failOn": "error", "rules": { "leak": "off" } }')).toEqual({
      failOn: 'error',
      rules: { leak: 'off' },
    });
  });

  it('may have line ends of Windows and a byte order mark', () => {
    expect(parse('\uFEFF{\r\n  "failOn": "note"\r\n}\r\n')).toEqual({ failOn: 'note' });
  });

  it.each([
    ['an unknown key', '{ "failon": "error" }', 'there is the unknown key "failon". Try failOn.'],
    ['a key that is near none', '{ "zzz": 1 }', /unknown key "zzz"\. Try failOn, requireComplete, /],
    ['a key with swapped letters', '{ "baesline": "x" }', 'Try baseline.'],
    [
      'an unknown key within',
      '{ "rules": { "use-after-closed": "off" } }',
      'rules has the unknown key "use-after-closed". Try use-after-close.',
    ],
    ['an unknown level', '{ "rules": { "leak": "warn" } }', 'rules.leak is "warn". Try warning.'],
    ['an unknown level that is near none', '{ "failOn": "x" }', 'failOn is "x". Try error, warning, note, never.'],
    ['a text for a flag', '{ "followChildren": "true" }', 'followChildren is "true". Try true or false.'],
    ['a number that is too small', '{ "maxHandles": 1 }', 'maxHandles is 1. Try a whole number from 1024 to 16777216.'],
    ['one name for a list', '{ "symbols": "pdb" }', 'symbols is "pdb". Try a list: […].'],
    ['a list for an object', '{ "exclude": ["a.dll"] }', 'exclude is a list. Try an object: {…}.'],
    ['an entry of a list', '{ "reporters": ["table", 7] }', 'reporters[1] is 7. Try a text.'],
    [
      'a suppression without a reason',
      '{ "suppressions": [{ "match": "leak:a" }] }',
      'suppressions[0] has no "reason". Try "reason": "…".',
    ],
    [
      'a day that is none',
      '{ "suppressions": [{ "match": "leak:a", "reason": "r", "expires": "2027-02-30" }] }',
      'suppressions[0].expires is "2027-02-30", which is no day. Try a text like "2027-01-31".',
    ],
    ['a list alone', '[]', '"unclosed.config.json": is a list. Try an object: {…}.'],
    ['an escape sequence, without obeying it', '{ "\\u001b[2J": 1 }', 'unknown key "\\u001b[2J"'],
    ['a value of any length, in short', `{ "failOn": "${'x'.repeat(1000)}" }`, /failOn is "x{59}…\. Try/],
  ])('is refused for %s', (_, text, message) => {
    expect(() => parse(text)).toThrow(UserError);
    expect(() => parse(text)).toThrow(/^Cannot use configuration "unclosed\.config\.json": .* Try .*\.$/);
    expect(() => parse(text)).toThrow(message);
  });

  it.each([
    ['{\n  "failOn": "error",\n}', /^Cannot use configuration "unclosed\.config\.json": line 3 is no valid JSON \(/],
    ['{\n  "failOn":', /: line 2 is no valid JSON \(Unexpected end/],
    ['', /: line 1 is no valid JSON \(/],
    ['{ a }', /: line 1 is no valid JSON \(/],
    ['{\n  "failOn":\n  error,\n  "x": []\n}', /: line 3 is no valid JSON \(Unexpected token 'e'/],
    ['{\n  "rules": {\n    "leak": trux\n  }\n}\n\n', /: line 3 is no valid JSON \(/],
  ])('that is no JSON is refused: %j', (text, message) => {
    expect(() => parse(text)).toThrow(message);
  });
});
