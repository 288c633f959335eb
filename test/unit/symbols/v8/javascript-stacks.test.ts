import { describe, expect, test } from 'vitest';

import { Symbolizer } from '../../../../src/symbols/symbolizer.ts';
import { JavaScriptStacks } from '../../../../src/symbols/v8/javascript-stacks.ts';
import type { LogBytes } from '../../../../src/symbols/v8/log-bytes.ts';

/** A log in which one function of a script lies at 0x1000. */
function logOf(url: string): LogBytes {
  const lines = [
    `script-source,7,${url},function open() {}`,
    `code-creation,JS,2,100,0x1000,256,open ${url}:1:14,0xaa01,~`,
    'code-source-info,0x1000,7,13,18,,,',
  ];
  const text = Buffer.from(`${lines.join('\n')}\n`);
  return {
    sizeBytes: text.length,
    read: (offset, sizeBytes) => text.subarray(offset, offset + sizeBytes),
    [Symbol.dispose]() {},
  };
}

describe('a function of JavaScript is of', () => {
  test.each([
    ['the program, in a file', 'file:///C:/app/leak.js', { module: 'leak.js' }],
    ['the program, in no file', 'https://example.org/leak.js', { module: 'JavaScript' }],
    ['the program, in the scheme of no host', 'external:leak.js', { module: 'JavaScript' }],
    ['Node.js', 'node:fs', { module: 'node', runtime: true }],
    ['Deno', 'ext:deno_fs/30_fs.js', { module: 'deno', runtime: true }],
  ])('%s', (_, url, expected) => {
    using symbolizer = new Symbolizer();
    using stacks = new JavaScriptStacks(symbolizer, [{ bytes: logOf(url), startTime: undefined }], []);
    const [frame] = stacks.resolveStack([0x1010n]);
    const { module, runtime } = frame!;
    expect({ module, ...(runtime && { runtime }) }).toEqual(expected);
  });
});
