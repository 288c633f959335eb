import { expect, it } from 'vitest';
import type { CallElsewhere } from '../../../src/audit/examination.ts';
import { lastCallsAbout } from '../../../src/audit/tree/calls-about.ts';

const PID = 40;
const START = 1_000_000n;
const TICK = 160_000n;

function call(kind: CallElsewhere['kind'], time: bigint, change: Partial<CallElsewhere> = {}): CallElsewhere {
  const by = { pid: 8, image: 'C:\\server.exe' };
  const made = { call: 'NtDuplicateObject', threadId: 9, stack: [], objectType: 'Event', by, time };
  return { kind, processId: PID, value: 4n, call: made, ...change };
}

it.each<[what: string, calls: readonly CallElsewhere[], opened: readonly bigint[], closed: readonly bigint[]]>([
  ['since it was made', [call('opened', START + 5n), call('closed', START + 6n)], [START + 5n], [START + 6n]],
  ['in the clock tick in which it was made', [call('opened', START - TICK)], [START - TICK], []],
  ['about an earlier process with its id', [call('opened', START - TICK - 1n), call('closed', 5n)], [], []],
  ['about another process', [call('opened', START + 5n, { processId: 44 })], [], []],
  ['several times about one value', [call('opened', START + 9n), call('opened', START + 7n)], [START + 9n], []],
  [
    'about several values',
    [call('opened', START + 9n), call('opened', START + 7n, { value: 8n })],
    [START + 9n, START + 7n],
    [],
  ],
])('of the calls that others made %s, those about its own handles count', (_what, calls, opened, closed) => {
  const last = lastCallsAbout({ pid: PID, startTime: START }, calls);
  expect(Array.from(last.opened.values(), ({ time }) => time)).toEqual(opened);
  expect(Array.from(last.closed.values(), ({ time }) => time)).toEqual(closed);
});
