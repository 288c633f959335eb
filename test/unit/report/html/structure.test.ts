import { createHash } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import type { Report } from '../../../../src/model.ts';
import { html } from '../../../../src/report/formats/html.ts';
import type { ReportOptions } from '../../../../src/report/reporter.ts';
import { makeHostile, randomNumbers } from '../hostile.ts';
import { clean, readSource, sample } from '../sample.ts';
import { type ParsedPage, parsePage, selectIn } from './parsed-page.ts';
import { accepted, empty, makeLarge, runs, tree } from './reports.ts';

const plain: ReportOptions = { colorLevel: 0, columns: 80, readSource, baseDirectory: 'Z:/WORK/rotate' };
const everything: ReportOptions = { ...plain, showNotes: true, showSuppressed: true };

const seeds = Array.from({ length: 12 }, (_, index) => index + 1);
const pages: readonly (readonly [title: string, report: Report, options: ReportOptions])[] = [
  ['findings of every level', sample, everything],
  ['errors and warnings alone', sample, plain],
  ['no findings', clean, plain],
  ['nothing at all', empty, everything],
  ['accepted findings', accepted, everything],
  ['several processes', tree, everything],
  ['several runs', runs, everything],
  ['whole stacks', sample, { ...everything, showSystemFrames: true, showAll: true }],
  ['nothing outside of ASCII', accepted, { ...everything, ascii: true }],
  ['more findings than cards', makeLarge(150, 30), plain],
  ...seeds.map((seed) => {
    const report = [sample, accepted, tree, runs][seed % 4]!;
    return [`hostile names ${seed}`, makeHostile(report, randomNumbers(seed)), everything] as const;
  }),
];

function draw(report: Report, options: ReportOptions): string {
  return html(report, options);
}

/** Every id that an attribute names. */
function references({ all }: ParsedPage): readonly string[] {
  return all.flatMap(({ attributes }) => [
    ...(attributes['href'] === undefined ? [] : [attributes['href'].slice(1)]),
    ...['aria-labelledby', 'for'].flatMap((name) => attributes[name]?.split(' ') ?? []),
  ]);
}

describe.each(pages)('a page with %s', (_title, report, options) => {
  const text = draw(report, options);
  const page = parsePage(text);
  const ids = page.all.flatMap(({ attributes }) => attributes['id'] ?? []);

  it('is read without an error, and every element of it begins and ends', () => {
    expect(page.errors).toEqual([]);
    expect(page.all.filter(({ isBalanced }) => !isBalanced).map(({ tag }) => tag)).toEqual([]);
    expect(text.startsWith('<!DOCTYPE html>\n')).toBe(true);
    expect(text.endsWith('</html>\n')).toBe(true);
  });

  it('has no id twice, and every reference leads to one', () => {
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
    expect(references(page).filter((id) => !ids.includes(id))).toEqual([]);
  });

  it('has no handler, no style of an element, no address, and nothing that would be loaded', () => {
    const names = new Set(page.all.flatMap(({ attributes }) => Object.keys(attributes)));
    expect([...names].filter((name) => /^on|^style$|^src|^xlink|^action$|^formaction$|^data$/.test(name))).toEqual([]);
    expect(
      page.all.flatMap(({ attributes }) => attributes['href'] ?? []).filter((href) => !/^#[\w-]+$/.test(href)),
    ).toEqual([]);
    const tags = new Set(page.all.map(({ tag }) => tag));
    expect(
      ['link', 'img', 'iframe', 'object', 'embed', 'form', 'base', 'image', 'use'].filter((tag) => tags.has(tag)),
    ).toEqual([]);
  });

  it('allows by its policy nothing but its own style sheet and script', () => {
    const policy = page.select('meta').find(({ attributes }) => attributes['http-equiv'] === 'Content-Security-Policy');
    const hash = (tag: string): string => {
      const [element, ...others] = page.select(tag);
      expect(others).toEqual([]);
      return `sha256-${createHash('sha256')
        .update(element?.text ?? '')
        .digest('base64')}`;
    };
    expect(policy?.attributes['content']).toBe(
      `default-src 'none'; style-src '${hash('style')}'; script-src '${hash('script')}'; base-uri 'none'; form-action 'none'`,
    );
  });

  it('has a language, a title, one main part, and headings without a gap', () => {
    expect(page.attributes['lang']).toBe('en');
    expect(page.select('title')[0]?.text).not.toBe('');
    expect(page.select('main')).toHaveLength(1);
    const levels = page.all.flatMap(({ tag }) => (/^h\d$/.test(tag) ? [Number(tag[1])] : []));
    expect(levels.filter((level) => level === 1)).toHaveLength(1);
    expect(levels.filter((level, index) => level > (levels[index - 1] ?? 0) + 1)).toEqual([]);
  });

  it('has no character that is invisible or changes the direction of text', () => {
    const shown = text.replaceAll('\n', '');
    expect(shown).not.toMatch(/[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u);
    if (options.ascii === true) expect(shown).toMatch(/^[\x20-\x7e]*$/);
  });

  it('is the same each time', () => {
    expect(draw(report, options)).toBe(text);
  });
});

describe('a name of the target', () => {
  it.each([
    '<script>alert(1)</script>',
    '</style><style>*{display:none}',
    '</script><script>alert(1)//',
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    'javascript:alert(1)',
    '<!-- --><![CDATA[ ]]>',
    '&lt;b&gt;&amp;&#60;',
    '</title></head></main></svg></text>',
  ])('is text everywhere: %s', (name) => {
    const report = { ...tree, target: { ...tree.target, command: [name, name] } };
    const hostile = {
      ...report,
      findings: report.findings.map((finding) => ({
        ...finding,
        message: name,
        object: { ...finding.object, type: name, name },
        suppression: name,
        stacks: { opened: [{ module: name, function: name, offset: 0, file: name, line: 1 }] },
      })),
      processes: report.processes?.map((process) => ({ ...process, image: name })) ?? [],
    };
    const page = parsePage(draw(hostile, { ...everything, readSource: () => [name] }));
    const tags = new Set(page.all.map(({ tag }) => tag));
    expect([...tags].toSorted()).toEqual(
      [...new Set(parsePage(draw(tree, everything)).all.map(({ tag }) => tag))].toSorted(),
    );
    expect(page.select('p.story')[0]?.text).toBe(name);
    expect(page.select('pre.source')[0]?.text).toContain(name);
    const [frame] = page.select('ol.frames').flatMap((list) => selectIn(list, 'li'));
    expect(frame?.text).toContain(name);
    expect(page.select('h1')[0]?.text).not.toBe('');
  });

  it.each([
    ['a\0b', 'a\\x00b'],
    ['\u202egnp.exe', '\\u{202e}gnp.exe'],
    ['a\ud800b', 'a\\u{d800}b'],
    ['a\u2028b\nc', 'a\\u{2028}b\\nc'],
    ['\u200bzero\ufeff', '\\u{200b}zero\\u{feff}'],
  ])('is visible as a whole: %j', (name, shown) => {
    const [finding] = sample.findings;
    const page = parsePage(draw({ ...sample, findings: [{ ...finding!, message: name }] }, plain));
    expect(page.select('p.story')[0]?.text).toBe(shown);
  });
});
