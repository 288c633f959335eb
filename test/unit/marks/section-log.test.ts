import { describe, expect, it } from 'vitest';

import type { LedgerLife } from '../../../src/call-ledger.ts';
import { LineReader } from '../../../src/marks/line-reader.ts';
import { SectionLeaks } from '../../../src/marks/section-leaks.ts';
import { parseSectionLine } from '../../../src/marks/section-line.ts';
import { type SectionedLedger, SectionLog } from '../../../src/marks/section-log.ts';

/** A recorder whose clock does not tick: only the offset tells times apart. */
class StandingLedger implements SectionedLedger {
  static readonly tick = 133_000_000_000_000_000n;
  #offset = 0n;
  readonly #lives = new Map<bigint, LedgerLife>();

  setClockOffset(offset: bigint): void {
    this.#offset = offset;
  }

  /** Opens a handle, and returns its time. */
  open(value: bigint, threadId = 1, stackId = 1): bigint {
    const time = StandingLedger.tick + this.#offset;
    const opened = { call: 'NtCreateEvent', threadId, time, stackId };
    this.#lives.set(value, { isOpen: true, generation: 1n, objectType: 'Event', opened, closed: undefined });
    return time;
  }

  close(value: bigint): void {
    this.#lives.set(value, { ...this.#lives.get(value)!, isOpen: false });
  }

  /** The value is not used any more, and nothing of it is on record. */
  forget(value: bigint): void {
    this.#lives.delete(value);
  }

  openValues(): readonly bigint[] {
    return [...this.#lives].filter(([, { isOpen }]) => isOpen).map(([value]) => value);
  }

  openObjects(): readonly [] {
    return [];
  }

  life(value: bigint): LedgerLife | undefined {
    return this.#lives.get(value);
  }

  callTimes(): readonly bigint[] {
    return Array.from(this.#lives.values(), ({ opened }) => opened!.time);
  }
}

const processId = 40;

function start(keptMax?: number): { readonly log: SectionLog; readonly ledger: StandingLedger } {
  const log = new SectionLog(() => StandingLedger.tick, keptMax);
  const ledger = new StandingLedger();
  log.join(ledger, processId);
  return { log, ledger };
}

function take(log: SectionLog, line: string): ReturnType<SectionLog['take']> {
  const { verb, ...rest } = parseSectionLine(line)!;
  if (verb === 'sync') throw new Error('it speaks of no section');
  return log.take({ verb, ...rest });
}
const namesOf = (log: SectionLog, time: bigint, threadId = 1, pid = processId): readonly string[] =>
  log.sectionsOf({ threadId, time }, pid).map(({ name }) => name);

describe('a line of the mark channel', () => {
  it.each([
    ['begin Cache.evicts', { verb: 'begin', name: 'Cache.evicts', scope: {} }],
    ['begin@12 a b \r', { verb: 'begin', name: 'a b', scope: { threadId: 12 } }],
    ['end#7 @x', { verb: 'end', name: '@x', scope: { processId: 7 } }],
    ['end', { verb: 'end', name: '', scope: {} }],
    ['begin@7', { verb: 'begin', name: 'unnamed', scope: { threadId: 7 } }],
    ['label', { verb: 'label', name: '', scope: {} }],
  ])('%j speaks of a section', (text, expected) => {
    expect(parseSectionLine(text)).toEqual(expected);
  });

  it.each(['', 'over', 'begin', 'begin ', 'beginning of', 'end@x', 'END', ' begin a'])('%j is a mark', (text) => {
    expect(parseSectionLine(text)).toBeUndefined();
  });

  it('with a name without end has it cut, and never within a character', () => {
    const { name } = parseSectionLine(`begin ${'\u{1f600}'.repeat(300)}`)!;
    expect(name).toMatch(/^\u{1f600}+…$/u);
    expect(name.length).toBeLessThanOrEqual(200);
  });

  it('comes in pieces of any size, and no more than its beginning is kept', () => {
    const lines: string[] = [];
    const reader = new LineReader((text) => lines.push(text));
    for (const piece of ['beg', 'in a\nb', '\n\n', 'x'.repeat(5000), '\nlast']) reader.take(Buffer.from(piece));
    expect(reader.hasRest).toBe(true);
    reader.end();
    expect(lines).toEqual(['begin a', 'b', '', 'x'.repeat(1024), 'last']);
  });
});

describe('a call', () => {
  it('belongs to the section that was open, although the clock has not ticked since', () => {
    const { log, ledger } = start();
    const before = ledger.open(4n);
    take(log, 'begin a');
    const inA = ledger.open(8n);
    take(log, 'end a');
    const between = ledger.open(12n);
    take(log, 'begin b');
    const inB = ledger.open(16n);
    expect([before, inA, between, inB].map((time) => namesOf(log, time))).toEqual([[], ['a'], [], ['b']]);
  });

  it('of a process that joins late is told apart by the same clock', () => {
    const { log } = start();
    take(log, 'begin a');
    take(log, 'end a');
    const child = new StandingLedger();
    log.join(child, 41);
    expect(namesOf(log, child.open(4n), 1, 41)).toEqual([]);
  });

  it('of a process with the id of an ended one belongs to none of the sections that that one left open', () => {
    const { log, ledger } = start();
    for (const line of ['begin a', 'begin#41 b', 'begin#40 c']) take(log, line);
    const before = ledger.open(4n);
    log.leave(ledger);
    const next = new StandingLedger();
    log.join(next, processId);
    expect([namesOf(log, before), namesOf(log, next.open(4n))]).toEqual([['c'], ['a']]);
    expect(namesOf(log, next.open(8n), 1, 41)).toEqual(['b']);
    take(log, 'begin#40 d');
    expect(namesOf(log, next.open(12n))).toEqual(['d']);
    expect(take(log, 'end#40 c')).toBe('no such section is open');
  });

  it.each([
    ['of any thread belongs to each that is open', ['begin a', 'begin b'], 1, ['a', 'b']],
    ['of a thread belongs to the one that the thread began last', ['begin@1 a', 'begin@1 b', 'begin@2 c'], 1, ['b']],
    ['of a thread with none may belong to each', ['begin@1 a', 'begin@2 b'], 3, ['a', 'b']],
    ['of a thread between its own belongs to none of others', ['begin@1 a', 'begin@2 b', 'end@1 a'], 1, []],
    ['of a thread between its own belongs to one that is not bound', ['begin a', 'begin@1 b', 'end@1 b'], 1, ['a']],
    ['of a process belongs to its own', ['begin#40 a', 'begin#41 b'], 1, ['a']],
    ['of a process between its own belongs to none', ['begin#40 a', 'begin#41 b', 'end#40'], 1, []],
    ['goes on to the next label', ['label a', 'label b'], 1, ['b']],
    ['belongs to no label any more', ['label a', 'label'], 1, []],
    ['stays in the outer one when an inner one ends', ['begin a', 'begin b', 'end b'], 1, ['a']],
    ['ends by name, not by order', ['begin a', 'begin b', 'end a'], 1, ['b']],
  ])('%s', (_, lines, threadId, expected) => {
    const { log, ledger } = start();
    for (const line of lines) take(log, line);
    expect(namesOf(log, ledger.open(4n, threadId), threadId)).toEqual(expected);
  });
});

describe('a section', () => {
  it.each([['end'], ['end b'], ['end@3 a']])('is not ended by %j when there is none such', (line) => {
    const { log } = start();
    if (line !== 'end') take(log, 'begin a');
    expect(take(log, line)).toMatch(/section is open$/);
  });

  it('is refused beyond a thousand at once', () => {
    const { log } = start();
    for (let index = 0; index < 1024; index++) expect(take(log, `begin ${index}`)).toEqual({});
    expect(take(log, 'begin one more')).toBe('1024 sections are open already');
    expect(log.begun).toBe(1024);
  });
});

describe('a hundred thousand sections', () => {
  it('leave the first one known whose handle is on record, and nothing forgotten', () => {
    const { log, ledger } = start(1024);
    take(log, 'begin first');
    const early = ledger.open(4n);
    take(log, 'end first');
    for (let index = 0; index < 100_000; index++) {
      take(log, `begin ${index}`);
      if (index % 100 === 0) ledger.open(8n); // the value is used again and again
      take(log, `end ${index}`);
    }
    expect(namesOf(log, early)).toEqual(['first']);
    expect(namesOf(log, ledger.life(8n)!.opened!.time)).toEqual(['99900']);
    expect(log.gaps).toEqual([]);
  });

  it('that all have handles on record lose the first ones, which is said', () => {
    const { log, ledger } = start(1024);
    const times: bigint[] = [];
    for (let index = 0; index < 5000; index++) {
      take(log, `begin ${index}`);
      times.push(ledger.open(BigInt(index * 4)));
      take(log, `end ${index}`);
    }
    expect(namesOf(log, times[0]!)).toEqual([]);
    expect(namesOf(log, times.at(-1)!)).toEqual(['4999']);
    const known = times.filter((time) => namesOf(log, time).length > 0).length;
    expect(known).toBeGreaterThan(100);
    expect(log.gaps).toEqual([{ kind: 'sections-forgotten', count: 5000 - known }]);
  });
});

describe('the end of a section', () => {
  it('counts what the section has opened and left open, by site', async () => {
    const { log, ledger } = start();
    const leaks = new SectionLeaks(log);
    ledger.open(4n);
    for (const name of ['a', 'b']) {
      take(log, `begin ${name}`);
      ledger.open(name === 'a' ? 8n : 12n);
      ledger.open(name === 'a' ? 16n : 20n, 1, 2);
      if (name === 'b') ledger.close(20n);
      const { ended } = take(log, 'end') as { ended: never };
      await leaks.judge(ended, 0);
    }
    const sites = Array.from(leaks.sitesOf(ledger).values(), ({ opened, sections, tally }) => [
      opened.stackId,
      sections,
      tally.parts,
    ]);
    expect(sites).toEqual([
      [
        1,
        2,
        [
          { names: ['a'], count: 1 },
          { names: ['b'], count: 1 },
        ],
      ],
      [2, 1, [{ names: ['a'], count: 1 }]],
    ]);
  });

  it('does not count what one of several may have opened', async () => {
    const { log, ledger } = start();
    const leaks = new SectionLeaks(log);
    take(log, 'begin a');
    take(log, 'begin b');
    ledger.open(4n);
    await leaks.judge((take(log, 'end a') as { ended: never }).ended, 0);
    expect(leaks.sitesOf(ledger).size).toBe(0);
  });
});
