import { escapeText } from '../text/escape.ts';
import { toolName } from '../version.ts';
import type { Row } from './judge.ts';
import type { SelfTestResult } from './self-test.ts';

const headings: Readonly<Record<Row['part'], string>> = {
  faults: 'A program from its start to its end',
  child: 'Its child process',
  clean: 'The correct program',
  quarantine: 'With --quarantine',
  attach: 'A running program that is attached to and left',
};

/** Whether all was found that was committed, and nothing else. */
export function isPassed({ rows }: Pick<SelfTestResult, 'rows'>): boolean {
  return rows.length > 0 && rows.every(({ isGood }) => isGood);
}

/** The result as plain text, to be pasted into a bug report. */
export function drawSelfTest(result: SelfTestResult): string {
  const { rows, facts } = result;
  const wordsWidth = Math.max(...rows.map(({ words }) => words.length));
  const expectedWidth = Math.max(...rows.map(({ expected }) => expected.length));
  const nameWidth = Math.max(...facts.map(({ name }) => name.length));
  const lines = [`${toolName} doctor --self-test`, ''];
  let part: Row['part'] | undefined;
  for (const row of rows) {
    if (row.part !== part) lines.push(headings[row.part]);
    ({ part } = row);
    const mark = row.isGood ? 'ok    ' : 'FAILED';
    lines.push(
      `  ${mark}  ${row.words.padEnd(wordsWidth)}  ${row.expected.padEnd(expectedWidth)}  ${escapeText(row.found)}`,
    );
  }
  lines.push('', 'This machine');
  for (const { name, value } of facts) lines.push(`  ${escapeText(name).padEnd(nameWidth)}  ${escapeText(value)}`);
  const failed = rows.filter(({ isGood }) => !isGood).length;
  const verdict = isPassed(result)
    ? `The self-test passed: ${rows.length} of ${rows.length} as expected.`
    : `The self-test failed: ${failed} of ${rows.length} not as expected. Please report this whole text.`;
  return `${[...lines, '', verdict].join('\n')}\n`;
}
