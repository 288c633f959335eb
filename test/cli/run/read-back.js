// Reports as others read them: by parsers and validators that are not this project's.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { parse as parseCsv } from 'csv-parse/sync';
import { lexer } from 'marked';
import { parse as parseHtml } from 'parse5';
import { SaxesParser } from 'saxes';

const require = createRequire(import.meta.url);
// The schema of OASIS' standard, in the last draft of JSON Schema that it was written for: Ajv reads a later one.
const {
  $schema: _draft,
  id: _id,
  ...sarifSchema
} = JSON.parse(readFileSync(require.resolve('@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json'), 'utf8'));
const sarifAjv = new Ajv({ allErrors: true, strict: false, unicodeRegExp: false });
formats.default(sarifAjv);
const validateSarif = sarifAjv.compile(sarifSchema);
const reportSchema = JSON.parse(readFileSync(new URL('../../../schema/report.schema.json', import.meta.url), 'utf8'));
const validateReport = new Ajv2020({ allErrors: true, strict: false }).compile(reportSchema);

/**
 * How many findings each format has, as its reader counts them. A text that is not what the format asks for throws.
 *
 * @type {Readonly<Record<string, (text: string) => number>>}
 */
export const readers = {
  json: (text) => parseValid(validateReport, text).findings.length,
  ndjson(text) {
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    return lines.filter(({ kind }) => kind === 'finding').length;
  },
  sarif: (text) => parseValid(validateSarif, text).runs[0].results.length,
  junit(text) {
    let failures = 0;
    const parser = new SaxesParser();
    parser.on('error', (error) => {
      throw error;
    });
    parser.on('opentag', ({ name }) => {
      if (name === 'failure') failures += 1;
    });
    parser.write(text).close();
    return failures;
  },
  gitlab: (text) => JSON.parse(text).length,
  csv: (text) => parseCsv(text, { columns: true, record_delimiter: '\r\n' }).length,
  markdown: (text) => lexer(text).filter((token) => token.type === 'heading' && token.depth === 4).length,
  html(text) {
    /** @type {string[]} */
    const errors = [];
    const document = parseHtml(text, { onParseError: ({ code }) => errors.push(code) });
    assert.deepEqual(errors, []);
    return countCards(document);
  },
  folded(text) {
    for (const line of text.trimEnd().split('\n')) assert.match(line, /^[^;]+(?:;[^;]+)* \d+$/);
    return text.trimEnd().split('\n').length;
  },
};

/**
 * @param {any} node
 * @returns {number} how many articles are in it
 */
function countCards(node) {
  const within = (node.childNodes ?? []).reduce(
    (/** @type {number} */ sum, /** @type {any} */ each) => sum + countCards(each),
    0,
  );
  return within + (node.tagName === 'article' ? 1 : 0);
}

/**
 * @param {import('ajv').ValidateFunction} validate
 * @param {string} text
 * @returns {any} the value of a JSON document that its schema holds for
 */
function parseValid(validate, text) {
  const value = JSON.parse(text);
  const isValid = validate(value);
  assert.ok(isValid, JSON.stringify(validate.errors));
  return value;
}
