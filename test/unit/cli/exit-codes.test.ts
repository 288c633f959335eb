import { describe, expect, it } from 'vitest';

import { combineExitCodes } from '../../../src/cli/exit-codes.ts';
import type { ExitCodePolicy } from '../../../src/config/config.ts';
import { readOwnFile } from '../own-files.ts';

/** The rows of the documentation's table: what the program and the findings gave, and the exit code by each policy. */
const [head = [], , ...rows]: readonly (readonly string[])[] = /^\| the program .*(?:\n\|.*)+/m
  .exec(readOwnFile('docs/command-line.md'))![0]
  .split('\n')
  .map((line) =>
    line
      .split('|')
      .map((cell) => cell.trim().replaceAll('`', ''))
      .slice(1, -1),
  );
const policies = head.slice(2) as readonly ExitCodePolicy[];

function codeOf(text: string): number {
  const code = { 'succeeded (0)': 0, none: 0, some: 1 }[text] ?? (text.startsWith('incomplete') ? 3 : undefined);
  return code ?? Number(/^failed, say (\d+)$/.exec(text)![1]);
}

describe('the exit code of a program that was audited', () => {
  it('is documented for every policy', () => {
    expect(policies.toSorted()).toEqual(['findings', 'findings-first', 'program', 'program-first']);
    expect(rows).toHaveLength(6);
  });

  it.each(rows.map(([program, findings, ...codes]) => [program!, findings!, codes] as const))(
    '%s, with findings: %s, is as documented',
    (program, findings, codes) => {
      expect(policies.map((policy) => combineExitCodes(policy, codeOf(findings), codeOf(program)))).toEqual(
        codes.map(Number),
      );
    },
  );

  it('that has not ended is that of a failure', () => {
    expect(policies.map((policy) => combineExitCodes(policy, 0, undefined))).toEqual([0, 2, 2, 2]);
    expect(combineExitCodes('findings-first', 1, undefined)).toBe(1);
  });

  it('is 0 with the policies of both only when both succeeded', () => {
    for (const policy of ['program-first', 'findings-first'] as const)
      for (const program of [0, 1, 3, 0xc0000005])
        for (const findings of [0, 1, 3])
          expect(combineExitCodes(policy, findings, program) === 0).toBe(program === 0 && findings === 0);
  });
});
