import type { Command } from 'commander';

import { escapeJson } from '../../text/escape.ts';
import { diffSnapshots } from '../../snapshot/diff.ts';
import { SnapshotReader } from '../../snapshot/read.ts';
import { toolName } from '../../version.ts';
import { toWindowsPath } from '../../wine/paths.ts';
import { diffToJson, drawDiff } from '../diff-view.ts';
import { exitCodes } from '../exit-codes.ts';
import { describeOutput, write } from '../terminal.ts';

interface DiffOptions {
  readonly json?: true;
  readonly all?: true;
  readonly failOnGrowth?: true;
}

/** Examples of each kind in JSON. */
const EXAMPLE_COUNT = 10;

/** `unclosed diff`: what was opened, closed and recycled between two snapshots. */
export function addDiffCommand(program: Command): void {
  program
    .command('diff')
    .summary('compare two snapshots: what was opened, closed and recycled in between')
    .description(
      'Compares two snapshots: which handles were opened, closed or recycled (the same value, another object), and how much each kind has grown. ' +
        'A kind is a type with a pattern of names: numbers, hexadecimal numbers and GUIDs in names are left open. The processes need not run any more, nor on this machine.',
    )
    .argument('<before>', 'a file that unclosed snapshot wrote')
    .argument('<after>', 'another one, taken later')
    .option('--json', 'as JSON, on stdout')
    .option('--all', 'show every kind, not only the first of them')
    .option('--fail-on-growth', 'exit with 1 when there are more handles of any kind than before')
    .addHelpText(
      'after',
      `\nExamples:\n  ${toolName} diff before.json after.json\n  ${toolName} diff --fail-on-growth before.json after.json    # in a build: exit 0, 1 grown, 2 error`,
    )
    .action((before: string, after: string, options: DiffOptions) => {
      process.exitCode = diff(before, after, options);
    });
}

/** @returns the exit code */
function diff(beforeFile: string, afterFile: string, { json, all, failOnGrowth }: DiffOptions): number {
  using before = new SnapshotReader(beforeFile, toWindowsPath(beforeFile));
  using after = new SnapshotReader(afterFile, toWindowsPath(afterFile));
  const found = diffSnapshots(before, after, EXAMPLE_COUNT);
  write(
    1,
    json
      ? `${escapeJson(JSON.stringify(diffToJson(found), undefined, 2))}\n`
      : drawDiff(found, describeOutput(1), all ?? false),
  );
  return failOnGrowth && found.kinds.some(({ growth }) => growth > 0) ? exitCodes.findings : exitCodes.clean;
}
