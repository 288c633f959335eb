import { describe, expect, it } from 'vitest';

import { drawChecks } from '../../src/cli/commands/doctor.ts';
import { canRun, type Check } from '../../src/cli/doctor-checks.ts';

const ok: Check = { name: 'node', status: 'ok', detail: 'Node.js 22', needed: true };
const limited: Check = { name: 'symbol path', status: 'limited', detail: 'none is set', advice: '_NT_SYMBOL_PATH' };
const missing: Check = { name: 'recording', status: 'missing', detail: 'no such file', advice: 'again', needed: true };

describe('the verdict of doctor', () => {
  it.each<[string, readonly Check[], boolean]>([
    ['all is well', [ok], true],
    ['something is limited', [ok, limited], true],
    ['something that run does not need is missing', [ok, { ...limited, status: 'missing' }], true],
    ['something that run needs is limited', [{ ...missing, status: 'limited' }], true],
    ['something that run needs is missing', [ok, missing], false],
  ])('when %s', (_, checks, expected) => {
    expect(canRun(checks)).toBe(expected);
    expect(drawChecks(checks, { colorLevel: 0, columns: 80 })).toContain(
      expected ? 'unclosed run works here.' : 'unclosed run does not work here.',
    );
  });
});

describe('the lines of doctor', () => {
  it('have a status, a name, what was found and what to try', () => {
    expect(drawChecks([ok, limited], { colorLevel: 0, columns: 80 })).toBe(
      [
        'ok       node         Node.js 22.',
        'limited  symbol path  none is set.',
        '                      Try _NT_SYMBOL_PATH.',
        '',
        'unclosed run works here.',
        '',
      ].join('\n'),
    );
  });

  it('stay in the width, and show nothing from outside that a terminal would obey', () => {
    const text = drawChecks([{ ...limited, detail: `no \u001b[31m ${'word '.repeat(40)}` }], {
      colorLevel: 0,
      columns: 60,
    });
    expect(text).not.toContain('\u001b');
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(60);
  });
});
