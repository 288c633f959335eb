import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

import { type FixtureExpectation, runtimeFlavours } from '../../fixtures/expectations/expectation.ts';
import { demoExpectation, fixtureExpectations } from '../../fixtures/expectations.ts';
import { isLeftOut } from './tool.ts';

const buildFolder = fileURLToPath(new URL('../../fixtures/build', import.meta.url));
const oracleLine = /^(leak|[a-z-]+-close|[a-z-]+-use|wrong-closer|wrong-type|inherited) ([A-Z]\w+)( 0x[0-9a-f]+)?$/;

/** One built program, and what it must do without an audit. */
interface BareRun {
  readonly name: string;
  readonly parameters: readonly string[];
  readonly exitCode: number | undefined;
  /** `<rule> <object type>` for each object that it mistreats, sorted. */
  readonly oracle: readonly string[];
  readonly expectation: FixtureExpectation;
}

function listOracle(stdout: string): readonly string[] {
  return stdout
    .split(/\r?\n/)
    .filter((line) => oracleLine.test(line))
    .map((line) => line.replace(oracleLine, '$1 $2'))
    .toSorted();
}

function listRuns(expectation: FixtureExpectation): readonly BareRun[] {
  const { program, arguments: parameters = [], exitCode, cleanExitCode = exitCode, findings } = expectation;
  const oracle = findings
    .flatMap(({ rule, objectType, count }) => Array.from({ length: count }, () => `${rule} ${objectType}`))
    .toSorted();
  const flavours = [...runtimeFlavours(expectation)];
  if (expectation.hasPdbFlavour) flavours.push('-pdb');
  return flavours.flatMap((flavour) => {
    const buggy = { name: `${program}${flavour}`, parameters, exitCode, oracle, expectation };
    if (expectation.hasNoTwin) return [buggy];
    return [buggy, { ...buggy, name: `${program}${flavour}-clean`, exitCode: cleanExitCode, oracle: [] }];
  });
}

const living = fixtureExpectations.filter(({ isToBeKilled }) => !isToBeKilled);
const killed = fixtureExpectations.filter(({ isToBeKilled }) => isToBeKilled);

test.for(living.flatMap(listRuns))('$name ends and mistreats objects as the table says', (run, { skip }) => {
  skip(isLeftOut(run.expectation), 'there is no Rust for Windows');
  const program = `${buildFolder}\\${run.name}.exe`;
  const { status, stdout, error } = spawnSync(program, run.parameters, { encoding: 'utf8', cwd: buildFolder });
  if (error !== undefined) throw error;
  expect({ exitCode: status, oracle: listOracle(stdout) }).toEqual({
    exitCode: run.exitCode ?? status,
    oracle: run.oracle,
  });
});

test.each(killed.flatMap(listRuns))('$name says when it is ready and waits to be killed', async (run) => {
  const child = spawn(`${buildFolder}\\${run.name}.exe`, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  // Not by `for await`, which destroys the stream where it ends: Wine's server may crash of that (docs/platform.md).
  child.stdout.on('data', (chunk: Buffer) => {
    output += String(chunk);
    if (/^ready \d+\r?$/m.test(output)) child.kill();
  });
  await once(child, 'close');
  expect(/^ready (\d+)\r?$/m.exec(output)?.[1]).toBe(String(child.pid));
  expect(listOracle(output)).toEqual(run.oracle);
});

test('the demo works and says so, with all its mistakes', () => {
  const program = `${buildFolder}\\${demoExpectation.program}.exe`;
  const { status, stdout } = spawnSync(program, { encoding: 'utf8' });
  // Node hands its pipes over as binary ones (libuv's lpReserved2), on which Wine's C library leaves `\n` alone.
  const said = stdout.trimEnd();
  expect({ status, said }).toEqual({ status: 0, said: 'log service: 6 rotations, 1 report, stopped' });
});
