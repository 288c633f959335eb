import { describe, expect, it } from 'vitest';

import { combineProcessFindings } from '../../../src/analyze/combine/processes.ts';
import { analyze } from '../../../src/analyze/index.ts';
import { SectionTally } from '../../../src/evidence/section-tally.ts';
import type { Evidence, OpenSite } from '../../../src/evidence-model.ts';
import type { Finding, Sections } from '../../../src/model.ts';
import { called, mainBottom, misuse, openSite } from '../analyze/evidence.ts';

const opened = called('NtCreateEvent', 'kernelbase!CreateEventW', 'app!open_gate @gate.c:7', ...mainBottom);

function find(parts: Partial<OpenSite>, rest: Partial<Evidence> = {}): Finding | undefined {
  return analyze({ open: [openSite({ opened, ...parts })], misuses: [], ...rest })[0];
}

const inSection = (...parts: readonly (readonly [names: readonly string[], count: number])[]): Sections => ({
  opened: parts.map(([names, count]) => ({ names, count })),
});

describe('the message of a leak', () => {
  it.each<[title: string, count: number, sections: Sections, sentence: string]>([
    ['names the one test', 1, inSection([['Cache.evicts'], 1]), ' Opened in test `Cache.evicts`.'],
    ['says how many of its handles a test opened', 3, inSection([['a'], 2]), ' Opened in test `a` (2 of 3 handles).'],
    ['names several tests', 3, inSection([['a'], 2], [['b'], 1]), ' Opened in tests `a` (2) and `b` (1).'],
    [
      'counts those that are too many to name',
      9,
      inSection([['a'], 3], [['b'], 2], [['c'], 2], [['d'], 1], [['e'], 1]),
      ' Opened in tests `a` (3), `b` (2), `c` (2) and 2 more (2).',
    ],
    [
      'accuses none of several that were open',
      1,
      { opened: [{ names: ['a', 'b'], of: 9, count: 1 }] },
      ' Opened in one of `a`, `b` and 7 more, all open at the time.',
    ],
    ['keeps the quotes of a name apart from its own', 1, inSection([['a`b'], 1]), " Opened in test `a'b`."],
  ])('%s', (_, count, sections, sentence) => {
    const plain = find({ count });
    const labelled = find({ count, sections });
    expect(labelled?.message).toBe(`${plain?.message}${sentence}`);
    expect(labelled).toMatchObject({ sections, fingerprint: plain?.fingerprint, level: plain?.level });
  });
});

describe('the message of a misuse', () => {
  const twice = misuse({
    offending: called('NtClose', 'kernelbase!CloseHandle', 'app!finish @gate.c:44', ...mainBottom),
    opened,
    closed: called('NtClose', 'kernelbase!CloseHandle', 'app!shut @gate.c:30', ...mainBottom),
    object: { type: 'Event' },
  });

  it.each<[Sections, string]>([
    [{ ...inSection([['a'], 1]), called: [{ names: ['a'], count: 1 }] }, ' Opened, and the call made, in test `a`.'],
    [
      { ...inSection([['a'], 1]), called: [{ names: ['b'], count: 1 }] },
      ' Opened in test `a`; the call was made in test `b`.',
    ],
    [{ called: [{ names: ['b'], count: 1 }] }, ' The call was made in test `b`.'],
  ])('%j says %j', (sections, sentence) => {
    const [finding] = analyze({ open: [], misuses: [{ ...twice, sections }] });
    expect(finding?.message.endsWith(sentence)).toBe(true);
  });
});

describe('a site that left handles open at the ends of tests', () => {
  const closedLater = { examples: [], closedAfterSections: true as const };

  it('is an error where there were two, whether they are open or closed by now', () => {
    const sections = { ...inSection([['a'], 1], [['b'], 1]), leftIn: 2 };
    expect(find({ count: 2, sections })?.level).toBe('error');
    const gone = find({ count: 2, sections, ...closedLater });
    expect(gone).toMatchObject({ level: 'error', count: 2, handles: [] });
    expect(gone?.message).toBe(
      '2 Event handles opened at open_gate (gate.c:7) were still open when their tests ended, and closed only later. Opened in tests `a` (1) and `b` (1). Left open at the ends of 2 tests.',
    );
  });

  it('is a warning where there was one, and all are closed by now', () => {
    const sections = { ...inSection([['a'], 60]), leftIn: 1 };
    expect(find({ count: 60, sections, ...closedLater })?.level).toBe('warning');
  });

  it('is a note where Windows opened them for itself', () => {
    const own = called('NtCreateEvent', 'ntdll!RtlInit', 'kernel32!LoadLibraryW', ...mainBottom);
    const sections = { ...inSection([['a'], 1], [['b'], 1]), leftIn: 2 };
    const notes = ['error', 'warning'].includes(find({ opened: own, sections, count: 2 })?.level ?? '');
    expect(notes).toBe(false);
  });

  it('is as without the option where no test left any', () => {
    expect(find({ sections: inSection([['a'], 1]) })?.level).toBe('warning');
  });
});

describe('the sections of several processes', () => {
  it('are added up, and the sentence with them', () => {
    const [one, two] = ['a', 'b'].map((name) => find({ sections: inSection([[name], 1]) })!);
    const [finding] = combineProcessFindings([
      { pid: 4, image: 'C:\\app.exe', findings: [one!] },
      { pid: 8, image: 'C:\\app.exe', findings: [two!] },
    ]);
    expect(finding?.sections).toEqual(inSection([['a'], 1], [['b'], 1]));
    expect(finding?.message).toContain('Opened in tests `a` (1) and `b` (1). In 2 processes');
  });
});

describe('a tally of sections', () => {
  it('names the largest ten, and counts the others, however many there are', () => {
    const tally = new SectionTally();
    for (let index = 0; index < 5000; index++) tally.add([`test ${index}`]);
    tally.add(['test 7'], 5);
    expect(tally.count).toBe(5005);
    expect(tally.parts).toHaveLength(11);
    expect(tally.parts[0]).toEqual({ names: ['test 7'], count: 6 });
    expect(tally.parts.at(-1)).toMatchObject({ names: [], count: 5005 - 15 });
  });

  it('names four of those that were open at once', () => {
    const tally = new SectionTally();
    tally.add(['a', 'b', 'c', 'd', 'e', 'a']);
    expect(tally.parts).toEqual([{ names: ['a', 'b', 'c', 'd'], of: 5, count: 1 }]);
  });
});
