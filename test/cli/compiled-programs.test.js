// Which tests are left out where there is no compiler: scripts/compiled-programs.js.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { countTests, needsCompiledPrograms } from '../../scripts/compiled-programs.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('a test needs compiled programs', () => {
  for (const { path, needs } of [
    { path: 'test/windows/first-report.test.ts', needs: true }, // names one
    { path: 'test/windows/gate/configuration.test.ts', needs: true }, // only its helper does
    { path: 'test/cli/own-prefix/bench.test.js', needs: true },
    { path: 'test/windows/cli/self-test.test.ts', needs: false }, // imports a helper that says where they lie
    { path: 'test/windows/cli/doctor.test.ts', needs: false },
    { path: 'test/windows/io/handle.test.ts', needs: false },
  ])
    it(`${path}: ${needs}`, () => assert.equal(needsCompiledPrograms(root, path), needs));

  it('and is counted by its calls of it() and test()', () => {
    assert.equal(countTests(root, 'test/windows/cli/self-test.test.ts'), 2);
  });
});
