// `npm run bench:scale`: what an audit costs when there is much of everything: leaked handles, and calls.
//
// Prints figures and asserts nothing. Runs on the host: it brings Windows, and then runs itself in Windows Node.js.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROUNDS = 3;
const CALLS = Number(process.env['BENCH_CALLS'] ?? 1_000_000);
const tool = fileURLToPath(new URL('../bin/unclosed.js', import.meta.url));
const program = fileURLToPath(new URL('../fixtures/build/leaks-many.exe', import.meta.url));

if (process.argv[2] !== 'measure') {
  const { runMain, setUp } = await import('../scripts/setup.js');
  const { runScript } = await import('../scripts/windows.js');
  await runMain(async () => runScript(await setUp(['leaks-many']), fileURLToPath(import.meta.url), ['measure']));
} else {
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-bench-'));
  try {
    for (const [handles, aimSeconds] of [[100_000, 5], [1_000_000, 30]]) {
      const runs = Array.from({ length: ROUNDS }, () => audit(directory, handles, 0));
      const judging = runs.map(({ afterSeconds }) => afterSeconds).sort((a, b) => a - b);
      say(`${handles.toLocaleString('en')} leaked handles: judged and reported in ${judging[1]?.toFixed(1)} s (${judging[0]?.toFixed(1)} to ${judging[2]?.toFixed(1)}; aim: ${aimSeconds}); ${runs[0]?.leaked.toLocaleString('en')} reported, peak ${runs[0]?.peakMB.toFixed(0)} MB`);
    }
    for (const calls of [1000, CALLS]) {
      const { peakMB, processorSeconds, targetSeconds } = audit(directory, 0, calls);
      say(`${calls.toLocaleString('en')} opens and closes: peak ${peakMB.toFixed(0)} MB, the auditor's processor time ${processorSeconds.toFixed(2)} s in ${targetSeconds.toFixed(1)} s`);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/**
 * One audit, as a whole process.
 *
 * @param {string} directory
 * @param {number} leaks
 * @param {number} calls
 */
function audit(directory, leaks, calls) {
  const [report, usage, preload] = [join(directory, 'report.json'), join(directory, 'usage.json'), join(directory, 'preload.mjs')];
  writeFileSync(preload, `import { writeFileSync } from 'node:fs';\nprocess.on('exit', () => writeFileSync(${JSON.stringify(usage)}, JSON.stringify(process.resourceUsage())));\n`);
  const start = performance.now();
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', pathToFileURL(preload).href, tool, 'run', '--fail-on', 'never', '--reporter', `json=${report}`, '--max-handles', String(1 << 21), '--', program, String(leaks), String(calls)],
    { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' },
  );
  const tookSeconds = (performance.now() - start) / 1000;
  if (status !== 0) throw new Error(`${tool}: exit code ${status}: ${stderr}`);
  const { findings, stats } = JSON.parse(readFileSync(report, 'utf8'));
  const { maxRSS, userCPUTime, systemCPUTime } = JSON.parse(readFileSync(usage, 'utf8'));
  const leaked = findings.filter((/** @type {any} */ { rule, level }) => rule === 'leak' && level !== 'note').reduce((/** @type {number} */ sum, /** @type {any} */ { count }) => sum + count, 0);
  const targetSeconds = stats.durationMs / 1000;
  return { leaked, targetSeconds, afterSeconds: tookSeconds - targetSeconds, peakMB: maxRSS / 1024, processorSeconds: (userCPUTime + systemCPUTime) / 1e6 };
}

/** @param {string} text */
function say(text) {
  process.stdout.write(`${text}\n`);
}
