// Bundles the tool into one file, which makes a start twice as quick: under Wine, Node.js spent most of a start on
// finding a hundred small modules. Runs in Windows Node.js, for which npm installed the bundler; see buildTypeScript.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

import { assembleAgent } from '../dist/agent/emit/assembly.js';
import { variantName } from '../dist/agent/linkage/agent-code.js';
import { shells, writeCompletion } from '../dist/cli/completion/index.js';
import { loadProgram } from '../dist/cli/program.js';
import { completionFile } from '../launcher/completion.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const directory = join(root, 'bundle');

rmSync(directory, { recursive: true, force: true });
/** Every start needs these. */
const earlyBuiltIns = ['node:fs', 'node:path'];

/**
 * Loads a built-in module where it is first used: loading all imported ones at the start took as long as a short
 * program runs. Members of default imports are not copied, because that would read all of them.
 */
const builtInsWhenNeeded = {
  name: 'built-ins-when-needed',
  renderChunk: (/** @type {string} */ code) => {
    let result = code.replaceAll(/^(node_\w+) = __toESM\(\1, 1\);$/gm, '$1 = { __proto__: $1, default: $1 };');
    for (const [declaration, variable, name = ''] of result.matchAll(
      /^let (node_\w+) = require\("(node:[\w/]+)"\);\n(?:\1 = [^;]+;\n)?/gm,
    )) {
      if (earlyBuiltIns.includes(name)) continue;
      result = result
        .replace(declaration, '')
        .replaceAll(new RegExp(`\\b${variable}(?:\\.default)?\\b`, 'g'), `require("${name}")`);
    }
    return result;
  },
};

/**
 * Keeps chalk from asking about terminals when it is loaded, which needs many parts of Node.js. The tool always sets
 * chalk's level.
 */
const colorsAsTold = {
  name: 'colors-as-told',
  resolveId: (/** @type {string} */ id) => (id === '#supports-color' ? '\0supports-color' : null),
  load: (/** @type {string} */ id) =>
    id === '\0supports-color' ? 'export default { stdout: false, stderr: false };' : null,
};

const binary = '@koromix/koffi-win32-x64/win32_x64/koffi.node';
/** The place where npm puts it; otherwise its name, for which Node.js looks in five times as many places. */
const findBinary = `["/../node_modules/", "/../../"].map((way) => __dirname + way + "${binary}").find(require("node:fs").existsSync) ?? "${binary}"`;
/**
 * Makes koffi load its binary directly. koffi itself goes by a module in the binary's package that does nothing but
 * load it, and makes a `require` with `node:module`, which loads everything for ES modules.
 */
const binaryAtOnce = {
  name: 'binary-at-once',
  renderChunk: (/** @type {string} */ code) =>
    code
      .replaceAll('("@koromix/koffi-win32-x64")', `(${findBinary})`)
      .replaceAll('require("node:module").createRequire)(require("url").pathToFileURL(__filename).href)', 'require)'),
};

/** The agent's code for each variant that a start needs, as text. The variants with checks are for tests. */
const prebuilt = [false, true].map((quarantine) => {
  const variant = { quarantine, checked: false };
  const { bytes, ...offsets } = assembleAgent(variant);
  return { name: variantName(variant), code: { ...offsets, bytes: Buffer.from(bytes).toString('base64') } };
});

/** Puts the assembled agent into the bundle, because assembling it took a tenth of each start. */
const agentAsAssembled = {
  name: 'agent-as-assembled',
  load: (/** @type {string} */ id) => {
    if (!/[\\/]dist[\\/]agent[\\/]link[\\/]prebuilt-code\.js$/.test(id)) return null;
    const entries = prebuilt.map(({ name, code }) => `[${JSON.stringify(name)}, () => (${JSON.stringify(code)})]`);
    return `export const prebuiltCode = new Map([${entries.join(',\n')}]);`;
  },
};

const plugins = [builtInsWhenNeeded, colorsAsTold, binaryAtOnce, agentAsAssembled];

/** @type {Set<string>} */
const packages = new Set();
// The bundle is CommonJS, because Node.js reads all members of the built-in modules that an ES module imports. Modules
// that `start` imports only when it needs them are still loaded only then. The helper, the guardian and
// the self-test's script are programs of their own, which the tool finds beside itself.
const parts = [
  {
    name: 'unclosed',
    source: 'cli/start.js',
    postBanner: '(function (exports, require, module, __filename, __dirname) {',
    postFooter: '})',
  },
  { name: 'query-helper-main', source: 'handles/query/query-helper-main.js' },
  { name: 'guardian-main', source: 'process/guardian/guardian-main.js' },
  { name: 'faults-main', source: 'self-test/faults-main.js' },
];
for (const { name, source, ...wrapper } of parts) {
  const bundle = await rolldown({ input: { [name]: join(root, 'dist', source) }, platform: 'node', plugins });
  const { output } = await bundle.write({ dir: directory, format: 'cjs', codeSplitting: false, ...wrapper });
  await bundle.close();
  for (const id of output.flatMap((part) => (part.type === 'chunk' ? part.moduleIds : []))) {
    const [, path] = /^(.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)/.exec(id) ?? [];
    if (path !== undefined) packages.add(path);
  }
}
const bundle = join(directory, 'unclosed.js');
const written = readFileSync(bundle, 'utf8');
// The changes above are found by their spelling. If the spelling has changed, the tool would work but be slower, so
// this fails.
for (const part of [findBinary, ...prebuilt.map(({ code }) => code.bytes)]) {
  if (!written.includes(part)) throw new Error(`Cannot bundle: what is put in is not there: ${part.slice(0, 100)}`);
}
if (/String\.raw`[^`]*[^\0-\x7f]/.test(written))
  throw new Error('Cannot write the bundle in ASCII: escapes mean nothing in a raw template.');
// The bundle is written in ASCII, which Node.js reads, and V8 stores, in half of the time. A backslash without a
// meaning is left out, because it would begin another escape. The hash of the content comes first: see bin/windows.cjs.
const text = written.replaceAll(/(\\*)([^\0-\x7f])/g, (_, backslashes, unit) => {
  return `${backslashes.slice(backslashes.length % 2)}\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
});
writeFileSync(bundle, `// ${createHash('sha256').update(text).digest('hex')}\n${text}`);
writeFileSync(join(directory, 'package.json'), '{ "type": "commonjs" }\n');
writeFileSync(join(directory, 'LICENSES.txt'), [...packages].sort().map(describeLicense).join('\n'));
// On Linux the launcher prints these, without a start of Wine.
mkdirSync(join(directory, 'completions'));
const program = await loadProgram();
for (const shell of shells) writeFileSync(completionFile(directory, shell), writeCompletion(shell, program));
const { status } = spawnSync(process.execPath, [join(root, 'scripts/compile.js')], { stdio: 'ignore' });
// On Windows for ARM64 no audit succeeds. The tool is built all the same, and says so.
if (status !== 0 && (await import('../dist/process/machine/machine.js')).nativeMachine() !== 'ARM64')
  throw new Error(`Cannot compile the bundle: scripts/compile.js: exit code ${status}.`);

/**
 * The licence of a package, which must be passed on with it.
 *
 * @param {string} path of the package
 */
function describeLicense(path) {
  const { name, version } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
  const file = readdirSync(path).find((entry) => /^licen[cs]e/i.test(entry));
  if (file === undefined) throw new Error(`Cannot bundle ${name}: it has no licence file.`);
  return `${name} ${version}\n\n${readFileSync(join(path, file), 'utf8')}`;
}
