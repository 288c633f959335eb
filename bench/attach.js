// `npm run bench:attach`: measures for how long a process stands still while it is attached to.
import { runBenchmark } from './measure.js';

await runBenchmark(import.meta.url, {
  sizes: { rounds: { full: 11, smoke: 1 }, many: { full: 1000, smoke: 40 } },
  programs: () => ['works-without-pause'],
  async inWindows(sizes) {
    const { measureStanding } = await import('./attached/standing.js');
    await measureStanding(sizes);
  },
});
