// `npm run mutants [-- <part of a path> …]`: changes the code that judges findings in small ways, and says which of the
// changes no unit test notices. Stryker makes them. A file takes minutes, and all files take an hour or more.
//
// The project's own packages are for Windows. These tests are pure logic and run many thousand times, so they run in
// the Node.js of this machine: in a copy of the project, with the same packages for this platform, and with Stryker,
// which brings as many packages as all else and is fetched for this script only.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from '../launcher/cache.js';
import { LaunchFailure, say } from '../launcher/failure.js';
import { root, runMain } from './setup.js';

/** @typedef {{ killed: number, survived: number }} Counts */
/**
 * @typedef {object} Mutant
 * @property {string} status
 * @property {string} mutatorName
 * @property {string} [replacement]
 * @property {{ start: { line: number } }} location
 */

const strykerVersion = '10.1.1';
/** The areas, and the tests that cover each. */
const areas = [
  { source: 'src/analyze', tests: ['test/unit/analyze', 'test/unit/marks'] },
  { source: 'src/baseline', tests: ['test/unit/baseline'] },
];
const leastPercent = 80;
const shownMax = 60;

await runMain(async () => {
  const filters = process.argv.slice(2);
  const directory = prepareCopy();
  let isEnough = true;
  let hasRun = false;
  for (const { source, tests } of areas) {
    const files = listSources(source).filter((path) => filters.every((filter) => path.includes(filter)));
    if (files.length === 0) continue;
    hasRun = true;
    const mutants = runStryker(directory, files, tests);
    const counts = [...mutants].map(([path, found]) => describeFile(path, found));
    const all = counts.reduce((sum, { killed, survived }) => ({
      killed: sum.killed + killed,
      survived: sum.survived + survived,
    }));
    process.stdout.write(`${describe(source, all)}\n`);
    isEnough &&= percent(all) >= leastPercent;
  }
  if (!hasRun) throw new LaunchFailure(`Cannot find a file to change: ${filters.join(' ')}. Try: npm run mutants.`);
  if (!isEnough) process.stderr.write(`The tests notice less than ${leastPercent} % of the changes.\n`);
  return isEnough ? 0 : 1;
});

/** @returns {string} the directory of the copy */
function prepareCopy() {
  const directory = join(cacheDirectory(process.env), 'mutants');
  mkdirSync(directory, { recursive: true });
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const stamp = join(directory, 'installed.txt');
  const wanted = `${strykerVersion}\n${lock}`;
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
    for (const name of ['package.json', 'package-lock.json']) cpSync(join(root, name), join(directory, name));
    const platform = [
      `--os=${process.platform}`,
      `--cpu=${process.arch}`,
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
    ];
    runNpm(directory, ['ci', ...platform]);
    const stryker = ['core', 'vitest-runner'].map((name) => `@stryker-mutator/${name}@${strykerVersion}`);
    runNpm(directory, ['install', '--no-save', '--no-package-lock', ...platform, ...stryker]);
    writeFileSync(stamp, wanted);
  }
  for (const name of ['src', 'test', 'schema', 'bench']) {
    rmSync(join(directory, name), { recursive: true, force: true });
    cpSync(join(root, name), join(directory, name), { recursive: true });
  }
  return directory;
}

/**
 * @param {string} directory
 * @param {readonly string[]} args
 */
function runNpm(directory, args) {
  say(`npm ${args[0]} for this platform …`);
  // On Windows npm.cmd is a script, which needs a shell. No argument needs quotes.
  const shell = process.platform === 'win32';
  const { status } = spawnSync('npm', [...args, '--loglevel=error'], {
    cwd: directory,
    stdio: ['ignore', 2, 2],
    shell,
  });
  if (status !== 0) throw new LaunchFailure(`Cannot install the tools: npm ${args[0]}: exit code ${status}.`);
}

/**
 * @param {string} directory
 * @returns {readonly string[]}
 */
function listSources(directory) {
  return readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${directory}/${name.replaceAll('\\', '/')}`)
    .sort();
}

/**
 * @param {string} directory
 * @param {readonly string[]} files
 * @param {readonly string[]} tests
 * @returns {ReadonlyMap<string, readonly Mutant[]>} by the files
 */
function runStryker(directory, files, tests) {
  const include = tests.map((path) => `${path}/**/*.test.ts`);
  writeFileSync(
    join(directory, 'vitest.mutants.js'),
    `export default { test: { include: ${JSON.stringify(include)}, isolate: false, testTimeout: 60_000 } };\n`,
  );
  const options = {
    mutate: files,
    testRunner: 'vitest',
    plugins: ['@stryker-mutator/vitest-runner'],
    vitest: { configFile: 'vitest.mutants.js', related: false },
    coverageAnalysis: 'perTest',
    // A change of a constant would need all modules to be loaded anew for each test, which takes hours more.
    ignoreStatic: true,
    concurrency: 1,
    reporters: ['progress-append-only', 'json'],
    jsonReporter: { fileName: 'mutants.json' },
    // TypeScript 7 has no interface for programs. There is no such file, so Stryker does not ask for it.
    tsconfigFile: 'no-tsconfig.json',
  };
  writeFileSync(join(directory, 'stryker.config.json'), JSON.stringify(options));
  rmSync(join(directory, 'mutants.json'), { force: true });
  const stryker = join(directory, 'node_modules/@stryker-mutator/core/bin/stryker.js');
  const { status } = spawnSync(process.execPath, [stryker, 'run'], { cwd: directory, stdio: ['ignore', 2, 2] });
  if (status !== 0 || !existsSync(join(directory, 'mutants.json')))
    throw new LaunchFailure(`Cannot try the changes: stryker run: exit code ${status}.`);
  /** @type {{ files: Record<string, { mutants: readonly Mutant[] }> }} */
  const report = JSON.parse(readFileSync(join(directory, 'mutants.json'), 'utf8'));
  return new Map(Object.entries(report.files).map(([path, { mutants }]) => [path, mutants]));
}

/**
 * Prints the changes that no test has noticed, and the share of those that some test has.
 *
 * @param {string} path
 * @param {readonly Mutant[]} mutants
 * @returns {Counts}
 */
function describeFile(path, mutants) {
  const unnoticed = mutants.filter(({ status }) => status === 'Survived' || status === 'NoCoverage');
  // An endless loop is noticed, too.
  const killed = mutants.filter(({ status }) => status === 'Killed' || status === 'Timeout').length;
  const counts = { killed, survived: unnoticed.length };
  process.stdout.write(describe(path, counts));
  for (const { mutatorName, replacement = '', location } of unnoticed) {
    const text = replacement.replaceAll(/\s+/g, ' ');
    const shown = text.length > shownMax ? `${text.slice(0, shownMax)}…` : text;
    process.stdout.write(`          line ${location.start.line}: ${mutatorName}: ${shown}\n`);
  }
  return counts;
}

/**
 * @param {Counts} counts
 * @returns {number}
 */
function percent({ killed, survived }) {
  return killed + survived === 0 ? 100 : (100 * killed) / (killed + survived);
}

/**
 * @param {string} name
 * @param {Counts} counts
 * @returns {string}
 */
function describe(name, counts) {
  return `${percent(counts).toFixed(1).padStart(6)} %  ${name} (${counts.killed} noticed, ${counts.survived} not)\n`;
}
