import { describe, expect, it } from 'vitest';

import { analyze } from '../../../src/analyze/index.ts';
import type { HandleObject } from '../../../src/model.ts';
import type { OpenHandle } from '../../../src/evidence-model.ts';

function born(value: bigint, object: HandleObject): OpenHandle {
  return { value, object, access: 0x1f0003, inheritable: true, protectFromClose: false };
}

describe('an inherited handle', () => {
  it('is a note, one for each type, with what it is', () => {
    const handles = [
      born(0x40n, { type: 'File', name: 'C:\\a.log' }),
      born(0x44n, { type: 'Event' }),
      born(0x48n, { type: 'File', name: 'C:\\b.log' }),
    ];
    expect(analyze({ open: [], misuses: [], inherited: handles })).toMatchObject([
      {
        rule: 'inherited',
        level: 'note',
        count: 2,
        handles: [0x40n, 0x48n],
        message:
          '2 File handles (C:\\a.log, C:\\b.log) were inherited from the process that started the program, which keeps their objects open unasked.',
      },
      {
        rule: 'inherited',
        level: 'note',
        count: 1,
        object: { type: 'Event' },
        message:
          'One Event handle was inherited from the process that started the program, which keeps its object open unasked.',
      },
    ]);
  });

  it('has the same fingerprint whatever it is called and whatever its value is', () => {
    const fingerprint = (value: bigint, name: string): string =>
      analyze({ open: [], misuses: [], inherited: [born(value, { type: 'File', name })] })[0]!.fingerprint;
    expect(fingerprint(0x40n, '\\\\.\\pipe\\1')).toBe(fingerprint(0x1c0n, '\\\\.\\pipe\\2'));
  });
});
