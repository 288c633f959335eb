// The tool in one file, for a start that is twice as quick: under Wine most of a start went into asking where each of a
// hundred small modules lies. Runs in Windows Node.js, as the bundler that npm installed does; see buildTypeScript.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const directory = join(root, 'bundle');

rmSync(directory, { recursive: true, force: true });
/**
 * Rolldown copies the members of built-in modules that are imported by default: that reads all of them, and many a part of
 * Node.js is loaded when it is first read.
 */
const builtInsAsTheyAre = {
  name: 'built-ins-as-they-are',
  renderChunk: (/** @type {string} */ code) => code.replaceAll(/^(node_\w+) = __toESM\(\1, 1\);$/gm, '$1 = { __proto__: $1, default: $1 };'),
};

/** koffi finds its binary by way of a module in the binary's package, which does nothing but load it: another file to look for. */
const binaryAtOnce = {
  name: 'binary-at-once',
  renderChunk: (/** @type {string} */ code) => code.replaceAll('("@koromix/koffi-win32-x64")', '("@koromix/koffi-win32-x64/win32_x64/koffi.node")'),
};

/** @type {Set<string>} */
const packages = new Set();
// CommonJS, for Node.js reads all members of the built-in modules that are imported by an ES module. Of the tool, what is imported
// by `start` only when it is needed stays so. The helper is a program of its own, which the tool finds beside itself.
const parts = [
  { name: 'unclosed', source: 'cli/start.js', postBanner: '(function (exports, require, module, __filename, __dirname) {', postFooter: '})' },
  { name: 'query-helper-main', source: 'handles/query-helper-main.js' },
];
for (const { name, source, ...wrapper } of parts) {
  const bundle = await rolldown({ input: { [name]: join(root, 'dist', source) }, platform: 'node', plugins: [builtInsAsTheyAre, binaryAtOnce] });
  const { output } = await bundle.write({ dir: directory, format: 'cjs', codeSplitting: false, ...wrapper });
  await bundle.close();
  for (const id of output.flatMap((part) => (part.type === 'chunk' ? part.moduleIds : []))) {
    const [, path] = /^(.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)/.exec(id) ?? [];
    if (path !== undefined) packages.add(path);
  }
}
writeFileSync(join(directory, 'package.json'), '{ "type": "commonjs" }\n');
writeFileSync(join(directory, 'LICENSES.txt'), [...packages].sort().map(describeLicense).join('\n'));
const { status } = spawnSync(process.execPath, [join(root, 'scripts/compile.js')], { stdio: 'ignore' });
if (status !== 0) throw new Error(`Cannot compile the bundle: scripts/compile.js: exit code ${status}.`);

/**
 * What the licence of a package asks of those who pass it on.
 *
 * @param {string} path of the package
 */
function describeLicense(path) {
  const { name, version } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
  const file = readdirSync(path).find((entry) => /^licen[cs]e/i.test(entry));
  if (file === undefined) throw new Error(`Cannot bundle ${name}: it has no licence file.`);
  return `${name} ${version}\n\n${readFileSync(join(path, file), 'utf8')}`;
}
