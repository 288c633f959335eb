// A minidump of --dump-on, read by lldb, which is not ours. Debian has it as `lldb`.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, win32 } from 'node:path';
import { describe, it } from 'node:test';
import { cacheDirectory } from '../../../launcher/cache.js';
import { fixtures, makeDirectory, shell, skip, unclosed } from './shell.js';

const lldb = ['lldb', 'lldb-14', 'lldb-19'].find((name) => spawnSync(name, ['--version']).status === 0);

describe('a minidump', { skip: skip || (lldb === undefined && 'lldb is not installed') }, () => {
  it('shows lldb the thread that makes the mistake, with its callers', () => {
    const cwd = makeDirectory();
    const program = join(fixtures, 'double-closes-event.exe');
    const { stdout, status } = shell(`${unclosed} run --json --dump-on double-close=dumps -- '${program}'`, { cwd });
    assert.equal(status, 1);
    const [{ dump }] = JSON.parse(stdout).findings;
    assert.equal(readdirSync(join(cwd, 'dumps')).join(), win32.basename(dump));

    const prefixes = join(cacheDirectory(process.env), 'prefixes');
    const modules = readdirSync(prefixes).map((name) => join(prefixes, name, 'drive_c/windows/system32'));
    const search = `settings set target.exec-search-paths '${[fixtures, ...modules].join("' '")}'`;
    const path = join(cwd, 'dumps', win32.basename(dump));
    const args = ['--batch', '--one-line-before-file', search, '--core', path, '--one-line', 'bt'];
    const { stdout: shown } = spawnSync(lldb ?? '', args, { encoding: 'utf8' });
    assert.match(shown, /stop reason = Exception 0x80000003/);
    assert.match(shown, /frame #0: \S+ kernelbase\.dll/);
    assert.match(shown, /frame #1: \S+ double-closes-event\.exe`close_again.*double-closes-event\.c:15/);
    assert.match(shown, /frame #2: \S+ double-closes-event\.exe`main/);
  });
});
