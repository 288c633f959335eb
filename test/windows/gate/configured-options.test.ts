import { afterAll, describe, expect, it } from 'vitest';

import { configure } from '../../../src/cli/gate/configuration.ts';
import { loadProgram } from '../../../src/cli/program.ts';
import type { Config } from '../../../src/config/config.ts';
import { Place } from './place.ts';

const place = new Place();
afterAll(() => place[Symbol.dispose]());

/** The options of a command that is given a configuration and flags, as its action sees them. */
async function optionsOf(
  name: 'run' | 'attach',
  config: Config,
  flags: readonly string[] = [],
): Promise<Readonly<Record<string, unknown>>> {
  const program = await loadProgram(name);
  const command = program.commands.find((each) => each.name() === name)!;
  command.parseOptions(['--config', place.write('unclosed.config.json', config), ...flags]);
  configure(command);
  return command.opts();
}

/** A key and its value, the option and its value, and what a flag makes of it. */
const cases: readonly (readonly [Config, option: object, flags: readonly string[], flagged: object])[] = [
  [{ history: 8 }, { history: 8 }, ['--history', '2'], { history: 2 }],
  [{ history: 5 }, { history: 8 }, ['--history', '32'], { history: 32 }],
  [{ maxHandles: 2048 }, { maxHandles: 2048 }, ['--max-handles', '4096'], { maxHandles: 4096 }],
  [{ only: ['a.exe', 'b'] }, { only: ['a.exe', 'b'] }, ['--only', 'c'], { only: ['c'] }],
  [{ skip: ['git.exe'] }, { skip: ['git.exe'] }, ['--skip', 'a', '--skip', 'b'], { skip: ['a', 'b'] }],
  [{ notes: true }, { notes: true }, ['--notes'], { notes: true }],
  [{ warmUp: 7 }, { warmUp: 7 }, ['--warm-up', '3'], { warmUp: 3 }],
];

describe('a configuration gives', () => {
  it.each(cases)(
    'run and attach for %j the options %j, and %j goes before it',
    async (config, given, flags, flagged) => {
      for (const command of ['run', 'attach'] as const) {
        expect(await optionsOf(command, config)).toMatchObject(given);
        expect(await optionsOf(command, config, flags)).toMatchObject(flagged);
      }
    },
  );

  it.each<readonly [Config, object]>([
    [{ quarantine: 1000 }, { quarantine: 1024 }],
    [{ followChildren: false }, { followChildren: false }],
    [{ waitChildren: true }, { waitChildren: true }],
    [{ exitCodePolicy: 'program' }, { exitCodePolicy: 'program' }],
  ])('run for %j the options %j', async (config, given) => {
    expect(await optionsOf('run', config)).toMatchObject(given);
  });

  it('no option that the file does not name', async () => {
    const options = await optionsOf('run', { notes: false, only: [], skip: [] });
    for (const option of ['notes', 'only', 'skip']) expect(options[option], option).toBeUndefined();
  });
});
