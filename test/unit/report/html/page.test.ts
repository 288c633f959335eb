import { describe, expect, it } from 'vitest';

import type { Report } from '../../../../src/model.ts';
import { html } from '../../../../src/report/formats/html.ts';
import type { ReportOptions } from '../../../../src/report/reporter.ts';
import { clean, readSource, sample } from '../sample.ts';
import { type PageElement, type ParsedPage, parsePage, selectIn } from './parsed-page.ts';
import { accepted, empty, makeLarge, runs, tree } from './reports.ts';

const plain: ReportOptions = { colorLevel: 0, columns: 80, readSource, baseDirectory: 'Z:/WORK/rotate' };
const serious = sample.findings.filter(({ level }) => level !== 'note');

function draw(report: Report, options: Partial<ReportOptions> = {}): ParsedPage {
  return parsePage(html(report, { ...plain, ...options }));
}

function section(page: ParsedPage, id: string): PageElement | undefined {
  return page.select('section').find(({ attributes }) => attributes['id'] === id);
}

/** The text with every run of blanks as one. */
function squeeze(text: string | undefined): string {
  return (text ?? '').replace(/\s+/g, ' ').trim();
}

describe('the verdict', () => {
  it.each<[string, Report, Partial<ReportOptions>, string, string]>([
    ['errors', sample, {}, 'errors', '✗ 4 errors, 2 warnings, 2 notes (--notes); the report is incomplete.'],
    [
      'errors with the notes',
      sample,
      { showNotes: true },
      'errors',
      '✗ 4 errors, 2 warnings, 2 notes; the report is incomplete.',
    ],
    [
      'warnings',
      { ...clean, findings: serious.filter(({ level }) => level === 'warning') },
      {},
      'warnings',
      '! 2 warnings.',
    ],
    ['nothing', clean, {}, 'clean', '✓ No leaks and no misused handles in app.exe.'],
    [
      'nothing in partial data',
      { ...clean, completeness: sample.completeness },
      {},
      'unsure',
      '? No leaks and no misused handles in what could be seen of app.exe, but the report is incomplete.',
    ],
    ['no command', empty, {}, 'clean', '✓ No leaks and no misused handles in the program.'],
  ])('stands at the top: %s', (_title, report, options, outcome, text) => {
    const page = draw(report, options);
    expect(squeeze(page.select('h1')[0]?.text)).toBe(text);
    expect(page.select(`header.${outcome}`)).toHaveLength(1);
  });

  it('has the command and the facts of the table below it', () => {
    const [header] = draw(sample).select('header.verdict');
    expect(selectIn(header!, 'code')[0]?.text).toBe('Z:\\work\\rotate\\build\\app.exe --days 7 "two words"');
    expect(selectIn(header!, 'li').map(({ text }) => text)).toEqual([
      'pid 4242',
      'exited with 0',
      '1.2 s',
      '1,412 handles opened, 1,281 closed, 131 open',
    ]);
  });

  it('leads to the gaps where there are some that may hide findings', () => {
    expect(draw(sample).select('p.caution')).toHaveLength(1);
    expect(draw(clean).select('p.caution')).toHaveLength(0);
    expect(squeeze(section(draw(sample), 'gaps')?.text)).toMatch(
      /^Not seen Incomplete: .*were not recorded: NtCreateLowBoxToken\. 2 handles have no name/,
    );
    expect(section(draw(clean), 'gaps')).toBeUndefined();
  });
});

describe('a card', () => {
  const page = draw(sample);
  const cards = page.select('article.card');

  it('stands for each finding in the order of the report, with its sentence', () => {
    expect(cards.map((card) => selectIn(card, 'p.story')[0]?.text)).toEqual(serious.map(({ message }) => message));
    expect(cards.map(({ attributes }) => attributes['id'])).toEqual(
      serious.map(({ fingerprint }) => `finding-${fingerprint}`),
    );
    expect(squeeze(selectIn(cards[0]!, 'h3')[0]?.text)).toBe('double-close Event handle, 7 times');
  });

  it('has its stacks folded, the mistake first, each with the program’s functions in a line', () => {
    const stacks = selectIn(cards[0]!, 'details.stack');
    expect(stacks.map((stack) => 'open' in stack.attributes)).toEqual([false, false, false]);
    expect(stacks.map((stack) => squeeze(selectIn(stack, 'summary')[0]?.text))).toEqual([
      'closed again at finish (main.c:44) ← main (main.c:61)',
      'first closed at shut_gate (gate.c:12) ← main (main.c:61)',
      'opened at open_gate (gate.c:5) ← main (main.c:61)',
    ]);
  });

  it('has every frame, the system’s dimmed, with the source around the site and the line of each caller', () => {
    const [stack] = selectIn(cards[0]!, 'details.stack');
    const frames = selectIn(stack!, 'li');
    expect(frames.map(({ attributes, text }) => [attributes['class'], text.trim().split(/\s/)[0]])).toEqual([
      ['dim', 'CloseHandle'],
      ['site', 'finish'],
      ['own', 'main'],
      ['dim', '__tmainCRTStartup'],
      ['dim', 'mainCRTStartup'],
      ['dim', 'BaseThreadInitThunk'],
      ['dim', 'RtlUserThreadStart'],
    ]);
    const [around, line] = selectIn(stack!, 'pre.source');
    expect(around?.text.match(/^\d+/gm)).toEqual(['42', '43', '44', '45', '46']);
    expect(selectIn(around!, 'mark')[0]?.text).toBe('44 CloseHandle(gate);');
    expect(line?.text).toBe('61 /* line 61 */\n');
  });

  it('lists the handles with the names of their objects', () => {
    const list = selectIn(cards[2]!, 'ul.values').flatMap((values) => selectIn(values, 'li'));
    expect(list.map(({ text }) => text)).toEqual([
      '0x1a4 C:\\ProgramData\\Rotate\\logs\\archive\\app.2026-11-20.log',
      '0x1a8 C:\\ProgramData\\Rotate\\logs\\archive\\app.2026-11-21.log',
      '0x1ac C:\\ProgramData\\Rotate\\logs\\archive\\app.2026-11-22.log',
    ]);
  });

  it('cuts a deep stack, keeps its site and its ends, and says how much it leaves out', () => {
    const [finding] = makeLarge(2, 500).findings.slice(1);
    const items = draw({ ...sample, findings: [finding!] }).select('li.cut');
    const frames = draw({ ...sample, findings: [finding!] })
      .select('ol.frames')
      .flatMap((list) => selectIn(list, 'li'));
    expect(items.map(({ text }) => text.trim())).toEqual(['… 6 more frames', '… 444 more frames']);
    expect(
      frames.filter(({ attributes }) => attributes['class'] === 'site').map(({ text }) => text.split(' ')[0]),
    ).toEqual(['site_1']);
    expect(frames.at(-1)?.text).toContain('function_499');
  });

  it('is there for notes and accepted findings only where they are asked for', () => {
    const badges = (options: Partial<ReportOptions>): readonly string[] =>
      draw(accepted, options)
        .select('span.badge')
        .map(({ text }) => text);
    expect(badges({})).toEqual(['error', 'error', 'warning', 'warning']);
    expect(badges({ showNotes: true }).slice(4)).toEqual(['note', 'note']);
    expect(badges({ showSuppressed: true }).slice(4)).toEqual(['known', 'suppressed']);
    expect(
      draw(accepted, { showSuppressed: true })
        .select('p.status')
        .map(({ text }) => text),
    ).toEqual(['An error, known', 'An error, suppressed by x.supp:3  leak:used']);
  });
});

describe('a page with many findings', () => {
  const report = makeLarge(150, 30);
  const page = draw(report);

  it('has cards for the worst, at least one of each kind, and a row for each of the others', () => {
    const cards = page.select('article.card');
    const rows = page
      .select('details')
      .filter(({ attributes }) => attributes['id'] === 'others')
      .flatMap((others) => selectIn(others, 'tr'));
    expect(cards.length).toBeGreaterThan(50);
    expect(rows).toHaveLength(150 - cards.length + 1);
    expect(new Set(cards.map(({ attributes }) => attributes['class']))).toEqual(
      new Set(['card error', 'card warning']),
    );
    for (const { fingerprint } of report.findings) expect.soft(page.text).toContain(fingerprint);
  });

  it('has a choice of levels that needs no script', () => {
    expect(
      page.select('input').map(({ attributes }) => [attributes['type'], attributes['id'], 'checked' in attributes]),
    ).toEqual([
      ['checkbox', 'show-error', true],
      ['checkbox', 'show-warning', true],
      ['search', 'search', false],
    ]);
    expect(page.select('div.tools')[0]?.attributes).toHaveProperty('hidden');
  });

  it('has a card for each where all are asked for', () => {
    expect(draw(report, { showAll: true }).select('article.card')).toHaveLength(150);
  });

  it('stays small, however many they are and however deep their stacks', () => {
    const text = html(makeLarge(2000, 100), plain);
    expect(text.length).toBeLessThan(4_000_000);
    expect(text).toContain('00000000000007cf');
  });
});

describe('the handles by type', () => {
  const rowsOf = (page: ParsedPage): readonly (readonly string[])[] =>
    selectIn(section(page, 'types')!, 'tr').map((row) =>
      row.all.filter(({ tag }) => tag === 'td' || tag === 'th').map(({ text }) => squeeze(text)),
    );

  it('are added up over the findings, the most first', () => {
    expect(rowsOf(draw(sample, { showNotes: true }))).toEqual([
      ['type', 'left open', 'sites', 'misuses'],
      ['Event', '129', '2', '8'],
      ['File', '3', '1', '–'],
      ['Key', '1', '1', '–'],
      ['Socket', '1', '1', '–'],
      ['Unknown', '–', '–', '1'],
    ]);
  });

  it('have their growth where iterations were marked, and a column for each run', () => {
    const page = draw(runs);
    expect(rowsOf(page)[1]?.at(-1)).toBe('+1.5');
    const columns = page.select('svg.columns');
    expect(columns[0]?.attributes['aria-label']).toMatch(/^128, 0, \d+$/);
    expect(selectIn(columns[0]!, 'title').map(({ text }) => text.split(':')[0])).toEqual(['run 1', 'run 2', 'run 3']);
  });
});

describe('the other sections', () => {
  it('show the processes as lists within lists', () => {
    const processes = section(draw(tree), 'processes');
    const [top] = selectIn(processes!, 'ul');
    expect(selectIn(processes!, 'span.process').map(({ text }) => text)).toEqual([
      'server.exe 10: exited with 0, 5,000 opened',
      'worker.exe 12: exited with 0xc0000005 (access violation), 20 opened, 1 finding',
      'helper.exe 14: still running, 2 opened',
      'worker.exe 16: exited with 0, 20 opened',
    ]);
    const depths = selectIn(top!, 'ul').map((list) => selectIn(list, 'span.process').length);
    expect(depths).toEqual([3, 1]);
  });

  it('list the suppressions as the table does', () => {
    expect(squeeze(section(draw(accepted, { showNotes: true }), 'suppressions')?.text)).toBe(
      'Suppressions Suppressed: 1 finding. 1 by x.supp:3 leak:used Suppressions that matched nothing: x.supp:4 leak:idle',
    );
  });

  it('say why functions have no names', () => {
    const report: Report = { ...sample, modulesWithoutNames: [{ module: 'app.exe', why: 'no-debug-information' }] };
    expect(squeeze(section(draw(report), 'symbols')?.text)).toMatch(
      /^Why functions have no names app\.exe: built without debug/,
    );
  });

  it('explain the rules of the findings, and no others', () => {
    const titles = selectIn(section(draw(sample), 'rules')!, 'h3').map(({ text }) => text.split(' ')[0]);
    expect(titles.toSorted()).toEqual([...new Set(serious.map(({ rule }) => rule))].toSorted());
  });

  it('are left out where they have nothing to say', () => {
    expect(draw(clean).select('section')).toEqual([]);
    expect(draw(clean).select('nav')).toEqual([]);
  });
});
