import { Chalk } from 'chalk';
import { type Command, Option } from 'commander';

import { escapeJson, escapeText } from '../../text/escape.ts';
import { wrapText } from '../../report/text-width.ts';
import { toolName, toolVersion } from '../../version.ts';
import { readHost } from '../../wine/host.ts';
import { toWindowsSymbolPath } from '../../wine/paths.ts';
import { canRun, type Check, type CheckStatus, examineAll } from '../doctor-checks.ts';
import { exitCodes } from '../exit-codes.ts';
import { addExamples } from '../help/examples.ts';
import { describeOutput, type OutputDescription, write } from '../screen/terminal.ts';

interface DoctorOptions {
  readonly json?: true;
  readonly selfTest?: true;
  readonly symbols?: string;
}

/** `unclosed doctor`: checks what works on this machine, and says what to do about the rest. */
export function addDoctorCommand(program: Command): void {
  const command = program
    .command('doctor')
    .summary('check what works on this machine, and what to do about the rest')
    .description(
      'Checks what works on this machine: Node.js, Windows or Wine, native calls, recording (cmd.exe is run and recorded as a trial), names of ' +
        'handles, privileges and symbols. For what does not work it says what to try.',
    )
    .option('--json', 'print one JSON document')
    .option('--symbols <path>', 'the symbol path to check, as for `unclosed run`; by default _NT_SYMBOL_PATH')
    .addOption(
      new Option(
        '--self-test',
        'audit a script that commits every kind of fault, and print what was found and what is peculiar to this machine: a text for a bug report',
      ).conflicts(['json', 'symbols']),
    )
    .addHelpText(
      'after',
      '\nExit codes: 0 `unclosed run` works, 2 it does not. With --self-test: 0 all was found, 1 something was not.',
    )
    .action(async (options: DoctorOptions) => {
      process.exitCode = await (options.selfTest ? testItself() : examine(options));
    });
  addExamples(command, `${toolName} doctor`, `${toolName} doctor --self-test > self-test.txt`);
}

/** @returns the exit code */
async function testItself(): Promise<number> {
  const { runSelfTest } = await import('../../self-test/self-test.ts');
  const { drawSelfTest, isPassed } = await import('../../self-test/text.ts');
  const result = await runSelfTest();
  write(1, drawSelfTest(result));
  return isPassed(result) ? exitCodes.clean : exitCodes.findings;
}

/** @returns the exit code */
async function examine(options: DoctorOptions): Promise<number> {
  const checks = await examineAll({
    host: readHost(process.env),
    environment: process.env,
    symbolPath: options.symbols && toWindowsSymbolPath(options.symbols),
  });
  write(1, options.json ? formatJson(checks) : drawChecks(checks, describeOutput(1)));
  return canRun(checks) ? exitCodes.clean : exitCodes.error;
}

function formatJson(checks: readonly Check[]): string {
  const document = {
    schemaVersion: 1,
    tool: { name: toolName, version: toolVersion },
    canRun: canRun(checks),
    checks: checks.map(({ name, status, detail, advice, needed }) => ({
      name,
      status,
      needed: needed ?? false,
      detail,
      advice,
    })),
  };
  return `${escapeJson(JSON.stringify(document, undefined, 2))}\n`;
}

/** Draws the checks for a person: one line for each, and below it a remedy where something does not work. */
export function drawChecks(
  checks: readonly Check[],
  { colorLevel, columns }: Pick<OutputDescription, 'colorLevel' | 'columns'>,
): string {
  const chalk = new Chalk({ level: colorLevel });
  const paint: Readonly<Record<CheckStatus, (text: string) => string>> = {
    ok: chalk.green,
    limited: chalk.yellow,
    missing: chalk.red,
  };
  const statusWidth = Math.max(...checks.map(({ status }) => status.length));
  const nameWidth = Math.max(...checks.map(({ name }) => name.length));
  const indent = statusWidth + nameWidth + 4;
  const width = Math.max(24, columns - indent);
  const lines = checks.flatMap(({ name, status, detail, advice }) => {
    const text = [
      ...wrapText(`${escapeText(detail)}.`, width),
      ...(advice === undefined ? [] : wrapText(`Try ${escapeText(advice)}.`, width)),
    ];
    const head = `${paint[status](status.padEnd(statusWidth))}  ${chalk.bold(name.padEnd(nameWidth))}  `;
    return text.map((line, index) => (index === 0 ? head : ' '.repeat(indent)) + line);
  });
  const verdict = canRun(checks)
    ? chalk.green(`${toolName} run works here.`)
    : chalk.red(`${toolName} run does not work here.`);
  return `${[...lines, '', chalk.bold(verdict)].join('\n')}\n`;
}
