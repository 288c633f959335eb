import { Command } from 'commander';

import { toolName, toolVersion } from '../version.ts';
import { addExamples, formatHelp } from './help/examples.ts';
import { describeOutput, write } from './screen/terminal.ts';

/** Adds a command. It may load the whole tool, to look at it. */
type AddCommand = (program: Command, loadAll: () => Promise<Command>) => void;

/**
 * The commands in the order of the help. The modules of a command, and the DLLs that they bind, are loaded only when
 * that command runs.
 */
const commands: ReadonlyMap<string, () => Promise<AddCommand>> = new Map<string, () => Promise<AddCommand>>([
  ['run', async () => (await import('./commands/run.ts')).addRunCommand],
  ['attach', async () => (await import('./commands/attach.ts')).addAttachCommand],
  ['baseline', async () => (await import('./commands/baseline.ts')).addBaselineCommand],
  ['init', async () => (await import('./commands/init.ts')).addInitCommand],
  ['handles', async () => (await import('./commands/handles.ts')).addHandlesCommand],
  ['find', async () => (await import('./commands/find.ts')).addFindCommand],
  ['explain', async () => (await import('./commands/explain.ts')).addExplainCommand],
  ['close', async () => (await import('./commands/close.ts')).addCloseCommand],
  ['snapshot', async () => (await import('./commands/snapshot.ts')).addSnapshotCommand],
  ['diff', async () => (await import('./commands/diff.ts')).addDiffCommand],
  ['watch', async () => (await import('./commands/watch.ts')).addWatchCommand],
  ['doctor', async () => (await import('./commands/doctor.ts')).addDoctorCommand],
  ['completion', async () => (await import('./commands/completion.ts')).addCompletionCommand],
]);

/**
 * The tool's command line: the one command that is named, or all of them.
 *
 * @param named what stands where a command is expected
 */
export async function loadProgram(named?: string): Promise<Command> {
  const program = new Command(toolName)
    .description('Finds the handles and sockets that a Windows program left open, closed twice, or used after closing.')
    .version(toolVersion)
    .enablePositionalOptions()
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ formatHelp })
    .configureOutput({
      writeOut: (text) => write(1, text),
      writeErr: (text) => write(2, text),
      outputError: (text, print) => print(`${toolName}: ${spellUsageError(text, program)}\n`),
      getOutHelpWidth: () => describeOutput(1).columns,
      getErrHelpWidth: () => describeOutput(2).columns,
      getOutHasColors: () => describeOutput(1).colorLevel > 0,
      getErrHasColors: () => describeOutput(2).colorLevel > 0,
    });
  addExamples(
    program,
    `${toolName} run -- app.exe --quick    # reports what the program left open`,
    `${toolName} attach server.exe --for 60s    # records a process that runs`,
  );
  const command = commands.get(named ?? '');
  for (const load of command === undefined ? commands.values() : [command]) (await load())(program, loadProgram);
  return program;
}

/**
 * Turns a message of Commander, such as `error: unknown option '--nope'\n(Did you mean --notes?)`, into one line in our
 * own form.
 */
function spellUsageError(text: string, program: Command): string {
  const [first = '', ...rest] = text
    .trim()
    .replace(/^error: /, '')
    .split(/\s*\n\s*/);
  const hint = rest.join(' ').replace(/^\(Did you mean (.*)\?\)$/, 'Try $1');
  const sentences = [first.charAt(0).toUpperCase() + first.slice(1), hint]
    .filter((part) => part !== '')
    .map((part) => part.replace(/[^.!?]$/, '$&.'));
  const line = sentences.join(' ');
  if (/\bTry /.test(line)) return line;
  const command = program.commands.find((each) => each.name() === process.argv[2]);
  return `${line} Try ${[toolName, ...(command === undefined ? [] : [command.name()]), '--help'].join(' ')}.`;
}
