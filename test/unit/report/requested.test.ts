import { expect, test } from 'vitest';

import { stacksOf } from '../../../src/report/finding-view.ts';
import { namedStacks } from '../../../src/report/json-values.ts';
import type { Finding, Frame } from '../../../src/model.ts';

const worker: Frame = { module: 'node.exe', function: 'uv_fs_open', offset: 4, runtime: true, javascript: true };
const asker: Frame = { module: 'app.js', function: 'load', offset: 0, line: 3, javascript: true, requested: true };
const finding: Finding = {
  rule: 'leak',
  level: 'warning',
  status: 'new',
  message: 'One File handle opened at load (app.js:3) is still open.',
  count: 1,
  object: { type: 'File' },
  handles: [4n],
  stacks: { opened: [worker, asker] },
  fingerprint: '00000000000000a1',
};

test('the call that asked stands before the one that opened', () => {
  expect(stacksOf(finding)).toEqual([
    ['requested at', [asker]],
    ['opened at', [worker]],
  ]);
});

test('the call that asked has a name of its own in JSON', () => {
  expect(namedStacks(finding)).toEqual([
    ['opened', [worker]],
    ['requested', [asker]],
  ]);
});
