// The launcher's decisions, without Wine.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cacheDirectory, makeOnce } from '../../../launcher/cache.js';
import { forwarderDll } from '../../../launcher/forwarder-dll.js';
import { onDriveZ, wineEnvironment } from '../../../launcher/host.js';
import { judgeEnd } from '../../../launcher/launch.js';
import { koffiPackage, matchesIntegrity, nodePackage } from '../../../launcher/packages.js';
import { prefixName } from '../../../launcher/prefix.js';
import { isAlive, leadsSession } from '../../../launcher/processes.js';
import { parseVerdict } from '../../../launcher/verdict.js';
import { chooseWine, findWine, whyNoWine, wineCandidates } from '../../../launcher/wine.js';
import { eventually } from '../run/shell.js';
import { isInstalled, npmThatKnowsPlatforms } from '../../../scripts/dependencies.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

describe('a process', { skip: process.platform === 'win32' && 'there is no launcher on Windows' }, () => {
  it('is alive until it has ended, even if its exit code is not asked for', async () => {
    // The shell becomes the second sleep, which does not know about the first.
    const parent = spawn('sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [text] = await once(parent.stdout, 'data');
      const orphan = Number(text);
      assert.equal(isAlive(orphan), true);
      await eventually(() => !isAlive(orphan));
      assert.equal(existsSync(`/proc/${orphan}`), true, 'it is still there, as a zombie');
      assert.equal(isAlive(parent.pid ?? 0), true);
    } finally {
      parent.kill();
    }
  });

  it('leads a session when it was detached, as a daemon is, and not when it was just started', async () => {
    for (const detached of [true, false]) {
      const child = spawn('sleep', ['60'], { detached, stdio: 'ignore' });
      await once(child, 'spawn');
      assert.equal(leadsSession(child.pid ?? 0), detached);
      child.kill();
    }
    assert.equal(leadsSession(0x7fff_ffff), false);
  });
});

describe('the choice of a Wine', () => {
  it("is the user's, when WINE names a path", () => {
    assert.deepEqual(
      wineCandidates({ WINE: '/a/wine', PATH: '/usr/bin' }, () => ['wine-stable']),
      ['/a/wine'],
    );
  });

  it('is looked up on the PATH, when WINE is a name', () => {
    assert.deepEqual(
      wineCandidates({ WINE: 'wine10', PATH: '/a:/b' }, () => []),
      ['/a/wine10', '/b/wine10'],
    );
  });

  it("prefers Debian's loader to its script, then 64-bit names, then /opt", () => {
    assert.deepEqual(
      wineCandidates({ PATH: '/usr/bin::relative' }, () => ['other', 'wine-devel']),
      [
        '/usr/lib/wine/wine64',
        '/usr/bin/wine64',
        '/usr/bin/wine',
        '/opt/wine-devel/bin/wine64',
        '/opt/wine-devel/bin/wine',
      ],
    );
  });

  /** @type {[Record<string, string>, string | undefined, string[]][]} */
  const cases = [
    [{ a: 'wine-8.0 (Debian 8.0~repack-4)' }, 'a', []],
    [{ a: 'wine-10.0' }, 'a', []],
    [{ a: 'wine-7.22', b: 'wine-9.0' }, 'b', ['a']],
    [{ b: 'wine-9.0', c: 'wine-10.0' }, 'b', []],
    [{ a: 'not a version', b: 'wine-6.0.3 (Ubuntu 6.0.3~repack-1)' }, undefined, ['a', 'b']],
    [{}, undefined, []],
  ];
  for (const [versions, expected, tooOld] of cases) {
    it(`is ${expected} of ${JSON.stringify(versions)}`, () => {
      const choice = chooseWine(['a', 'b', 'c'], (path) => versions[path]);
      assert.equal(choice.wine?.path, expected);
      assert.deepEqual(
        choice.tooOld.map(({ path }) => path),
        tooOld,
      );
    });
  }

  it('is started as it is where there is no setarch', {
    skip: process.platform === 'win32' && 'there is no Wine on Windows',
  }, () => {
    const { path } = findWine(process.env);
    assert.deepEqual(findWine({ WINE: path, PATH: '/nowhere' }).starter, []);
  });

  it('says for three families of Linux how to get one', () => {
    const text = whyNoWine({}, undefined);
    for (const line of [
      'sudo apt-get install --no-install-recommends wine wine64',
      'sudo dnf install wine',
      'sudo pacman -S wine',
    ]) {
      assert.ok(text.includes(line), text);
    }
  });

  it('names the one that is too old', () => {
    assert.match(
      whyNoWine({}, { path: '/usr/bin/wine', version: 'wine-6.0.3' }),
      /found wine-6\.0\.3 at \/usr\/bin\/wine/,
    );
  });
});

describe('the pinned packages', () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));

  it('have the koffi binary of the koffi that the project depends on', () => {
    assert.equal(koffiPackage.version, dependencies.koffi);
    assert.equal(koffiPackage.integrity, packages[`node_modules/${koffiPackage.name}`].integrity);
  });

  it('have a Node.js that the project supports', () => {
    assert.match(nodePackage.version, /^22\./);
  });
});

describe('matchesIntegrity', () => {
  const hello = 'sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==';

  it('accepts the content that was hashed and nothing else', () => {
    assert.equal(matchesIntegrity(Buffer.from('hello'), hello), true);
    assert.equal(matchesIntegrity(Buffer.from('hello '), hello), false);
    assert.equal(matchesIntegrity(Buffer.alloc(0), hello), false);
  });

  for (const integrity of ['', 'sha1-qvTGHdzF6KLavt4PO0gs2a6pQ00=', 'sha512-', `${hello} sha512-x`]) {
    it(`refuses ${JSON.stringify(integrity)}`, () => {
      assert.throws(() => matchesIntegrity(Buffer.from('hello'), integrity), TypeError);
    });
  }
});

describe('the cache', () => {
  /** @type {[NodeJS.ProcessEnv, string][]} */
  const cases = [
    [{}, join(homedir(), '.cache/unclosed')],
    [{ XDG_CACHE_HOME: '/c' }, '/c/unclosed'],
    [{ XDG_CACHE_HOME: 'relative' }, join(homedir(), '.cache/unclosed')],
    [{ XDG_CACHE_HOME: '/c', UNCLOSED_HOME: '/u' }, '/u'],
  ];
  for (const [environment, expected] of cases) {
    it(`of ${JSON.stringify(environment)} is ${expected}`, { skip: process.platform === 'win32' }, () => {
      assert.equal(cacheDirectory(environment), expected);
    });
  }

  it('refuses a relative UNCLOSED_HOME', () => {
    assert.throws(
      () => cacheDirectory({ UNCLOSED_HOME: 'here' }),
      /^Error: Cannot use UNCLOSED_HOME: here: not an absolute path\.$/,
    );
  });
});

describe('makeOnce', () => {
  let parent = '';
  beforeEach(() => (parent = mkdtempSync(join(tmpdir(), 'unclosed-once-'))));
  afterEach(() => rmSync(parent, { recursive: true }));
  const fill = (/** @type {string} */ text) => async (/** @type {string} */ directory) =>
    writeFileSync(join(directory, 'file'), text);

  it('makes a directory the first time only', async () => {
    const directory = join(parent, 'deep', 'made');
    await makeOnce(directory, fill('first'));
    await makeOnce(directory, fill('second'));
    assert.equal(readFileSync(join(directory, 'file'), 'utf8'), 'first');
    assert.deepEqual(readdirSync(join(parent, 'deep')), ['made']);
  });

  it('leaves nothing when the work fails, and can be tried again', async () => {
    const directory = join(parent, 'made');
    await assert.rejects(
      makeOnce(directory, async () => Promise.reject(new Error('no network'))),
      /no network/,
    );
    assert.deepEqual(readdirSync(parent), []);
    await makeOnce(directory, fill('again'));
    assert.equal(readFileSync(join(directory, 'file'), 'utf8'), 'again');
  });

  it('keeps the first of two that race', async () => {
    const directory = join(parent, 'made');
    await Promise.all([
      makeOnce(directory, async (temporary) => {
        await makeOnce(directory, fill('winner'));
        await fill('loser')(temporary);
      }),
    ]);
    assert.equal(readFileSync(join(directory, 'file'), 'utf8'), 'winner');
    assert.deepEqual(readdirSync(parent), ['made']);
  });

  it('removes what a killed process of this machine left, and nothing of the living or of other machines', async () => {
    const dead = `.new-${hostname()}-4194305-abcdef`; // above Linux's largest process id
    const alive = `.new-${hostname()}-${process.pid}-abcdef`;
    const elsewhere = '.new-elsewhere.example-4194305-abcdef';
    for (const name of [dead, alive, elsewhere]) mkdirSync(join(parent, name));
    await makeOnce(join(parent, 'made'), fill(''));
    assert.deepEqual(readdirSync(parent).sort(), [alive, elsewhere, 'made'].sort());
    assert.equal(existsSync(join(parent, dead)), false);
  });
});

describe('prefixName', () => {
  it('is readable, and differs for every Wine', () => {
    const name = prefixName('wine-8.0 (Debian 8.0~repack-4)', '/usr/lib/wine/wine64');
    assert.match(name, /^wine-8\.0-debian-8\.0-repack-4-[0-9a-f]{8}$/);
    assert.notEqual(prefixName('wine-8.0 (Debian 8.0~repack-4)', '/opt/wine/bin/wine'), name);
    assert.notEqual(prefixName('wine-10.0', '/usr/lib/wine/wine64'), name);
  });
});

describe('the environment for Wine', () => {
  it("leaves out what is meant for this machine's Node.js", () => {
    const environment = wineEnvironment(
      { NODE_OPTIONS: '-r /x', NODE_CHANNEL_FD: '3', NODE_ENV: 'test', HOME: '/h' },
      { isUtf8: true },
    );
    assert.deepEqual(environment, {
      NODE_ENV: 'test',
      HOME: '/h',
      WINEDEBUG: '-all',
      WINEDLLOVERRIDES: 'winemenubuilder.exe,winedbg.exe=d',
    });
  });

  it("keeps the user's own wishes for Wine", () => {
    const { WINEDEBUG, WINEDLLOVERRIDES } = wineEnvironment(
      { WINEDEBUG: '+relay', WINEDLLOVERRIDES: 'x=n' },
      { isUtf8: true },
    );
    assert.equal(WINEDEBUG, '+relay');
    assert.equal(WINEDLLOVERRIDES, 'x=n;winemenubuilder.exe,winedbg.exe=d');
  });

  it("has no TMPDIR, by which Debian's Wine would find another server", () => {
    assert.equal('TMPDIR' in wineEnvironment({ TMPDIR: '/elsewhere' }, { isUtf8: true }), false);
  });

  it('sets a UTF-8 locale where there is none', () => {
    assert.equal(wineEnvironment({ LC_ALL: 'C' }, { isUtf8: false }).LC_ALL, 'C.UTF-8');
    assert.equal(wineEnvironment({ LC_ALL: 'de_DE.UTF-8' }, { isUtf8: true }).LC_ALL, 'de_DE.UTF-8');
  });

  it('has / on drive Z:', () => {
    assert.equal(onDriveZ('/a b/c'), 'Z:\\a b\\c');
  });
});

describe('judgeEnd', () => {
  const wine = { path: 'wine', version: 'wine-8.0' };
  const silent = { said: { hasStarted: true }, code: 0, signal: null, lostServer: false, interruptions: 0 };
  /** @type {[string, Partial<import('../../../launcher/run.js').End>, number, RegExp?][]} */
  const cases = [
    ["takes the tool's word for its exit code", { said: { hasStarted: true, exitCode: 1 }, code: 1 }, 1],
    [
      'takes it when the process ended with another code',
      { said: { hasStarted: true, exitCode: 1 }, code: 0, lostServer: true },
      1,
    ],
    ['keeps eight bits of it, as Linux does', { said: { hasStarted: true, exitCode: 0x1_02 }, code: 2 }, 2],
    ['keeps a failure whose eight bits are none', { said: { hasStarted: true, exitCode: 0x1_00 }, code: 0 }, 1],
    ['takes no exit code of 0 without it', {}, 2, /ended early under wine-8\.0 \(exit code 0\)\. Try again/],
    ['takes no exit code of 1 without it', { code: 1 }, 2, /\(exit code 1\)/],
    ['takes no exit code of a program that never began', { said: { hasStarted: false } }, 2, /\(exit code 0\)/],
    ['names a signal', { code: null, signal: 'SIGSEGV' }, 2, /\(signal SIGSEGV\)/],
    ['says that the server is lost', { code: null, lostServer: true }, 2, /the server of wine-8\.0 crashed/],
    ['adds nothing to what the tool has said with exit code 2', { code: 2 }, 2],
    ['says that an interruption came too early for a report', { interruptions: 1 }, 130, /interrupted before/],
    ['is silent when the user has ended everything', { code: null, signal: 'SIGKILL', interruptions: 2 }, 137],
  ];
  for (const [title, end, code, complaint] of cases) {
    it(title, () => {
      const judged = judgeEnd({ ...silent, ...end }, wine);
      assert.equal(judged.code, code);
      if (complaint === undefined) assert.equal(judged.complaint, undefined);
      else assert.match(judged.complaint ?? '', complaint);
    });
  }
});

describe('parseVerdict', () => {
  /** @type {[string, import('../../../launcher/verdict.js').Said][]} */
  const cases = [
    ['', { hasStarted: false }],
    ['started\n', { hasStarted: true }],
    ['started\nended 0\n', { hasStarted: true, exitCode: 0 }],
    ['started\nended 3221225477\n', { hasStarted: true, exitCode: 3221225477 }],
    ['started\nended 1', { hasStarted: true }], // the rest of the number may be missing
    ['started\nended \n', { hasStarted: true }],
    ['started\nended -1\n', { hasStarted: true }],
    ['start', { hasStarted: false }],
  ];
  for (const [text, said] of cases)
    it(`reads ${JSON.stringify(text)}`, () => assert.deepEqual(parseVerdict(text), said));
});

describe('forwarderDll', () => {
  const image = forwarderDll({
    dll: 'bcryptprimitives.dll',
    name: 'ProcessPrng',
    target: 'advapi32.SystemFunction036',
  });
  const view = new DataView(image.buffer);
  const textAt = (/** @type {number} */ at) => Buffer.from(image.subarray(at, image.indexOf(0, at))).toString('latin1');
  const toFile = (/** @type {number} */ address) => address - 0x1000 + 0x200;

  it('is an x64 DLL without an entry point', () => {
    assert.equal(textAt(0), 'MZ');
    const pe = view.getUint32(0x3c, true);
    assert.equal(textAt(pe), 'PE');
    assert.equal(view.getUint16(pe + 4, true), 0x8664);
    assert.equal(view.getUint16(pe + 22, true) & 0x2000, 0x2000);
    assert.equal(view.getUint32(pe + 24 + 16, true), 0);
  });

  it('exports one name, which lies inside the export directory and is so a forwarder', () => {
    const [start, size] = [view.getUint32(0x58 + 112, true), view.getUint32(0x58 + 116, true)];
    const directory = toFile(start);
    const target = view.getUint32(toFile(view.getUint32(directory + 28, true)), true);
    assert.ok(target >= start && target < start + size);
    assert.equal(textAt(toFile(target)), 'advapi32.SystemFunction036');
    assert.equal(textAt(toFile(view.getUint32(toFile(view.getUint32(directory + 32, true)), true))), 'ProcessPrng');
    assert.equal(textAt(toFile(view.getUint32(directory + 12, true))), 'bcryptprimitives.dll');
  });
});

describe('isInstalled', () => {
  const wanted = {
    packages: {
      '': { version: '0.1.0' },
      'node_modules/a': { version: '1.0.0' },
      'node_modules/b-linux': { version: '1.0.0', optional: true, os: ['linux'], cpu: ['x64'] },
      'node_modules/b-win': { version: '1.0.0', optional: true, os: ['win32'], cpu: ['x64'] },
    },
  };
  const a = { version: '1.0.0' };
  /** @type {[string, boolean, Record<string, { version: string }>][]} */
  const cases = [
    ['all that this platform needs', true, { 'node_modules/a': a, 'node_modules/b-win': a }],
    ['nothing', false, {}],
    ['a package too few', false, { 'node_modules/b-win': a }],
    ['not the Windows binary', false, { 'node_modules/a': a, 'node_modules/b-linux': a }],
    ['another version', false, { 'node_modules/a': { version: '1.0.1' }, 'node_modules/b-win': a }],
  ];
  for (const [what, expected, packages] of cases) {
    it(`is ${expected} when there is ${what}`, () => {
      assert.equal(isInstalled(wanted, { packages }), expected);
    });
  }
});

describe('npm', () => {
  const newer = ['npm', 'exec', '--yes', '--package=npm@10.9.9', '--', 'npm'];
  /** @type {[string, string[]][]} */
  const cases = [
    ['9.2.0\n', newer],
    ['10.0.0\n', newer],
    ['10.1.0\n', ['npm']],
    ['11.0.0\n', ['npm']],
    ['', newer],
  ];
  for (const [version, expected] of cases) {
    it(`of version "${version.trim()}" ${expected === newer ? 'fetches a newer one, for it installs for its own platform only' : 'installs for the platform of .npmrc'}`, () => {
      assert.deepEqual(npmThatKnowsPlatforms(version), expected);
    });
  }
});
