import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { fixturePath, runTool } from '../tool.ts';
import { useAuditor } from '../warm-auditor.ts';

const audit = useAuditor();

/** The innermost first, as the source says by `// frame: <function>` on the line of each. */
function expectedFrames(source: string): readonly { function: string; line: number }[] {
  const path = fileURLToPath(new URL(`../../../fixtures/targets/${source}`, import.meta.url));
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((text, index) => {
      const name = /\/\/ frame: (.*?)\r?$/.exec(text)?.[1];
      return name === undefined ? [] : [{ function: name, line: index + 1 }];
    });
}

const programs: readonly (readonly [program: string, source: string, kind: string])[] = [
  ['leaks-inlined', 'leaks-inlined.c', 'gcc and DWARF 4'],
  ['leaks-inlined-dwarf5', 'leaks-inlined.c', 'gcc and DWARF 5'],
  ['leaks-in-template-dwarf4', 'leaks-in-template.cpp', 'clang and DWARF 4'],
  ['leaks-in-template-dwarf5', 'leaks-in-template.cpp', 'clang and DWARF 5'],
  ['leaks-in-template-pdb', 'leaks-in-template.cpp', 'clang and a PDB'],
];

describe('a leak in an inlined function has the frames that the source has', () => {
  it.each(programs)('in %s (%s, by %s)', async (program, source) => {
    const { report } = await audit({ program: fixturePath(program) });
    const findings = report.findings.filter(({ level }) => level !== 'note');
    expect(findings).toHaveLength(1);
    const frames = (findings[0]!.stacks['opened'] ?? []).filter(
      (frame) => frame.system !== true && frame.runtime !== true,
    );

    expect(frames.map((frame) => ({ function: frame.function ?? '', line: frame.line ?? 0 }))).toEqual(
      expectedFrames(source),
    );
    // The two innermost are in no frame of the stack: they share their caller's return address.
    expect(frames.map((frame) => frame.inlined === true)).toEqual([true, true, false, false]);
    expect(new Set(frames.slice(0, 3).map((frame) => frame.offset)).size).toBe(1);
    expect(new Set(frames.map((frame) => frame.file))).toHaveLength(1);
  });

  it('and the table marks them', async () => {
    const { stderr } = await runTool(['run', '--', fixturePath('leaks-inlined')]);
    expect(stderr).toMatch(/open_event +\S+leaks-inlined\.c:\d+ \(inlined\)/);
    expect(stderr).toMatch(/fill +\S+leaks-inlined\.c:\d+\s*$/m);
  });
});
