// Enter, which lets a held thread go on, from a pipe of Linux and from a terminal.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inTerminal } from '../terminal.js';
import { eventually, fixtures, makeDirectory, shell, skip, unclosed } from './shell.js';

const cwd = makeDirectory();
const run = `${unclosed} run --break-on double-close -- '${join(fixtures, 'double-closes-event.exe')}'`;
const planted = /double-close Event 0x/;

describe('Enter', { skip }, () => {
  it('lets a held thread go on when it comes through a pipe', () => {
    const type = 'until grep -q "Press Enter" err; do sleep 0.1; done; cp out before; echo';
    const { status } = shell(`touch out err; (${type}) | ${run} > out 2> err`, { cwd });
    assert.equal(status, 1);
    assert.doesNotMatch(readFileSync(join(cwd, 'before'), 'utf8'), planted);
    assert.match(readFileSync(join(cwd, 'out'), 'utf8'), planted);
    assert.doesNotMatch(readFileSync(join(cwd, 'err'), 'utf8'), /stdin has ended/);
  });

  it('lets a held thread go on when it is pressed in a terminal', async () => {
    const { status, stdout } = await inTerminal(run, {
      cwd,
      async type(write, shown) {
        await eventually(() => shown().includes('Press Enter'));
        // Wine's console drops what was typed before it began.
        for (; !shown().includes('exited with 0'); await sleep(300)) write('\r');
      },
    });
    assert.equal(status, 1);
    assert.doesNotMatch(stdout, /stdin has ended/);
  });
});
