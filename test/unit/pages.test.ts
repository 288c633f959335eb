import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(`${root}/${path}`, 'utf8').replaceAll('\r\n', '\n');

const { files } = JSON.parse(read('package.json')) as { readonly files: readonly string[] };
const docs = readdirSync(`${root}/docs`).map((name) => `docs/${name}`);
const pages = ['README.md', 'CHANGELOG.md', ...docs];
/** npm packs README by itself. */
const packed = ['README.md', ...docs.filter((path) => !files.includes(`!${path}`))];

/** A page without its blocks of code. */
function prose(path: string): string {
  return read(path).replaceAll(/^```.*?^```$/gms, '');
}

/** The anchors that GitHub gives to the headings of a page. */
function anchors(path: string): readonly string[] {
  return [...prose(path).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Where a page's links to other pages, and to headings, lead. */
function links(path: string): readonly { readonly link: string; readonly page: string; readonly anchor: string }[] {
  return [...prose(path).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, link = '']) => {
    const [target = '', anchor = ''] = link.split('#');
    return { link, page: target === '' ? path : posix.join(posix.dirname(path), target), anchor };
  });
}

/** Names of the options that the source of a command declares. */
function optionsOf(path: string): readonly string[] {
  return [...read(path).matchAll(/'(?:-\w, )?--([\w-]+)/g)].map(([, name]) => `--${name}`);
}

describe('the pages', () => {
  it('have links at all', () => {
    expect(pages.flatMap(links).length).toBeGreaterThan(50);
  });

  it.each(pages)('%s has no link that leads nowhere', (path) => {
    const broken = links(path).filter(
      ({ page, anchor }) => !existsSync(`${root}/${page}`) || (anchor !== '' && !anchors(page).includes(anchor)),
    );
    expect(broken.map(({ link }) => link)).toEqual([]);
  });

  it.each(['README.md', ...docs])('%s names no script that is not there', (path) => {
    const named = [...read(path).matchAll(/`((?:\w[\w.-]*\/)+[\w.-]+\.[cm]?[jt]s)`/g)].map(([, file = '']) => file);
    expect(named.filter((file) => !['', 'src/'].some((from) => existsSync(`${root}/${from}${file}`)))).toEqual([]);
  });

  it.each(packed)('%s is packed, and so is each page that it links to', (path) => {
    expect(
      links(path)
        .map(({ page }) => page)
        .filter((page) => !packed.includes(page)),
    ).toEqual([]);
  });

  it.each([...pages, '.github/workflows/ci.yml', 'action.yml'])(
    '%s installs unclosed by a path, as its name has no owner',
    (path) => {
      const advice = read(path).replaceAll(/\*\*Do not [^*]+\*\*/g, '');
      const installed = advice.matchAll(/\b(?:npm (?:install|i|exec)|npx(?! --no-install))\b(.*)$/gm);
      expect(
        Array.from(installed, ([, what = '']) => what).filter((what) => /\sunclosed(?![-\w./])/.test(what)),
      ).toEqual([]);
    },
  );

  it('are linked from README, each from somewhere', () => {
    const reached = new Set(['README.md']);
    for (const path of reached) for (const { page } of links(path)) if (page.endsWith('.md')) reached.add(page);
    expect(packed.filter((path) => !reached.has(path))).toEqual([]);
  });

  it('explain every option of run', () => {
    const page = read('docs/command-line.md');
    const options = ['src/cli/commands/run.ts', 'src/cli/audit-options.ts'].flatMap(optionsOf);
    expect(options).toContain('--fail-on');
    expect(options.filter((option) => !page.includes(`| \`${option}`))).toEqual([]);
  });

  it('explain every option of attach that run has not', () => {
    const options = optionsOf('src/cli/commands/attach.ts');
    expect(options).toContain('--until-exit');
    expect(options.filter((option) => !read('docs/attach.md').includes(`| \`${option}`))).toEqual([]);
  });

  it.each(['docs/watch.md', 'docs/attach.md', 'docs/telemetry.md'])('explain the options for metrics in %s', (path) => {
    const options = optionsOf('src/cli/export/telemetry-options.ts');
    expect(options).toEqual(['--otlp', '--prometheus']);
    expect(options.filter((option) => !read(path).includes(`| \`${option} `))).toEqual([]);
  });

  it('explain every option of watch', () => {
    const options = optionsOf('src/cli/commands/watch.ts');
    expect(options).toContain('--fail-on-growth');
    expect(options.filter((option) => !read('docs/watch.md').includes(`| \`${option}`))).toEqual([]);
  });

  it('have YAML that is YAML', () => {
    const blocks = pages.flatMap((path) => [...read(path).matchAll(/^```yaml\n(.*?)^```$/gms)]);
    expect(blocks.length).toBeGreaterThan(5);
    for (const [, text = ''] of blocks) expect(parse(text)).toBeTypeOf('object');
  });

  it('name every rule of docs/findings.md in README', () => {
    const rules = [...read('docs/findings.md').matchAll(/^\| \[`([\w-]+)`\]\(#/gm)].map(([, rule]) => rule);
    expect(rules).toContain('leak');
    expect(rules.filter((rule) => !read('README.md').includes(`\`${rule}\``))).toEqual([]);
  });
});
