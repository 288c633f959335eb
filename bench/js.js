// `npm run bench:js`: measures how much longer a job of Node.js takes under `run --js` than under `run`, and than
// alone. The job is a bundler at work.
import { inProject, measureByTurns, ratios, run, runBenchmark, say, spell, tool } from './measure.js';

const AIM = 1.15;

await runBenchmark(import.meta.url, {
  sizes: { rounds: { full: 7, smoke: 1 }, times: { full: 5, smoke: 1 } },
  programs: () => [],
  async inWindows({ rounds, times }) {
    const job = [inProject('bench/bundles.mjs'), String(times), inProject('dist/cli/main.js')];
    /** @param {readonly string[]} options */
    const audit = (...options) => {
      const audited = [tool, 'run', ...options, '--no-follow-children', '--fail-on', 'never', '--', process.execPath];
      return run(process.execPath, [...audited, ...job]).tookMs;
    };
    const ms = await measureByTurns(rounds, {
      alone: () => run(process.execPath, job).tookMs,
      recorded: () => audit(),
      named: () => audit('--js'),
    });
    say(
      `bundled ${times} times: alone ${spell(ms.alone, 0)} ms, run ${spell(ms.recorded, 0)} ms, run --js ${spell(ms.named, 0)} ms`,
    );
    say(`  run --js / run = ${spell(ratios(ms.named, ms.recorded), 2)} (aim: at most ${AIM})`);
    say(`  run --js / alone = ${spell(ratios(ms.named, ms.alone), 2)}`);
  },
});
