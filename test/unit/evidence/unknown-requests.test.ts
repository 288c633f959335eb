import { expect, test } from 'vitest';

import { countUnknownRequests } from '../../../src/evidence/unknown-requests.ts';
import type { OpenSite } from '../../../src/evidence-model.ts';
import type { Frame } from '../../../src/model.ts';

const frame = (module: string, offset: number, system = false): Frame => ({
  module,
  offset,
  ...(system ? { system: true } : {}),
});
const createFile = frame('kernelbase.dll', 1, true);
const threadStart = frame('ntdll.dll', 2, true);
const fsOpen = frame('node.exe', 10);
const pool = [frame('node.exe', 20), frame('node.exe', 30), frame('node.exe', 40)];
const platform = [frame('node.exe', 21), ...pool.slice(1)];
const asked: Frame = { ...frame('app.js', 0), requested: true };

const site = (count: number, ...stack: readonly Frame[]): OpenSite => ({
  object: { type: 'File' },
  count,
  examples: [],
  opened: { call: 'NtCreateFile', threadId: 4, timeMs: 1, stack },
  endedCount: 0,
});

test('handles of the pool that no function of the program asked for are counted, and those of other threads are not', () => {
  const sites = [
    site(1, createFile, fsOpen, ...pool, asked),
    site(2, createFile, fsOpen, ...pool, threadStart),
    site(4, createFile, ...platform, threadStart),
    site(8),
    site(16, createFile, fsOpen, ...pool, { ...asked, module: 'node', runtime: true }),
  ];
  expect(countUnknownRequests(sites)).toBe(18);
});

test('nothing is counted where no stack shows what the pool looks like', () => {
  expect(countUnknownRequests([site(2, createFile, fsOpen, ...pool, threadStart)])).toBe(0);
});
