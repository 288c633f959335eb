import { describe, expect, it } from 'vitest';
import type { Level, Rule } from '../../../src/model.ts';
import type { Misuse } from '../../../src/evidence-model.ts';
import { closed, onlyFinding, opened, used } from './calls.ts';
import { called, mainBottom, misuse } from './evidence.ts';

describe('a use that is refused', () => {
  const event = { object: { type: 'Event' } };
  it.each<{ title: string; record: Misuse; rule: Rule; level: Level; message: string }>([
    {
      title: 'a use after the close',
      record: misuse({ ...event, kind: 'use', offending: used, opened, closed }),
      rule: 'use-after-close',
      level: 'error',
      message:
        'Event handle 0x1a4, opened at open_gate (gate.c:14) and closed at shut_gate (gate.c:21), was used after that by SetEvent at main (app.c:9).',
    },
    {
      title: 'a use refused for an invalid handle, of a value that is open as far as was seen',
      record: misuse({
        ...event,
        kind: 'use',
        offending: called('NtReadFile', 'kernelbase!ReadFile', ...mainBottom),
        opened,
      }),
      rule: 'use-after-close',
      level: 'note',
      message:
        'ReadFile at main (app.c:9) was refused for an invalid handle. Event handle 0x1a4, opened at open_gate (gate.c:14), was not seen to be closed: another handle of the same call may be meant.',
    },
    {
      title: 'a stale use',
      record: misuse({
        ...event,
        kind: 'use',
        offending: used,
        opened,
        closed,
        victim: { object: { type: 'Socket' }, opened: opened.stack },
      }),
      rule: 'stale-use',
      level: 'error',
      message:
        'Event handle 0x1a4, opened at open_gate (gate.c:14) and closed at shut_gate (gate.c:21), was used after that by SetEvent at main (app.c:9): it would have reached the socket opened at open_gate (gate.c:14).',
    },
  ])('$title: $rule, $level', ({ record, rule, level, message }) => {
    expect(onlyFinding({ misuses: [record] })).toMatchObject({ rule, level, message, count: record.count });
  });
});
