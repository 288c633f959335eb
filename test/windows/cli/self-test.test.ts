import { describe, expect, it } from 'vitest';

import { runTool } from '../tool.ts';

const options = ['doctor', '--self-test'];

describe('unclosed doctor --self-test', () => {
  it('finds every fault where the tests run, and shows nothing of the user’s', async () => {
    const { exitCode, stdout, stderr } = await runTool(options);
    expect(stdout).not.toContain('FAILED');
    expect(stdout).toMatch(/^The self-test passed: (\d+) of \1 as expected\.\n$/m);
    for (const name of ['NtClose', 'mitigations', 'DLLs of others', 'exit gate', 'time: attach'])
      expect(stdout).toMatch(new RegExp(`^  ${name} +\\S`, 'm'));
    expect(stdout).not.toMatch(/[A-Za-z]:[\\/]/); // a path
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  });

  it('fails for each fault that was not committed', async () => {
    const env = { UNCLOSED_SELF_TEST_OMIT: 'key-double,child-leak,stale-close,attach-use' };
    const { exitCode, stdout } = await runTool(options, undefined, [], { env });
    expect(stdout.match(/FAILED .*/g)).toEqual([
      expect.stringMatching(/a registry key is closed twice +double-close +nothing/),
      expect.stringMatching(/a mutex stays open +leak +nothing/),
      expect.stringMatching(/a value is closed that means another event +stale-close +nothing/),
      expect.stringMatching(/a closed event is set +use-after-close +nothing/),
    ]);
    expect(exitCode).toBe(1);
  });
});
