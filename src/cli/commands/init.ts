import { existsSync, writeFileSync } from 'node:fs';
import { win32 } from 'node:path';

import type { Command } from 'commander';

import { audit } from '../../audit/index.ts';
import { updateBaseline } from '../../baseline/update.ts';
import { plural } from '../../report/numbers.ts';
import { toolName } from '../../version.ts';
import { UserError } from '../../user-error.ts';
import { toWindowsPath, toWindowsSymbolPath } from '../../wine/paths.ts';
import { CtrlC } from '../ctrl-c.ts';
import { exitCodes } from '../exit-codes.ts';
import { BaselineFile } from '../gate/baseline-file.ts';
import { configFileName } from '../gate/configuration.ts';
import { explainFileFailure } from '../gate/file-failure.ts';
import { addExamples } from '../help/examples.ts';
import { writeReports } from '../report-output.ts';
import { openProgressLine } from '../screen/progress-line.ts';
import { write } from '../screen/terminal.ts';

interface InitOptions {
  readonly followChildren: boolean;
  readonly symbols?: string;
}

const baselineFileName = 'unclosed.baseline';
const schemaFile = './node_modules/unclosed/schema/config.schema.json';

/** A file cannot be made where the user is. */
class InitError extends UserError {
  constructor(file: string, why: string, advice: string) {
    super(`Cannot write ${file}: ${why}. Try ${advice}.`);
  }
}

/** `unclosed init`: writes a first configuration, and a baseline of what a program leaks today. */
export function addInitCommand(program: Command): void {
  const command = program
    .command('init')
    .passThroughOptions()
    .summary('write a first configuration, and a baseline of what a program leaks today')
    .description(
      `Writes ${configFileName} into the working directory. With a program, it runs the program once as "run" does, and writes what it finds into ` +
        `${baselineFileName}: from then on "run" fails only for what is new. It overwrites nothing.`,
    )
    .usage('[options] [-- <program> [arguments...]]')
    .argument('[program]', 'the program to run: a path, or a name that is looked for along PATH')
    .argument('[arguments...]', 'the program’s own arguments')
    .option('--no-follow-children', 'record the program only, now and in later runs')
    .option(
      '--symbols <path>',
      'where to look for PDB files: directories and symbol servers with semicolons between them',
    )
    .action(async (name: string | undefined, args: string[], options: InitOptions) => {
      process.exitCode = await init(name, args, options);
    });
  addExamples(command, `${toolName} init`, `${toolName} init -- build/tests.exe --quick`);
}

/** @returns the exit code */
async function init(name: string | undefined, args: readonly string[], options: InitOptions): Promise<number> {
  refuseExisting(configFileName);
  if (name === undefined) {
    writeConfig(options, false);
    write(
      1,
      `Wrote ${configFileName}.\nNext: ${toolName} run -- <program>. With --baseline ${baselineFileName} --update-baseline it writes down what is known today.\n`,
    );
    return exitCodes.clean;
  }
  refuseExisting(baselineFileName);
  using interruption = new CtrlC();
  using progress = openProgressLine();
  const { followChildren, symbols } = options;
  const report = await audit({
    program: toWindowsPath(name),
    args,
    followChildren,
    ...(symbols === undefined ? {} : { symbolPath: toWindowsSymbolPath(symbols) }),
    signal: interruption.signal,
    interruption: interruption.began,
    onProgress: (part) => progress.note(part?.work, part?.module),
  });
  writeReports(report, [{ name: 'table' }], {
    all: false,
    notes: false,
    suppressed: false,
    systemFrames: false,
    failOn: 'warning',
  });
  if (interruption.began.aborted) return exitCodes.interrupted;
  const { complete } = report.completeness;
  const { entries } = updateBaseline([], report.findings, { notes: false, complete });
  refuseExisting(baselineFileName); // that has come meanwhile
  if (entries.length > 0) BaselineFile.readToUpdate(baselineFileName).write(entries);
  writeConfig(options, entries.length > 0);
  write(1, spellNext(entries.length, complete));
  return exitCodes.clean;
}

/** @throws InitError when there is such a file */
function refuseExisting(file: string): void {
  if (existsSync(file)) throw new InitError(file, 'it is there already', 'to change it, or another directory');
}

/** @throws InitError when it cannot be written, or has come meanwhile */
function writeConfig({ followChildren, symbols }: InitOptions, hasBaseline: boolean): void {
  const hasSchema = existsSync(win32.join(process.cwd(), schemaFile));
  const config = {
    ...(hasSchema ? { $schema: schemaFile } : {}),
    failOn: 'warning',
    ...(hasBaseline ? { baseline: baselineFileName } : {}),
    ...(followChildren ? {} : { followChildren }),
    ...(symbols === undefined ? {} : { symbols: symbols.split(';').filter((part) => part !== '') }),
  };
  try {
    writeFileSync(configFileName, `${JSON.stringify(config, undefined, 2)}\n`, { flag: 'wx' });
  } catch (error) {
    const { why, advice } =
      (error as NodeJS.ErrnoException).code === 'EEXIST'
        ? { why: 'it has come meanwhile', advice: 'again' }
        : explainFileFailure(error);
    throw new InitError(configFileName, why, advice);
  }
}

function spellNext(known: number, complete: boolean): string {
  const run = `${toolName} run -- <program>`;
  const lines =
    known === 0
      ? [
          `Wrote ${configFileName}. Nothing was found, so there is no baseline.`,
          `Next: ${run} fails for every finding.`,
        ]
      : [
          `Wrote ${configFileName}, and ${baselineFileName} with ${plural(known, 'known finding')}.`,
          `Next: commit both. ${run} fails only for findings that are new; --update-baseline accepts those, too.`,
        ];
  const partly = complete ? [] : ['The report is incomplete: a later run may find more, which will be new.'];
  return `${[...lines, ...partly].join('\n')}\n`;
}
