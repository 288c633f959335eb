// Programs in Go, which are built where Go is installed.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { fixturePath, type JsonFinding, programFrame, runTool } from './tool.ts';
import { useAuditor } from './warm-auditor.ts';

const program = 'leaks-in-go';
const isBuilt = existsSync(fixturePath(program));
const source = fileURLToPath(new URL(`../../fixtures/go/${program}.go`, import.meta.url));

const audit = useAuditor();

/** The leaks that the comments of the source name, each with the function that it is in. */
function expectedLeaks(): readonly string[] {
  let name = '';
  return readFileSync(source, 'utf8')
    .split(/\r?\n/)
    .flatMap((text, index) => {
      const [, receiver, plain, isGeneric] = /^func (?:\(\w+ (\S+)\) )?(\w+)(\[)?/.exec(text) ?? [];
      if (plain !== undefined)
        name = `main.${receiver === undefined ? '' : `(${receiver}).`}${plain}${isGeneric === undefined ? '' : '[...]'}`;
      const [, count, type] = /\/\/ leak: (\d+) (\w+)$/.exec(text) ?? [];
      return count === undefined ? [] : [`${count} ${type} at ${name}:${index + 1}`];
    })
    .toSorted();
}

function summarise({ rule, count, object, stacks }: JsonFinding): string {
  const site = programFrame(stacks['opened']);
  return `${rule === 'leak' ? '' : `${rule} `}${count} ${object.type} at ${site?.function}:${site?.line}`;
}

describe.skipIf(!isBuilt)('an audit of a program in Go', () => {
  it.each([program, `${program}-stripped`])(
    'finds each leak of %s once, at the program’s own function',
    async (name) => {
      const fingerprints = new Set<string>();
      for (let run = 0; run < 3; run++) {
        const { report } = await audit({ program: fixturePath(name), args: [] });
        const serious = report.findings.filter(({ level }) => level !== 'note');
        expect(serious.map(summarise).toSorted()).toEqual(expectedLeaks());
        for (const { stacks } of serious) expect(stacks['opened']?.at(-1)?.function).toBe('runtime.goexit');
        fingerprints.add(
          serious
            .map(({ fingerprint }) => fingerprint)
            .toSorted()
            .join(),
        );
      }
      expect(fingerprints.size).toBe(1);
    },
  );

  it('finds nothing where the program closes everything', async () => {
    const { report } = await audit({ program: fixturePath(`${program}-clean`), args: [] });
    expect(report.findings.filter(({ level }) => level !== 'note').map(summarise)).toEqual([]);
    // All of its frames are code with a name.
    const frames = report.findings.flatMap(({ stacks }) => Object.values(stacks).flatMap((stack) => stack ?? []));
    expect(frames.filter((frame) => frame.system !== true && frame.function === undefined)).toEqual([]);
  });

  it('names the function of the standard library that the program called, and shows the line', async () => {
    const { stderr } = await runTool(['run', '--', fixturePath(program)]);
    expect(stderr).toMatch(/os\.Create +leaks-in-go\.exe \+\d+ frames/);
    expect(stderr).toMatch(/❯ \d+ │ +file, err := os\.Create\(/);
  });
});
