// Every format, for a report with every odd character in its names. `npm run bench:reporters` has the large one.
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';

import { makeOddReport } from '../../../../bench/odd-report.js';
import { json } from '../../../../src/report/formats/json.ts';
import { reporterNames, reporters } from '../../../../src/report/index.ts';
import { encodePieces } from '../../../../src/text/pieces.ts';
import { readOwnFile } from '../../own-files.ts';
import { atHome, everything, listAll, whole } from './everything.ts';

const report = makeOddReport(400, 100);

/** Characters that a terminal would obey, and that no format needs. */
const unwanted = /(?![\r\n])[\p{Cc}\p{Cf}\p{Cs}]/u;

describe('a report of odd names', () => {
  it.each(reporterNames)('is text that a terminal and an editor can show: %s', (name) => {
    for (const options of [atHome, listAll]) {
      const text = whole(reporters[name](report, { ...options, colorLevel: 0 }));
      expect(unwanted.exec(text)?.[0].codePointAt(0)).toBeUndefined();
      expect(text.endsWith('\n')).toBe(true);
    }
  });

  it.each(reporterNames)('is the same as bytes: %s', (name) => {
    const text = whole(reporters[name](report, listAll));
    const parts = Array.from(encodePieces(reporters[name](report, listAll)), (part) => Buffer.from(part));
    expect(Buffer.concat(parts).equals(Buffer.from(text))).toBe(true);
  });

  it('is a JSON document that its schema holds for, and that JSON.stringify would write', () => {
    const text = whole(json(report, listAll));
    const document: unknown = JSON.parse(text);
    const validate = new Ajv2020({ strict: false }).compile(JSON.parse(readOwnFile('schema/report.schema.json')));
    expect(validate(document) ? [] : validate.errors).toEqual([]);
    const expected = `${JSON.stringify(document, undefined, 2)}\n`;
    const lines = text.split('\n').map((line) => /^ */.exec(line)![0].length);
    expect(lines).toEqual(expected.split('\n').map((line) => /^ */.exec(line)![0].length));
    const plain = whole(json(everything, listAll));
    expect(plain).toBe(`${JSON.stringify(JSON.parse(plain), undefined, 2)}\n`);
  });
});

describe('pieces of a text as bytes', () => {
  it('are the text, whatever the lengths of the pieces', () => {
    const long = '€'.repeat(400_000);
    for (const pieces of [
      ['a', '', 'b'],
      [long, 'x', long],
      Array.from({ length: 3000 }, () => 'é'.repeat(700)),
      'text',
    ]) {
      const parts = Array.from(encodePieces(pieces), (part) => Buffer.from(part));
      expect(Buffer.concat(parts).toString()).toBe(whole(pieces));
      expect(parts.every((part) => part.length > 0)).toBe(true);
    }
  });
});
