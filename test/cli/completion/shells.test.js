// The completion in the shells themselves, as far as they are installed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cases } from './cases.js';
import { makeFiles, shells } from './shells.js';

const tool = fileURLToPath(new URL('../../../bin/unclosed.cjs', import.meta.url));
/** Lines for which all shells must propose the same words. */
const compared = ['unclosed run --', 'unclosed attach --', 'unclosed watch --', 'unclosed '];
/** @type {Map<string, readonly string[]>} */
const firstAnswers = new Map();

for (const { name, program, completesPrograms, ask } of shells) {
  const isUnix = process.platform !== 'win32';
  const isInstalled = (isUnix || name === 'powershell') && spawnSync(program, ['--version']).error === undefined;
  describe(`the completion in ${program}`, { skip: isInstalled ? false : `there is no ${program} here` }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'unclosed-completion-'));
    after(() => rmSync(folder, { recursive: true, maxRetries: 5, retryDelay: 200 }));
    /** @type {Map<string, readonly string[]>} */
    const answers = new Map();

    before(async () => {
      makeFiles(folder);
      // Without Wine: a shell asks at each of its starts.
      const env = { ...process.env, ...(isUnix && { WINE: '/nowhere/wine', UNCLOSED_HOME: '/nowhere' }) };
      const { status, stdout, stderr } = spawnSync(process.execPath, [tool, 'completion', name], { env });
      assert.equal(status, 0, stderr.toString());
      const script = join(folder, 'completion-script');
      writeFileSync(script, stdout);
      const lines = [...cases.map(({ line }) => line), ...compared];
      (await ask(script, lines, folder)).forEach((words, index) => answers.set(lines[index] ?? '', words));
    });

    for (const { title, line, proposes, needs } of cases) {
      const skip =
        needs === 'programs' && !completesPrograms ? 'bash-completion, which does that, is not installed' : false;
      it(`proposes ${title}`, { skip }, () => assert.deepEqual(answers.get(line), proposes));
    }

    for (const line of compared) {
      it(`proposes for "${line}" the words of the other shells`, () => {
        const words = answers.get(line) ?? [];
        assert.ok(words.length > 5, words.join(' '));
        const first = firstAnswers.get(line) ?? words;
        firstAnswers.set(line, first);
        assert.deepEqual(words, first);
      });
    }
  });
}
