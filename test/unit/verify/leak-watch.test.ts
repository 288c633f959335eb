import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

/** The process in which the tests of a user run. */
const world = {
  /** Names of its open handles. */
  open: [] as string[],
  /** Lines that have reached the auditor. */
  told: [] as string[],
  /** Acts that fail, once each. */
  failing: new Set<string>(),
  /** How long the auditor takes, and its pipe is open. */
  answerMs: 0,
  /** How long it takes to name handles. */
  nameMs: 0,
};

const close = (name: string): void => void (world.open = world.open.filter((each) => each !== name));
const pass = async (ms: number): Promise<void> => await new Promise((resolve) => setTimeout(resolve, ms));

function attempt(act: string): void {
  if (world.failing.delete(act)) throw new Error(`cannot ${act}`);
}

async function tell(act: string): Promise<number> {
  attempt(act);
  world.told.push(act);
  world.open.push(`pipe for ${act}`);
  if (world.answerMs > 0) await pass(world.answerMs);
  close(`pipe for ${act}`);
  return 1;
}

vi.mock('../../../src/ffi/ntdll.ts', () => ({ isWine: true }));
vi.mock('../../../src/process/clock.ts', () => ({ nowMs: () => Date.now() }));
vi.mock('../../../src/marks/mark.ts', () => ({
  MARK_VARIABLE: 'UNCLOSED_MARK',
  begin: async (name: string) => await tell(`begin ${name}`),
  end: async (name: string) => await tell(`end ${name}`),
}));
vi.mock('../../../src/verify/left-handles.ts', () => ({
  readMoment: () => {
    attempt('read');
    return [...world.open];
  },
  listNew: (before: readonly string[], now: readonly string[]) => now.filter((name) => !before.includes(name)),
  describeNew: async (found: readonly string[]) => {
    if (world.nameMs > 0) await pass(world.nameMs);
    return found.map((name) => ({ value: 4n, type: 'File', name }));
  },
}));

const { findLeft, LeakWatch } = await import('../../../src/verify/leak-watch.ts');

const settleMs = 100;
const watchTests = () => new LeakWatch({ settleMs });

/** `clean`, or the first line of the error and the handles. */
async function outcomeOf(verdict: Promise<unknown>): Promise<string> {
  return await verdict.then(
    () => 'clean',
    (error: Error) => error.message.replaceAll(/\n {2}File 0x4 {2}/g, ' '),
  );
}

/** Lets all time pass that a promise needs. */
async function settled<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => {});
  await vi.runAllTimersAsync();
  return await promise;
}

beforeEach(() => {
  vi.useFakeTimers();
  Object.assign(world, { open: [], told: [], failing: new Set(), answerMs: 0, nameMs: 0 });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

describe('a call that is to leave no handles', () => {
  it('is said to have left what is open after it', async () => {
    world.open = ['old'];
    expect(await settled(findLeft(() => world.open.push('new'), { settleMs }))).toMatchObject([{ name: 'new' }]);
  });

  it.each([
    ['throws', () => Promise.reject(new Error('the work')), undefined],
    ['throws while the auditor goes away', () => Promise.reject(new Error('the work')), 'end the call'],
  ])('ends its section when its work %s, and passes on the error at once', async (_, work, fault) => {
    vi.stubEnv('UNCLOSED_MARK', 'tests');
    if (fault !== undefined) world.failing.add(fault);
    const began = Date.now();
    const failing = findLeft(
      () => {
        world.open.push('left by work that failed');
        return work();
      },
      { settleMs },
    );
    await expect(settled(failing)).rejects.toThrow('the work');
    expect(world.told).toEqual(fault === undefined ? ['begin the call', 'end the call'] : ['begin the call']);
    expect(Date.now() - began).toBeLessThan(settleMs);
  });
});

describe('tests that overlap', () => {
  it('are judged together when one begins while handles of the other may yet be closed', async () => {
    const watch = watchTests();
    await watch.begin('one');
    world.open = ['slow'];
    setTimeout(() => close('slow'), 30);
    const first = outcomeOf(watch.end('one'));
    await watch.begin('two');
    world.open.push('of two');
    await vi.advanceTimersByTimeAsync(2 * settleMs);
    close('of two');
    expect(await settled(Promise.all([first, outcomeOf(watch.end('two'))]))).toEqual(['clean', 'clean']);
  });

  it('fail in the last of them, which names all that may have left the handle', async () => {
    const watch = watchTests();
    await watch.begin('one');
    world.open = ['left'];
    const first = outcomeOf(watch.end('one'));
    await vi.advanceTimersByTimeAsync(30);
    await watch.begin('two');
    expect(await settled(Promise.all([first, outcomeOf(watch.end('two'))]))).toEqual([
      'clean',
      '1 handle was left open by one of the tests “one”, “two”, which ran at the same time: left',
    ]);
    await watch.begin('three');
    expect(await settled(outcomeOf(watch.end('three')))).toBe('clean');
  });

  it('fail once, although one begins and ends while the handles of the other are being named', async () => {
    world.nameMs = 50;
    const watch = watchTests();
    await watch.begin('one');
    world.open = ['left'];
    const first = outcomeOf(watch.end('one'));
    await vi.advanceTimersByTimeAsync(settleMs + 30); // in the midst of naming
    await watch.begin('two');
    const outcomes = await settled(Promise.all([first, outcomeOf(watch.end('two'))]));
    expect(outcomes).toEqual(['clean', expect.stringMatching(/^1 handle .* “one”, “two”/)]);
  });

  it('are not accused of the pipes that tell the auditor of their ends', async () => {
    vi.stubEnv('UNCLOSED_MARK', 'tests');
    world.answerMs = 3 * settleMs;
    const watch = watchTests();
    await settled(Promise.all([watch.begin('one'), watch.begin('two')]));
    const first = outcomeOf(watch.end('one'));
    await vi.advanceTimersByTimeAsync(10);
    expect(await settled(Promise.all([first, outcomeOf(watch.end('two'))]))).toEqual(['clean', 'clean']);
  });

  it('are judged although one ends while the auditor takes the end of the other', async () => {
    vi.stubEnv('UNCLOSED_MARK', 'tests');
    const watch = watchTests();
    await watch.begin('one');
    world.answerMs = 50;
    const first = outcomeOf(watch.end('one'));
    await vi.advanceTimersByTimeAsync(10);
    world.answerMs = 0;
    await watch.begin('two');
    world.open.push('left');
    expect(await settled(Promise.all([first, outcomeOf(watch.end('two'))]))).toEqual([
      '1 handle was left open by one of the tests “one”, “two”, which ran at the same time: left',
      'clean',
    ]);
  });
});

describe('the section of a test', () => {
  it('lasts until the handles of the test are closed', async () => {
    vi.stubEnv('UNCLOSED_MARK', 'tests');
    const watch = watchTests();
    await watch.begin('one');
    world.open = ['slow'];
    setTimeout(() => close('slow'), 30);
    const verdict = outcomeOf(watch.end('one'));
    await vi.advanceTimersByTimeAsync(20);
    expect(world.told).toEqual(['begin one']);
    expect(await settled(verdict)).toBe('clean');
    expect(world.told).toEqual(['begin one', 'end one']);
  });

  it.each([
    ['two\nlines', 'two lines'],
    ['', 'unnamed'],
    [' \n ', 'unnamed'],
  ])('has one line for a name: %j is %j', async (name, label) => {
    vi.stubEnv('UNCLOSED_MARK', 'tests');
    const watch = watchTests();
    await watch.begin(name);
    await settled(watch.end(name));
    expect(world.told).toEqual([`begin ${label}`, `end ${label}`]);
  });

  it('ends although the handles cannot be looked at', async () => {
    vi.stubEnv('UNCLOSED_MARK', 'tests');
    const watch = watchTests();
    await watch.begin('one');
    world.failing.add('read');
    await settled(outcomeOf(watch.end('one')));
    expect(world.told).toEqual(['begin one', 'end one']);
  });
});

describe('a test that cannot begin', () => {
  it.each([
    ['the auditor is gone', 'begin failed', []],
    ['the handles cannot be read', 'read', ['begin failed', 'end failed']],
  ])('leaves no section, and later tests are judged by themselves, when %s', async (_, act, told) => {
    vi.stubEnv('UNCLOSED_MARK', 'tests');
    const watch = watchTests();
    await watch.begin('zero');
    await settled(watch.end('zero'));
    world.told = [];
    world.failing.add(act);
    await expect(watch.begin('failed')).rejects.toThrow(`cannot ${act}`);
    world.open = ['made between tests'];
    expect(await settled(outcomeOf(watch.end('failed')))).toBe('clean'); // runners call afterEach all the same
    expect(world.told).toEqual(told);
    await watch.begin('one');
    expect(await settled(outcomeOf(watch.end('one')))).toBe('clean');
    await watch.begin('two');
    world.open.push('left');
    expect(await settled(outcomeOf(watch.end('two')))).toBe('1 handle was left open by “two”: left');
  });

  it('does not keep the test before from being judged', async () => {
    const watch = watchTests();
    await watch.begin('one');
    world.open = ['left'];
    const first = outcomeOf(watch.end('one'));
    vi.stubEnv('UNCLOSED_MARK', 'tests');
    world.failing.add('begin two');
    await expect(watch.begin('two')).rejects.toThrow('cannot begin two');
    const second = outcomeOf(watch.end('two'));
    expect(await settled(Promise.all([first, second]))).toEqual(['clean', '1 handle was left open by “one”: left']);
  });
});

describe('a test whose end nobody tells', () => {
  it('ends its section, and is not mixed up with the next test', async () => {
    vi.stubEnv('UNCLOSED_MARK', 'tests');
    world.answerMs = 3 * settleMs;
    const watch = watchTests();
    await settled(watch.begin('one'));
    world.open.push('left by one');
    void watch.abandon('one');
    await settled(watch.begin('two'));
    expect(world.told).toEqual(['begin one', 'end one', 'begin two']);
    world.open.push('left by two');
    expect(await settled(outcomeOf(watch.end('two')))).toBe('1 handle was left open by “two”: left by two');
  });

  it('is judged as ever when it has ended before', async () => {
    const watch = watchTests();
    await watch.begin('one');
    world.open = ['left'];
    expect(await settled(outcomeOf(watch.end('one')))).toMatch(/“one”: left$/);
    await watch.abandon('one');
    expect(world.told).toEqual([]);
  });
});
