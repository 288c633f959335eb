import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { attach } from '../../../src/audit/index.ts';
import type { Finding, Stack } from '../../../src/model.ts';
import { findProcess } from '../../../src/process/processes.ts';
import { setEvent } from '../set-event.ts';
import { Target } from '../target.ts';
import { fixtureFolder, fixturePath, type JsonFinding, programFrame } from '../tool.ts';
import { useAuditor } from '../warm-auditor.ts';

// The DLL that hooks functions of Windows lies outside of the program's directory, as that of other software does.
let directory: string;
let library: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'unclosed-guard-'));
  library = join(directory, 'guard.dll');
  copyFileSync(join(fixtureFolder, 'interposer-library.dll'), library);
});
afterAll(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));

const audit = useAuditor();

function isSerious({ level }: Pick<Finding, 'level'>): boolean {
  return level !== 'note';
}

/** `leak Event open_event`: the rule, the type, and the program's function that opened it. */
function summarise({ rule, object, stacks }: Pick<Finding, 'rule' | 'object'> & JsonFinding): string {
  return `${rule} ${object.type} ${programFrame(stacks['opened'])?.function}`;
}

/** The modules of a stack that stand between the program and Windows. */
function interposed(stack: Stack | undefined): readonly string[] {
  return [...new Set(stack?.flatMap((frame) => (frame.interposed === true ? [frame.module] : [])))];
}

const remark = "Hooks, shims or verifiers stand between the program and Windows, and count as Windows' own: guard.dll.";

describe('functions of Windows that other software hooks', () => {
  it('after the recorder was put in leave the site where it is', async () => {
    const { report } = await audit({ program: fixturePath('works-beneath-hooks'), args: [library] });
    const serious = report.findings.filter(isSerious);
    expect(serious.map(summarise).toSorted()).toEqual([
      'double-close Event open_event',
      'leak Event open_event',
      'leak File open_own_file',
      'leak Mutant open_mutex',
      'leak Semaphore open_semaphore',
    ]);
    for (const { stacks } of serious) expect(interposed(stacks['opened'])).toEqual(['guard.dll']);
    const [twice] = serious.filter(({ rule }) => rule === 'double-close');
    expect(programFrame(twice!.stacks['closed'])?.function).toBe('close_once');
    expect(programFrame(twice!.stacks['offending'])?.function).toBe('close_again');
    expect(report.completeness).toMatchObject({ complete: true, notes: expect.arrayContaining([remark]) });
  });

  it('are in no finding of a program that closes everything', async () => {
    const { report } = await audit({ program: fixturePath('works-beneath-hooks-clean'), args: [library] });
    expect(report.findings.filter(isSerious)).toEqual([]);
    expect(report.target.exitCode).toBe(0);
  });

  it.each([
    ['works-beneath-hooks', ['double-close Event open_event close_again']],
    ['works-beneath-hooks-clean', []],
  ])('before the recorder was put into %s leave the site where it is', async (program, expected) => {
    using target = await Target.start(program, library, 'before');
    const report = await attach({
      processes: [findProcess(String(target.processId))],
      forMs: 1500,
      everyMs: 300,
      onAttached: () => setEvent(`unclosed-go-${target.processId}`),
    });
    await target.hear('done');
    const misuses = report.findings.filter((finding) => isSerious(finding) && finding.rule !== 'leak');
    expect(
      misuses.map(({ rule, object, stacks }) => {
        const names = [stacks.opened, stacks.offending].map((stack) => programFrame(stack)?.function);
        return [rule, object.type, ...names].join(' ');
      }),
    ).toEqual(expected);
  });
});
