import { describe, expect, test } from 'vitest';

import { MemoryBudget } from '../../../../src/symbols/memory-budget.ts';
import { CodeLog } from '../../../../src/symbols/v8/code-log.ts';
import type { LogBytes } from '../../../../src/symbols/v8/log-bytes.ts';
import { LogFile } from '../../../../src/symbols/v8/log-file.ts';
import { positionsAt } from '../../../../src/symbols/v8/positions.ts';
import { Script } from '../../../../src/symbols/v8/scripts.ts';
import { SourceMaps } from '../../../../src/symbols/v8/source-maps.ts';

const MEBIBYTE = 1 << 20;

function bytesOf(text: string): LogBytes {
  const bytes = Buffer.from(text);
  return {
    sizeBytes: bytes.length,
    read: (offset, sizeBytes) => bytes.subarray(offset, offset + sizeBytes),
    [Symbol.dispose]() {},
  };
}

/** A script as it stands in a log, with its line ends escaped. */
function scriptOf(source: string, budget = new MemoryBudget()): Script {
  const line = `script-source,7,file:///C:/app/made.js,${source}`;
  const place = { fields: line.split(',').slice(0, 3), offset: 0, sizeBytes: line.length };
  return new Script(new LogFile(bytesOf(line)), place, budget);
}

function scriptWith(map: unknown): Script {
  const url = `data:application/json;base64,${Buffer.from(JSON.stringify(map)).toString('base64')}`;
  return scriptOf(`open();\\n//# sourceMappingURL=${url}`);
}

const place = { line: 1, column: 1 };
/** The first character of the script was made from the third column of the second line. */
const good = { version: 3, sources: ['made.ts'], names: [], mappings: 'AACE' };
const found = { file: 'C:\\app\\src\\made.ts', line: 2, column: 3 };

describe('a source map', () => {
  test('leads to the place that the script was made from', () => {
    expect(new SourceMaps([], new MemoryBudget()).find(scriptWith({ ...good, sourceRoot: 'src' }), place)).toEqual(
      found,
    );
  });

  test('counts where it is named last', () => {
    const script = scriptWith({ ...good, sourceRoot: 'src' });
    const both = scriptOf(`//# sourceMappingURL=data:,nothing\\n${script.source.replace('\n', '\\n')}`);
    expect(new SourceMaps([], new MemoryBudget()).find(both, place)).toEqual(found);
  });

  test.each<[what: string, map: unknown]>([
    ['many segments', { ...good, mappings: 'AAAA,'.repeat(20_000) }],
    ['many lines', { ...good, mappings: ';'.repeat(20_000) }],
    ['many sources below a long root', { ...good, sources: Array(500).fill('a'), sourceRoot: 'r'.repeat(5000) }],
    ['many objects beside its mappings', { ...good, others: Array(20_000).fill({}) }],
    ['a long text beside its mappings', { ...good, sourcesContent: ['x'.repeat(MEBIBYTE)] }],
  ])('with %s is left out where no memory is left for it, and takes none', (_, map) => {
    const budget = new MemoryBudget(MEBIBYTE);
    expect(new SourceMaps([], budget).find(scriptWith(map), place)).toBeUndefined();
    expect(budget.leftBytes).toBe(MEBIBYTE);
    expect(
      new SourceMaps([], new MemoryBudget()).find(scriptWith({ ...(map as object), ...good }), place),
    ).toBeDefined();
  });

  test('takes memory for what finds places, and none for the sources in it', () => {
    const budget = new MemoryBudget(4 * MEBIBYTE);
    const map = { ...good, sourcesContent: ['{'.repeat(10_000)] };
    expect(new SourceMaps([], budget).find(scriptWith(map), place)).toBeDefined();
    expect(budget.leftBytes).toBeLessThan(4 * MEBIBYTE);
    expect(budget.leftBytes).toBeGreaterThan(4 * MEBIBYTE - 10_000);
  });

  test.each<[what: string, map: unknown]>([
    ['no object', null],
    ['a list of numbers for mappings', { ...good, mappings: [5] }],
    ['lists of nothing for mappings', { ...good, mappings: [[null]] }],
    ['no sources', { ...good, sources: undefined }],
    ['a source that it has not', { ...good, mappings: 'AgCCC' }],
    ['sources that are none', { ...good, sources: [{ length: 1 }, 7, null], mappings: 'AgggggggggC' }],
    ['the mark of one that is parsed already', { _decodedMemo: {}, sources: [] }],
    ['mappings that are no text of Base64', { ...good, mappings: '\u{1f600}' }],
  ])('of %s names no place, or none that is known, and ends nothing', (_, map) => {
    expect(new SourceMaps([], new MemoryBudget()).find(scriptWith(map), place)?.line).not.toBe(2);
  });
});

describe('a script', () => {
  const source = 'a;\\nb\\ncd;';
  test.each<[what: string, sizeBytes: number, expected: object | undefined]>([
    ['has its places', MEBIBYTE, { line: 3, column: 2 }],
    ['has no source without memory for it', 2 * source.length - 1, undefined],
    ['has no lines without memory for them', 2 * source.length, undefined],
  ])('%s', (_, sizeBytes, expected) => {
    expect(scriptOf(source, new MemoryBudget(sizeBytes)).placeOf(6)).toEqual(expected);
  });

  test('has few fields in a line of the log, however many commas that has', () => {
    const file = new LogFile(bytesOf(`code-creation${','.repeat(100_000)}\n`));
    const [line] = [...file.lines(new Set(['code-creation']), new Set())];
    expect(line?.fields).toHaveLength(9);
  });

  test('has no more functions in another than any compiler would put there', () => {
    const at = (inlining: number): number =>
      positionsAt(
        { scriptId: 7, start: 0, positions: `C0O1I${inlining}`, inlined: 'F0O2'.repeat(20_000), functions: 'S0x1' },
        0,
      ).length;
    expect([at(10_000), at(19_000)]).toEqual([2, 1]);
  });

  test('takes memory for its URL, as long as that is', () => {
    const [short, long] = ['a', 'a'.repeat(100_000)].map((name) => {
      const budget = new MemoryBudget(MEBIBYTE);
      new CodeLog(bytesOf(`script-source,7,file:///C:/${name}.js,open()\n`), budget)[Symbol.dispose]();
      return budget.leftBytes;
    });
    expect(short! - long!).toBeGreaterThan(199_000);
  });
});
