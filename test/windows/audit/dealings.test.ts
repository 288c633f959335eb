import { describe, expect, it } from 'vitest';

import { audit } from '../../../src/audit/index.ts';
import type { Finding } from '../../../src/model.ts';
import { fixturePath } from '../tool.ts';

async function findingsOf(...args: readonly string[]): Promise<readonly Finding[]> {
  const { findings, completeness } = await audit({
    program: fixturePath('deals-with-child'),
    args,
    followChildren: true,
  });
  expect(completeness).toEqual({ complete: true, gaps: [] });
  return findings.filter(({ level }) => level !== 'note');
}

const dealings = [
  [
    'give',
    [/error|warning/, 'leak', 'One Event handle opened at give (deals-with-child.c'],
    'by process <id> (deals-with-child.exe) is still open',
  ],
  [
    'take',
    [/error/, 'double-close', 'opened at open_event (deals-with-child.c'],
    'and closed at take (deals-with-child.c:<line>) by process <id> (deals-with-child.exe), was closed again by',
  ],
  [
    'keep',
    [/warning/, 'inherited', 'opened at open_log (deals-with-child.c'],
    'The program closed its own at close_log (deals-with-child.c:<line>), but process <id> (deals-with-child.exe) kept it open until it ended, for <time>: meanwhile the file cannot be deleted',
  ],
] as const;

describe('dealings between two processes under audit', () => {
  it.each(dealings)('are told as what they are, with the stacks of both: %s', async (dealing, expected, story) => {
    const [finding, ...others] = await findingsOf(dealing);
    const [level, rule, site] = expected;
    expect(others).toEqual([]);
    expect(finding?.level).toMatch(level);
    expect(finding).toMatchObject({ rule, message: expect.stringContaining(site) as string });
    const text = finding?.message
      .replaceAll(/process \d+/g, 'process <id>')
      .replaceAll(/(\.c:)\d+/g, '$1<line>')
      .replace(/for [\d.]+ (?:ms|s):/, 'for <time>:');
    expect(text).toContain(story);
  });

  it.each(dealings)('accuse no process that does it rightly: %s', async (dealing) => {
    expect(await findingsOf(dealing, 'clean')).toEqual([]);
  });
});
