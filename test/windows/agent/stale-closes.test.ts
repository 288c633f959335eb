import { describe, expect, it } from 'vitest';

import { fixturePath, type JsonFinding, programFrame } from '../tool.ts';
import { useAuditor } from '../warm-auditor.ts';

const audit = useAuditor();

async function auditProgram(program: string, args: readonly string[], quarantine?: number) {
  const { report } = await audit({
    program: fixturePath(program),
    args,
    ...(quarantine === undefined ? {} : { recording: { quarantine } }),
  });
  expect(report.completeness).toMatchObject({ complete: true });
  return report.findings.filter(({ level }) => level !== 'note');
}

const functionsOf = ({ stacks }: JsonFinding) =>
  Object.fromEntries(Object.entries(stacks).map(([name, stack]) => [name, programFrame(stack)?.function]));

const staleClose = {
  opened: 'open_file',
  closed: 'Owner::~Owner',
  offending: 'Owner::~Owner',
  victim: 'use_moved',
};

describe.each(['dwarf4', 'dwarf5', 'pdb'])('a program with %s, in which', (format) => {
  const program = `owns-handles-${format}`;

  it('an object that was moved from closes its successor’s value: probably, and certainly with a quarantine', async () => {
    const [probable, ...others] = await auditProgram(program, ['moved']);
    const [certain, ...rest] = await auditProgram(program, ['moved'], 1024);
    expect([...others, ...rest]).toEqual([]);
    expect(probable).toMatchObject({ rule: 'stale-close', level: 'warning', count: 1, object: { type: 'File' } });
    expect(certain).toMatchObject({ rule: 'stale-close', level: 'error', count: 1, object: { type: 'File' } });
    expect(functionsOf(probable!)).toEqual(staleClose);
    expect(functionsOf(certain!)).toEqual(staleClose);
    expect(probable!.fingerprint, 'a baseline knows both for one').toBe(certain!.fingerprint);
    expect(probable!.message).toMatch(/probably closed again .* which SetEvent at use_moved .* found closed/);
  });

  it.each([
    ['given', 'use-after-close', 'use_given'],
    ['copied', 'double-close', 'Owner::~Owner'],
  ])('a %s handle of a value that a file had before is misused by its own owner', async (mode, rule, offending) => {
    const findings = await auditProgram(program, [mode]);
    expect(findings).toMatchObject([{ rule, level: 'error', object: { type: 'Event' } }]);
    expect(functionsOf(findings[0]!)).toMatchObject({ closed: 'Owner::~Owner', offending });
  });

  it('nothing of that happens', async () => {
    expect(await auditProgram(program, ['clean'])).toEqual([]);
  });
});

describe('a stack in a deep recursion', () => {
  const names = (finding: JsonFinding | undefined) =>
    new Set(finding?.stacks['opened']?.map(({ function: name }) => name));

  it('of up to 64 frames is whole', async () => {
    const [finding] = await auditProgram('leaks-in-recursion', []);
    expect(finding?.stacks['opened']?.length).toBeGreaterThan(40);
    expect(names(finding)).toContain('main');
    expect(names(finding)).toContain('BaseThreadInitThunk');
  });

  it('of more frames is cut, and names the site all the same', async () => {
    const [finding] = await auditProgram('leaks-in-recursion', ['200']);
    expect(finding).toMatchObject({ rule: 'leak', level: 'warning' });
    expect(finding?.stacks['opened']).toHaveLength(64);
    expect(programFrame(finding?.stacks['opened'])?.function).toBe('open_at_the_bottom');
    expect(names(finding)).not.toContain('main');
  });

  it('of more frames is in no finding of a program that closes what it opens there', async () => {
    expect(await auditProgram('leaks-in-recursion-clean', ['200'])).toEqual([]);
  });
});
