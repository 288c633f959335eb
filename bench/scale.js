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
const tool = fileURLToPath(new URL('../bin/unclosed.cjs', import.meta.url));
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
      const { peakMB, processorSeconds, targetSeconds, share } = audit(directory, 0, calls);
      say(`${calls.toLocaleString('en')} opens and closes: peak ${peakMB.toFixed(0)} MB, the auditor's processor time ${processorSeconds.toFixed(2)} s in ${targetSeconds.toFixed(1)} s`);
      if (share !== undefined) say(`  in the middle of it, ${share.seconds.toFixed(1)} s: ${share.percent.toFixed(2)} % of a core (aim: under 1)`);
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
  writeFileSync(preload, `
    import { writeFileSync } from 'node:fs';
    const samples = [];
    setInterval(() => { const { user, system } = process.cpuUsage(); samples.push([performance.now(), (user + system) / 1000]); }, 500).unref();
    process.on('exit', () => writeFileSync(${JSON.stringify(usage)}, JSON.stringify({ ...process.resourceUsage(), samples })));
  `);
  const start = performance.now();
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', pathToFileURL(preload).href, tool, 'run', '--fail-on', 'never', '--reporter', `json=${report}`, '--max-handles', String(1 << 21), '--', program, String(leaks), String(calls)],
    { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' },
  );
  const tookSeconds = (performance.now() - start) / 1000;
  if (status !== 0) throw new Error(`${tool}: exit code ${status}: ${stderr}`);
  const { findings, stats } = JSON.parse(readFileSync(report, 'utf8'));
  const { maxRSS, userCPUTime, systemCPUTime, samples } = JSON.parse(readFileSync(usage, 'utf8'));
  const leaked = findings.filter((/** @type {any} */ { rule, level }) => rule === 'leak' && level !== 'note').reduce((/** @type {number} */ sum, /** @type {any} */ { count }) => sum + count, 0);
  const targetSeconds = stats.durationMs / 1000;
  return { leaked, targetSeconds, afterSeconds: tookSeconds - targetSeconds, peakMB: maxRSS / 1024, processorSeconds: (userCPUTime + systemCPUTime) / 1e6, share: shareOf(samples, stats.durationMs) };
}

/**
 * The auditor's share of a core while the target works: not in its first two seconds, of which a part is the start's, and not after as
 * many milliseconds as the target ran, for it began after the auditor.
 *
 * @param {readonly (readonly [timeMs: number, processorMs: number])[]} samples
 * @param {number} targetMs
 */
function shareOf(samples, targetMs) {
  const during = samples.filter(([timeMs]) => timeMs > 2000 && timeMs < targetMs);
  const [first, last] = [during[0], during.at(-1)];
  if (first === undefined || last === undefined || first === last) return undefined;
  const tookMs = last[0] - first[0];
  return { seconds: tookMs / 1000, percent: (100 * (last[1] - first[1])) / tookMs };
}

/** @param {string} text */
function say(text) {
  process.stdout.write(`${text}\n`);
}
