import type { Command } from 'commander';

import { acceptsMore, type BaselineDiff, type ChangedEntry, diffBaselines } from '../../baseline/diff.ts';
import type { KnownFinding } from '../../baseline/entries.ts';
import { printEntry } from '../../baseline/file.ts';
import { createTheme, type Theme } from '../../report/theme.ts';
import { plural } from '../../report/numbers.ts';
import { cutEnd } from '../../report/text-width.ts';
import { escapeJson } from '../../text/escape.ts';
import { toolName } from '../../version.ts';
import { toWindowsPath } from '../../wine/paths.ts';
import { exitCodes } from '../exit-codes.ts';
import { BaselineFile } from '../gate/baseline-file.ts';
import { addExamples } from '../help/examples.ts';
import { describeOutput, write } from '../screen/terminal.ts';

interface BaselineDiffOptions {
  readonly json?: true;
  readonly failOnGrowth?: true;
}

/** `unclosed baseline`: works on files of known findings. */
export function addBaselineCommand(program: Command): void {
  const command = program.command('baseline').summary('compare two baselines: files of findings that are known');
  addExamples(
    command,
    `${toolName} baseline diff main.baseline unclosed.baseline`,
    `${toolName} baseline diff --json main.baseline unclosed.baseline > difference.json`,
  );
  const compare = command
    .description(
      'Works on baselines: files of known findings, which "run --baseline <file> --update-baseline" writes and "run --baseline <file>" compares with.',
    )
    .command('diff')
    .summary('show which known findings came, went or changed their number')
    .description(
      'Compares two baselines. It shows which findings only one of them has, and which have another count. Remarks, and the words for a place, are ' +
        'not compared.',
    )
    .argument('<before>', 'a baseline')
    .argument('<after>', 'a baseline that was written later')
    .option('--json', 'print one JSON document')
    .option('--fail-on-growth', 'exit with 1 if the later one accepts more')
    .action((before: string, after: string, options: BaselineDiffOptions) => {
      process.exitCode = diff(before, after, options);
    });
  addExamples(
    compare,
    `${toolName} baseline diff main.baseline unclosed.baseline`,
    `${toolName} baseline diff --fail-on-growth main.baseline unclosed.baseline    # in a build: exit 0, 1 more, 2 error`,
  );
}

/** @returns the exit code */
function diff(beforeFile: string, afterFile: string, { json, failOnGrowth }: BaselineDiffOptions): number {
  const before = BaselineFile.read(toWindowsPath(beforeFile));
  const after = BaselineFile.read(toWindowsPath(afterFile));
  const found = diffBaselines(before.entries, after.entries);
  write(1, json ? `${escapeJson(JSON.stringify(toJson(found), undefined, 2))}\n` : draw(found));
  return failOnGrowth && acceptsMore(found) ? exitCodes.findings : exitCodes.clean;
}

function draw({ added, removed, changed, same }: BaselineDiff): string {
  const { colorLevel, columns, isTerminal } = describeOutput(1);
  const theme: Theme = createTheme({ colorLevel, columns });
  // Without a terminal another program may read the lines.
  const cut = (line: string): string => (isTerminal ? cutEnd(line, columns, theme.signs.ellipsis) : line);
  const row = (sign: string, entry: KnownFinding): string => cut(theme.escape(`${sign} ${printEntry(entry)}`));
  const spellChange = ({ before, after }: ChangedEntry): readonly string[] => [row('-', before), row('+', after)];
  const sections = [
    [removed, 'Only in the first', removed.map((entry) => row('-', entry))],
    [added, 'Only in the second', added.map((entry) => row('+', entry))],
    [changed, 'With another count', changed.flatMap(spellChange)],
  ] as const;
  const lines = sections.flatMap(([entries, title, rows]) =>
    entries.length === 0 ? [] : [theme.strong(`${title}: ${entries.length}`), ...rows, ''],
  );
  const isSame = lines.length === 0;
  return `${[...lines, `${isSame ? 'No difference: ' : ''}${plural(same, 'finding')} in both.`].join('\n')}\n`;
}

function toJson({ added, removed, changed, same }: BaselineDiff): object {
  return {
    schemaVersion: 1,
    added: added.map(entryToJson),
    removed: removed.map(entryToJson),
    changed: changed.map(({ before, after }) => ({ before: entryToJson(before), after: entryToJson(after) })),
    same,
  };
}

function entryToJson({ rule, fingerprint, count, perIteration, site, remark }: KnownFinding): object {
  return { rule, fingerprint, count, perIteration, site, remark };
}
