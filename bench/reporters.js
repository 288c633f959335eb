// `npm run bench:reporters`: the time and the memory that each format of a report takes, for a report that is larger
// and odder than any program's: 10,000 findings of 500 frames each, with every odd character in their names.
import { join } from 'node:path';

import { inProject, measureByTurns, run, runBenchmark, say, spell, spellCount, withDirectory } from './measure.js';

/**
 * @typedef {object} Figures
 * @property {number} tookMs
 * @property {number} processorMs of all threads, with those that collect garbage
 * @property {number} sizeBytes
 * @property {number} peakBytes of the process, with the report
 */

await runBenchmark(import.meta.url, {
  sizes: {
    rounds: { full: 3, smoke: 1 },
    findings: { full: 10_000, smoke: 50 },
    frames: { full: 500, smoke: 50 },
  },
  programs: () => [],
  async inWindows({ rounds, findings, frames }) {
    const { reporterNames } = await import('../dist/report/index.js');
    say(`${spellCount(findings)} findings of ${frames} frames each (aims: below 5 s, below 1000 MB)`);
    await withDirectory(async (directory) => {
      for (const name of reporterNames) {
        const args = [inProject('bench/one-reporter.js'), name, `${findings}`, `${frames}`, join(directory, name)];
        const { written } = await measureByTurns(rounds, {
          written: () => /** @type {Figures} */ (JSON.parse(run(process.execPath, args).stdout)),
        });
        /** @param {(figures: Figures) => number} read */
        const figure = (read) => written.map(read);
        say(
          `${name}: ${spell(
            figure(({ tookMs }) => tookMs / 1000),
            2,
          )} s, ${spell(
            figure(({ processorMs }) => processorMs / 1000),
            2,
          )} s of processors, peak ${spell(
            figure(({ peakBytes }) => peakBytes / 1e6),
            0,
          )} MB`,
        );
        say(`  ${((written[0]?.sizeBytes ?? 0) / 1e6).toFixed(1)} MB written`);
      }
    });
  },
});
