import { describe, expect, it } from 'vitest';
import { gather } from '../../../src/evidence/gather.ts';
import { LiveStacks } from '../../../src/evidence/live-stacks.ts';
import { calledBy, openLife, plainSymbols, type Told, ToldLedger } from './told-ledger.ts';

/** Words as they lie on a stack, innermost first. */
function words(...values: readonly bigint[]): Uint32Array {
  return Uint32Array.from(values.flatMap((value) => [Number(value & 0xffff_ffffn), Number(value >> 32n)]));
}

const one = (...values: readonly bigint[]) => new LiveStacks([{ threadId: 1, halves: words(...values) }]);

describe('the innermost call that a thread has not returned from', () => {
  it.each<[title: string, stack: readonly bigint[], first: number]>([
    ['is the first one, when all return addresses lie on the stack in order', [0x10n, 7n, 0x20n, 7n, 0x30n, 7n], 0],
    ['is the first one of those that lie there', [9n, 0x20n, 9n, 9n, 0x30n], 1],
    ['is none of a list of addresses, which has no room for frames', [0x10n, 0x20n, 0x30n], 2],
    ['is the outermost one, when only that is left', [0x99n, 0x30n], 2],
    ['is none on an empty stack', [], 3],
    ['is none without the outermost one', [0x10n, 9n, 0x20n], 3],
    ['does not count where the order is another one', [0x20n, 9n, 0x10n, 9n, 0x30n], 1],
    ['is found among repetitions, as of a recursion', [0x10n, 9n, 0x20n, 9n, 0x20n, 9n, 0x30n, 9n, 0x30n], 0],
    ['is told by all 64 bits', [0x1_0000_0010n, 9n, 0x1_0000_0020n, 9n, 0x30n], 2],
  ])('%s', (_, stack, first) => {
    expect(one(...stack).firstLive(1, [0x10n, 0x20n, 0x30n])).toBe(first);
  });

  it('is none for a thread that was not seen', () => {
    expect(one(0x10n).firstLive(2, [0x10n])).toBe(1);
  });

  it('is none for a stack that was not kept', () => {
    expect(one(0x10n).firstLive(1, [])).toBe(0);
  });
});

const nowhere = 0x9999n;
const symbols = {
  /** Beyond the outermost call lies an address of no module; `f20` has been inlined into its caller. */
  resolveStack: (addresses: readonly bigint[]) =>
    plainSymbols
      .resolveStack(addresses)
      .flatMap((frame) =>
        frame.function === 'f20' ? [{ ...frame, function: 'inlined', inlined: true as const }, frame] : [frame],
      ),
  moduleOf: (address: bigint) => (address === nowhere ? undefined : plainSymbols.moduleOf(address)),
  programAddress: plainSymbols.programAddress,
};

async function gatherFrom(told: Told, live: LiveStacks, values: readonly number[]) {
  const table = values.map((value) => ({
    value: BigInt(value),
    type: 'Event',
    access: 0,
    inheritable: false,
    protectFromClose: false,
  }));
  const sources = { ledger: new ToldLedger(told), symbols, startTime: 0n, hasWindows: false, live };
  return (await gather(table, sources, async () => new Map())).evidence;
}

const openedAt = (time: bigint, threadId = 1) => ({ ...calledBy(1, 'NtCreateEvent', time), threadId });
const opened = (time: bigint, threadId = 1) => openLife(1, 'Event', { opened: openedAt(time, threadId) });
const closedLife = (time: bigint) => openLife(1, 'Event', { isOpen: false, opened: openedAt(time) });
const stacks = { 1: [0x10n, 0x20n, 0x30n, nowhere], 2: [0x11n, 0x30n] };

describe('threads that opened handles and run on', () => {
  it('are named with the frames that they had not left, and the handle that they opened last', async () => {
    const { open } = await gatherFrom(
      { stacks, lives: { 4: opened(20_000n), 8: opened(30_000n), 12: opened(10_000n) } },
      one(0x20n, 9n, 0x30n),
      [4, 8, 12],
    );
    expect(open[0]!.opened!.stack.map(({ function: name }) => name)).toEqual(['f10', 'inlined', 'f20', 'f30', 'f9999']);
    expect(open[0]!.openers).toEqual([{ threadId: 1, liveFrom: 1, count: 3, last: 8n, lastTimeMs: 3 }]);
  });

  it.each<[title: string, lives: Told['lives'], live: LiveStacks, last: bigint | undefined]>([
    ['has no last one when it closed a later one', { 4: opened(1n), 8: closedLife(2n) }, one(0x30n), undefined],
    ['has a last one when it closed an earlier one', { 4: opened(2n), 8: closedLife(1n) }, one(0x30n), 4n],
    ['has a last one when the clock cannot tell', { 4: opened(2n), 8: closedLife(2n) }, one(0x30n), 4n],
  ])('a thread %s', async (_, lives, live, last) => {
    const { open } = await gatherFrom({ stacks, lives: lives! }, live, [4]);
    expect(open[0]!.openers!.map((opener) => opener.last)).toEqual([last]);
  });

  it('are left out when they have left all of the frames, or have ended', async () => {
    const { open } = await gatherFrom({ stacks, lives: { 4: opened(1n), 8: opened(2n, 5) } }, one(0x99n), [4, 8]);
    expect(open[0]!.openers).toBeUndefined();
  });

  it('are known of handles that were swept away, unless their values were given out again', async () => {
    const swept = calledBy(2, 'f7001');
    const sweep = { count: 3, values: [4n, 8n, 12n], life: opened(10_000n), swept };
    const lives = { 8: closedLife(30_000n), 12: opened(40_000n) };
    const told = { stacks: { ...stacks, 2: [0x7001n, 0x20n] }, lives, sweeps: [sweep] };
    const { open, ending } = await gatherFrom(told, one(0x20n, 9n, 0x30n), []);
    expect(open[0]).toMatchObject({
      sweptBy: 'f7001',
      openers: [{ threadId: 1, liveFrom: 1, count: 2, last: 8n, lastTimeMs: 3 }],
    });
    expect(ending).toBeDefined();
  });

  it('may be others than those that close, which are named with the newest handles', async () => {
    const live = new LiveStacks([
      { threadId: 1, halves: words(0x99n) },
      { threadId: 7, halves: words(0x11n, 9n, 0x30n) },
    ]);
    const { open } = await gatherFrom(
      { stacks, lives: { 4: opened(1n), 8: opened(3n), 12: opened(2n) }, closedBy: { 1: 2 } },
      live,
      [4, 8, 12],
    );
    expect(open[0]!.closers!.map(({ threadId, liveFrom }) => [threadId, liveFrom])).toEqual([[7, 0]]);
    expect(open[0]!.newest).toEqual([8n]);
  });
});

describe('the end of a target', () => {
  /** A handle of a site of which others are closed: then the end matters. */
  const forgotten: Told = { stacks, lives: { 4: opened(1n) }, closedBy: { 1: 2 } };

  it('is left out where it does not matter', async () => {
    const exit = { threadId: 3, byException: false, stackId: 1 };
    expect((await gatherFrom({ stacks, exit }, new LiveStacks([]), [])).ending).toBeUndefined();
  });

  it.each<[title: string, told: Told, cause: string, hasStack: boolean]>([
    ['that ends itself is a call', { exit: { threadId: 3, byException: false, stackId: 1 } }, 'call', true],
    ['by an exception is a crash', { exit: { threadId: 3, byException: true, stackId: 0 } }, 'crash', false],
    ['that it did not make itself came from outside', {}, 'outside', false],
  ])('%s', async (_, told, cause, hasStack) => {
    const { ending } = await gatherFrom({ ...forgotten, ...told }, new LiveStacks([]), [4]);
    expect([ending!.cause, ending!.stack !== undefined]).toEqual([cause, hasStack]);
  });

  it('by a fast fail is a crash, though no call shows it', async () => {
    const sources = {
      ledger: new ToldLedger(forgotten),
      symbols,
      startTime: 0n,
      hasWindows: false,
      hasFailedFast: true,
    };
    const entry = { value: 4n, type: 'Event', access: 0, inheritable: false, protectFromClose: false };
    expect((await gather([entry], sources, async () => new Map())).evidence.ending).toEqual({ cause: 'crash' });
  });

  it('matters to a handle whose thread or process has ended', async () => {
    const description = { object: { type: 'Process' }, ended: true };
    const sources = { ledger: new ToldLedger({ stacks, lives: { 4: opened(1n) } }), symbols, startTime: 0n };
    const entry = { value: 4n, type: 'Process', access: 0, inheritable: false, protectFromClose: false };
    const describeAll = async () => new Map([[4n, description]]);
    const { evidence } = await gather([entry], { ...sources, hasWindows: false }, describeAll);
    expect(evidence.ending).toEqual({ cause: 'outside' });
  });

  it('is none of a target that goes on', async () => {
    const sources = { ledger: new ToldLedger(forgotten), symbols, startTime: 0n, hasWindows: false, goesOn: true };
    const entry = { value: 4n, type: 'Event', access: 0, inheritable: false, protectFromClose: false };
    expect((await gather([entry], sources, async () => new Map())).evidence.ending).toEqual({ cause: 'goes-on' });
  });

  it.each([
    [
      'of Windows is an interruption',
      ['default_ctrl_handler', 'CtrlRoutine', 'BaseThreadInitThunk'],
      true,
      'interrupted',
    ],
    ['of the program is a call', ['my_handler', 'CtrlRoutine', 'BaseThreadInitThunk'], false, 'call'],
  ])('in a handler of Ctrl-C %s', async (_, names, isSystems, cause) => {
    const stack = names.map((name, index) => ({
      module: index === 0 && !isSystems ? 'app.exe' : 'kernelbase.dll',
      function: name,
      offset: 0,
      ...(index > 0 || isSystems ? { system: true as const } : {}),
    }));
    // On Wine a walk runs past the bottom of a thread.
    const walked = [...stack, { module: 'app.exe', offset: 0xc0000000 }];
    const sources = {
      ledger: new ToldLedger({ ...forgotten, exit: { threadId: 3, byException: false, stackId: 1 } }),
      symbols: { ...symbols, resolveStack: () => walked },
      startTime: 0n,
      hasWindows: false,
    };
    const entry = { value: 4n, type: 'Event', access: 0, inheritable: false, protectFromClose: false };
    expect((await gather([entry], sources, async () => new Map())).evidence.ending!.cause).toBe(cause);
  });

  it.each(['RtlUserThreadStart', 'KiUserExceptionDispatcher', 'abort'])('in %s is a crash', async (name) => {
    const sources = {
      ledger: new ToldLedger({ ...forgotten, exit: { threadId: 3, byException: false, stackId: 1 } }),
      symbols: { ...symbols, resolveStack: () => [{ module: 'ntdll.dll', function: name, offset: 0 }] },
      startTime: 0n,
      hasWindows: false,
    };
    const entry = { value: 4n, type: 'Event', access: 0, inheritable: false, protectFromClose: false };
    expect((await gather([entry], sources, async () => new Map())).evidence.ending!.cause).toBe('crash');
  });
});
