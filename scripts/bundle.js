// The tool in one file, for a start that is twice as quick: under Wine most of a start went into asking where each of a
// hundred small modules lies. Runs in Windows Node.js, as the bundler that npm installed does; see buildTypeScript.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const directory = join(root, 'bundle');

rmSync(directory, { recursive: true, force: true });
/** @type {Set<string>} */
const packages = new Set();
// `start` comes before `main` is loaded, as the latter's imports look at process.stdout. The helper is a program of its own,
// which the tool finds beside itself.
for (const [name, source] of Object.entries({ start: 'cli/start.js', main: 'cli/main.js', 'query-helper-main': 'handles/query-helper-main.js' })) {
  const bundle = await rolldown({ input: { [name]: join(root, 'dist', source) }, platform: 'node', external: ['koffi', './main.js'] });
  const { output } = await bundle.write({ dir: directory, format: 'esm', codeSplitting: false });
  await bundle.close();
  for (const id of output.flatMap((part) => (part.type === 'chunk' ? part.moduleIds : []))) {
    const [, path] = /^(.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)/.exec(id) ?? [];
    if (path !== undefined) packages.add(path);
  }
}
writeFileSync(join(directory, 'LICENSES.txt'), [...packages].sort().map(describeLicense).join('\n'));

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
