// `npm run bench:overhead`: measures the cost of recording: of the recorder by itself, and for a program that only
// calls CreateEvent and CloseHandle, on 1 and on 4 threads, alone and under `unclosed run`.
import { fixture, measureByTurns, ratios, run, runBenchmark, say, spell, tool } from './measure.js';

await runBenchmark(import.meta.url, {
  sizes: {
    rounds: { full: 5, smoke: 1 },
    'recorder-rounds': { full: 9, smoke: 2 },
    'recorder-pairs': { full: 1_000_000, smoke: 10_000 },
    pairs: { full: 200_000, smoke: 1000 },
  },
  programs: () => ['call-pairs-library', 'creates-and-closes'],
  async inWindows({ rounds, pairs, ...recorder }) {
    // Imported here, because it loads modules that exist only on Windows.
    const { measureRecorder } = await import('./recorder-cost.js');
    await measureRecorder(recorder['recorder-rounds'], recorder['recorder-pairs']);
    say('\nCreateEvent and CloseHandle, microseconds a pair');
    for (const threads of ['1', '4']) {
      const program = fixture('creates-and-closes');
      const args = [threads, String(pairs)];
      const us = await measureByTurns(rounds, {
        alone: () => readTime(run(program, args).stdout),
        recorded: () =>
          readTime(run(process.execPath, [tool, 'run', '--fail-on', 'never', '--', program, ...args]).stdout),
      });
      say(
        `${threads} thread${threads === '1' ? '' : 's'}: alone ${spell(us.alone, 2)}, recorded ${spell(us.recorded, 2)}, ratio ${spell(ratios(us.recorded, us.alone), 2)}`,
      );
    }
  },
});

/**
 * Microseconds for one pair of calls, by the program's own clock.
 *
 * @param {string} printed
 */
function readTime(printed) {
  const [, pairs, microseconds] = /(\d+) pairs in (\d+) us/.exec(printed) ?? [];
  return Number(microseconds) / Number(pairs);
}
