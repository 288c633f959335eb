// `npm run stress`: attaches to real processes in ways that may harm them, and checks that it does not. Prints figures,
// and fails when anything was harmed.
import { runBenchmark } from './measure.js';

await runBenchmark(import.meta.url, {
  sizes: { cycles: { full: 300, smoke: 3 }, kills: { full: 50, smoke: 2 }, ends: { full: 50, smoke: 2 } },
  programs: () => ['works-without-pause'],
  async inWindows(sizes) {
    const { tryToHarm } = await import('./attached/harm.js');
    await tryToHarm(sizes);
  },
});
