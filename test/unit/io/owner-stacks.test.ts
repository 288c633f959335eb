import { afterEach, expect, test, vi } from 'vitest';

// Nothing here calls Windows.
vi.mock('koffi', () => ({ default: { config: () => {}, load: () => ({}), pointer: () => ({}), proto: () => ({}) } }));

const { OwnedHandle } = await import('../../../src/io/handle.ts');
const { liveOwners } = await import('../../../src/io/ownership.ts');
const { unsafeRawHandle } = await import('../../../src/io/raw.ts');

const usual = Error.prepareStackTrace;
afterEach(() => {
  Error.prepareStackTrace = usual as NonNullable<typeof usual>;
});

function openConfig(): ReturnType<typeof OwnedHandle.fromRawHandle> {
  return OwnedHandle.fromRawHandle(unsafeRawHandle(0x1a4));
}

test.each<[string, typeof Error.prepareStackTrace, RegExp]>([
  ['as Node.js gives it', usual, /^ +at openConfig \(/],
  ['of call sites', (_error, sites) => sites, /^ {4}at openConfig \(/],
  ['of nothing', () => undefined, /^$/],
  [
    'of an error',
    () => {
      throw new Error('no stack today');
    },
    /^$/,
  ],
])('an owner is made whatever the program makes of stacks: a stack %s', (_, prepare, stack) => {
  Error.prepareStackTrace = prepare as NonNullable<typeof prepare>;
  const owner = openConfig();
  const [live] = liveOwners();
  Error.prepareStackTrace = usual as NonNullable<typeof usual>;
  expect(live?.raw).toBe(0x1a4n);
  expect(live?.stack).toMatch(stack);
  owner.intoRawHandle();
  expect(liveOwners()).toEqual([]);
});
