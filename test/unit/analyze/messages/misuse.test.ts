// Misuses of one site: which of them is shown, what is added up, and what tells two sites apart.
import { describe, expect, it } from 'vitest';

import { analyze } from '../../../../src/analyze/index.ts';
import type { Misuse } from '../../../../src/evidence-model.ts';
import { closed, closedAgain, onlyFinding, opened } from '../calls.ts';
import { called, mainBottom, misuse } from '../evidence.ts';

const twice = (parts: Partial<Misuse> = {}): Misuse =>
  misuse({ object: { type: 'Event' }, offending: closedAgain, opened, closed, ...parts });
const count = (...misuses: readonly Misuse[]): number => analyze({ open: [], misuses }).length;
const elsewhere = called('NtClose', 'kernelbase!CloseHandle', 'app!stop @stop.c:3', ...mainBottom);

describe('misuses of one site', () => {
  it('are added up, with every value once in order, and the stacks of the most frequent', () => {
    const rare = twice({ count: 2, values: [0x20n, 0x10n], offending: closed, closed: closedAgain });
    const often = twice({ count: 5, values: [0x10n, 0x30n] });
    for (const misuses of [
      [rare, often],
      [often, rare],
    ]) {
      const finding = onlyFinding({ misuses });
      expect(finding).toMatchObject({ rule: 'double-close', count: 7, handles: [0x10n, 0x20n, 0x30n] });
      expect(finding.stacks.closed?.map((frame) => frame.function)).toContain('shut_gate');
    }
  });

  it('are two where another place made the call, closed it, or opened it', () => {
    expect(count(twice(), twice({ values: [0x20n] }))).toBe(1);
    expect(count(twice(), twice({ offending: elsewhere }))).toBe(2);
    expect(count(twice(), twice({ closed: elsewhere }))).toBe(2);
    const other = called('NtCreateEvent', 'kernelbase!CreateEventW', 'app!open_other @o.c:3', ...mainBottom);
    expect(count(twice(), twice({ opened: other }))).toBe(2);
  });

  it('are one in either order where two closes race, but not where a use comes after a close', () => {
    expect(count(twice({ offending: elsewhere, closed }), twice({ offending: closed, closed: elsewhere }))).toBe(1);
    const use = (frame: string) => called('NtSetEvent', 'kernelbase!SetEvent', frame, ...mainBottom);
    const late = (frame: string, at: typeof closed) => twice({ kind: 'use', offending: use(frame), closed: at });
    expect(count(late('app!one @a.c:1', closed), late('app!one @a.c:1', elsewhere))).toBe(2);
  });

  it('are of an unknown type where no object is known', () => {
    const stray = misuse({ values: [0xbeef0n], offending: closedAgain });
    expect(onlyFinding({ misuses: [stray] })).toMatchObject({ rule: 'invalid-close', object: { type: 'Unknown' } });
  });

  it('made by Windows for itself are notes, and sites of their own', () => {
    const own = called('NtClose', 'kernelbase!CloseHandle', 'winhttp!DllMain', 'kernelbase!FreeLibrary', ...mainBottom);
    const findings = analyze({ open: [], misuses: [twice(), twice({ offending: own })] });
    expect(findings.map(({ level }) => level)).toEqual(['error', 'note']);
  });
});

describe('a call that was refused although the handle seemed to be open', () => {
  it.each<[values: readonly bigint[], sentence: string]>([
    [[0x1a4n], 'Event handle 0x1a4, opened at open_gate (gate.c:14), was not seen to be closed'],
    [[0x1a4n, 0x1a8n], 'Event handles 0x1a4 and 0x1a8, opened at open_gate (gate.c:14), were not seen to be closed'],
  ])('says so: %#', (values, sentence) => {
    const wait = called(
      'NtWaitForMultipleObjects',
      'kernelbase!WaitForMultipleObjects',
      'app!wait @w.c:2',
      ...mainBottom,
    );
    const refused = misuse({ kind: 'use', object: { type: 'Event' }, values, offending: wait, opened, count: 3 });
    expect(onlyFinding({ misuses: [refused] }).message).toContain(sentence);
  });
});
