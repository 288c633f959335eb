import type { Command } from 'commander';

import { escapeJson } from '../../text/escape.ts';
import { diffSnapshots } from '../../snapshot/diff.ts';
import { SnapshotReader } from '../../snapshot/read.ts';
import { toolName } from '../../version.ts';
import { toWindowsPath } from '../../wine/paths.ts';
import { diffToJson, drawDiff } from '../diff-view.ts';
import { exitCodes } from '../exit-codes.ts';
import { addExamples } from '../help/examples.ts';
import { describeOutput, write } from '../screen/terminal.ts';

interface DiffOptions {
  readonly json?: true;
  readonly all?: true;
  readonly failOnGrowth?: true;
}

/** How many examples of each kind there are in JSON. */
const EXAMPLE_COUNT = 10;

/** `unclosed diff`: shows what was opened, closed and recycled between two snapshots. */
export function addDiffCommand(program: Command): void {
  const command = program
    .command('diff')
    .summary('compare two snapshots: show what was opened and closed in between')
    .description(
      'Compares two snapshots. It shows which handles were opened, closed or recycled (the same value now belongs to another object), and how many ' +
        'more there are of each kind. Handles are of one kind if their type is the same and their names differ only in numbers and GUIDs. The ' +
        'processes may have ended, and the snapshots may come from another machine.',
    )
    .argument('<before>', 'a snapshot file')
    .argument('<after>', 'a snapshot file that was taken later')
    .option('--json', 'print one JSON document')
    .option('--all', 'show all kinds, not only the first ones')
    .option('--fail-on-growth', 'exit with 1 if there are more handles of any kind than before')
    .action((before: string, after: string, options: DiffOptions) => {
      process.exitCode = diff(before, after, options);
    });
  addExamples(
    command,
    `${toolName} diff before.json after.json`,
    `${toolName} diff --fail-on-growth before.json after.json    # in a build: exit 0, 1 grown, 2 error`,
  );
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
