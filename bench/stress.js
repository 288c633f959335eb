// `npm run stress [-- --only <scenario>]`: audits real processes in ways that may harm them or the tool, and checks
// that nothing is harmed. Prints figures. The exit code is 1 when anything is wrong.
import { LaunchFailure } from '../launcher/failure.js';
import { runBenchmark, say } from './measure.js';

/** @import { Options } from './measure.js' */

/** @typedef {'cycles' | 'kills' | 'ends' | 'cases' | 'seed' | 'threads' | 'rounds' | 'handles'} Size */

/**
 * @typedef {object} Scenario
 * @property {readonly string[]} programs
 * @property {() => Promise<(sizes: Options<Size>) => Promise<void>>} load gives what throws an error for all that is
 *   not as it should be
 */

/** @type {Readonly<Record<string, Scenario>>} */
const scenarios = {
  'attach-cycles': {
    programs: ['works-without-pause'],
    load: async () => (await import('./stress/attach-cycles.js')).attachAgainAndAgain,
  },
  'attach-kills': {
    programs: ['works-without-pause'],
    load: async () => (await import('./stress/attach-kills.js')).killAttached,
  },
  'run-kills': {
    programs: ['works-without-pause'],
    load: async () => (await import('./stress/run-kills.js')).killRuns,
  },
  'tree-kills': {
    programs: ['works-without-pause', 'starts-children', 'launches'],
    load: async () => (await import('./stress/tree-kills.js')).killTrees,
  },
  endings: {
    programs: ['ends-in-many-ways'],
    load: async () => (await import('./stress/endings.js')).endTargets,
  },
  scribbles: {
    programs: ['scribbles-on-recorder'],
    load: async () => (await import('./stress/scribbles.js')).scribble,
  },
  threads: {
    programs: ['works-without-pause'],
    load: async () => (await import('./stress/unusual-targets.js')).attachToManyThreads,
  },
  loads: {
    programs: ['loads-without-end', 'small-frames-library', 'large-frames-library'],
    load: async () => (await import('./stress/unusual-targets.js')).attachToLoader,
  },
  hooks: {
    programs: ['hooks-ntdll'],
    load: async () => (await import('./stress/unusual-targets.js')).attachToHooker,
  },
  handles: {
    programs: ['keeps-many-open'],
    load: async () => (await import('./stress/unusual-targets.js')).attachToManyHandles,
  },
};

await runBenchmark(import.meta.url, {
  sizes: {
    cycles: { full: 300, smoke: 3 },
    kills: { full: 50, smoke: 2 },
    ends: { full: 50, smoke: 1 },
    cases: { full: 1000, smoke: 8 },
    seed: { full: 1, smoke: 1 },
    threads: { full: 1000, smoke: 40 },
    rounds: { full: 10, smoke: 1 },
    handles: { full: 500_000, smoke: 2000 },
  },
  texts: ['only'],
  programs: (options) => [...new Set(choose(options).flatMap(([, { programs }]) => programs))],
  inWindows: run,
});

/** @param {Options<Size>} options */
function choose({ texts }) {
  const only = texts.get('only');
  if (only === undefined) return Object.entries(scenarios);
  const scenario = scenarios[only];
  if (scenario === undefined)
    throw new LaunchFailure(`"${only}" is no scenario. Try ${Object.keys(scenarios).join(', ')}.`);
  return [/** @type {const} */ ([only, scenario])];
}

/** Every scenario is tried, whatever became of those before. @param {Options<Size>} options */
async function run(options) {
  const { Traces } = await import('./stress/traces.js');
  let failures = 0;
  for (const [name, { load }] of choose(options)) {
    say(`${name}:`);
    const traces = new Traces();
    for (const part of [async () => (await load())(options), async () => traces.finish()]) {
      try {
        await part();
      } catch (error) {
        failures += 1;
        say(`${name} FAILED: ${error instanceof Error ? error.stack : error}`);
      }
    }
  }
  return failures === 0 ? 0 : 1;
}
