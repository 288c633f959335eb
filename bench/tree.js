// `npm run bench:tree`: measures how much longer a program takes that starts many child processes when they are all
// recorded, and how much memory the tool takes while many of them live.
import { fixture, measureByTurns, pairwise, ratios, run, runBenchmark, say, spell, tool } from './measure.js';
import { peakMBOf, runWatched } from './process-usage.js';

const AIM_MS = 15;
const AIM_MB = 300;

await runBenchmark(import.meta.url, {
  sizes: { rounds: { full: 3, smoke: 1 }, children: { full: 500, smoke: 8 }, atOnce: { full: 32, smoke: 8 } },
  programs: () => ['does-nothing', 'starts-in-turn'],
  async inWindows({ rounds, children, atOnce }) {
    const start = fixture('starts-in-turn');
    const args = [String(children), '8', fixture('does-nothing')];
    const audit = ['--fail-on', 'never', '--'];
    const ms = await measureByTurns(rounds, {
      alone: () => run(start, args).tookMs,
      first: () => run(process.execPath, [tool, 'run', '--no-follow-children', ...audit, start, ...args]).tookMs,
      tree: () => run(process.execPath, [tool, 'run', ...audit, start, ...args]).tookMs,
    });
    say(
      `${children} children, 8 at a time: alone ${spell(ms.alone, 0)} ms, first process recorded ${spell(ms.first, 0)} ms, all recorded ${spell(ms.tree, 0)} ms`,
    );
    const extra = pairwise(ms.tree, ms.first, (all, first) => (all - first) / children);
    say(`  ratio ${spell(ratios(ms.tree, ms.alone), 2)}; ${spell(extra, 1)} ms more for each child (aim: ${AIM_MS})`);
    const watched = await runWatched(process.execPath, [
      tool,
      'run',
      ...audit,
      start,
      String(atOnce * 2),
      String(atOnce),
      fixture('does-nothing'),
    ]);
    say(`  ${atOnce} at a time: peak ${peakMBOf(watched).toFixed(0)} MB (aim: below ${AIM_MB})`);
  },
});
