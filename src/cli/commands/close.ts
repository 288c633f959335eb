import { readSync } from 'node:fs';

import type { Command } from 'commander';

import { HandleDescriber } from '../../handles/describe.ts';
import { HandleToClose, type CloseOutcome } from '../../handles/handle-to-close.ts';
import { explainHandle } from '../../handles/explanation.ts';
import { describeMeaning } from '../../handles/list.ts';
import { whyCritical } from '../../process/critical.ts';
import { enableDebugPrivilege } from '../../process/elevation.ts';
import { findProcess } from '../../process/processes.ts';
import { escapeText } from '../../text/escape.ts';
import { toolName } from '../../version.ts';
import { exitCodes } from '../exit-codes.ts';
import { addExamples } from '../help/examples.ts';
import { parseHandle } from '../handle-argument.ts';
import { formatHandle } from '../handle-columns.ts';
import { drawExplanation } from './explain.ts';
import { labelProcess } from '../handle-table.ts';
import { write } from '../screen/terminal.ts';

interface CloseOptions {
  readonly yes?: true;
  readonly force?: true;
}

/** `unclosed close`: closes a handle of another process. */
export function addCloseCommand(program: Command): void {
  const command = program
    .command('close')
    .summary('close a handle of another process')
    .description(
      'Closes a handle of another process. First it shows what the handle is, and asks. The process does not notice that its handle is gone: it ' +
        'goes on to use the value, which may soon belong to another object. That can crash the process or damage its data. To end the process is ' +
        'safer; close a handle only as a last resort.',
    )
    .argument('<process>', 'a process id, or the name of a program that runs only once')
    .argument('<handle>', 'the value of the handle, such as 0x1a4 or 420', parseHandle)
    .option('-y, --yes', 'close without asking')
    .option(
      '--force',
      'close even in a process that Windows needs to run, and even a handle that is protected from close',
    )
    .addHelpText('after', '\nExit codes: 0 closed, 1 not closed, 2 no such process or handle, or access denied.')
    .action(async (target: string, value: bigint, options: CloseOptions) => {
      process.exitCode = await close(target, value, options);
    });
  addExamples(command, `${toolName} close app.exe 0x1a4`, `${toolName} close 4242 0x1a4 --yes    # asks nothing`);
}

/** @returns the exit code */
async function close(target: string, value: bigint, options: CloseOptions): Promise<number> {
  enableDebugPrivilege();
  const found = findProcess(target);
  const label = labelProcess(found);
  const refusal = whyCritical(found);
  if (refusal !== undefined && !options.force) {
    write(
      2,
      `unclosed: Cannot close a handle of ${label}: ${refusal}, and closing a handle in it may stop the system. Try --force if you must.\n`,
    );
    return exitCodes.error;
  }
  using describer = new HandleDescriber();
  const explanation = await explainHandle(found, value, label, describer);
  const { entry, description } = explanation;
  const meaning = describeMeaning(description);
  const what = `${formatHandle(value)} of ${label}, ${description.object.type}${meaning === '' ? ' without a name' : ` ${escapeText(meaning)}`}`;
  if (entry.protectFromClose && !options.force) {
    write(2, `unclosed: Cannot close ${what}: it is protected from close. Try --force if you must.\n`);
    return exitCodes.findings;
  }
  using handle = new HandleToClose(found, value, label);
  if (!options.yes) {
    write(
      2,
      `${drawExplanation(explanation)}\n${label} does not notice this, and may crash or lose data. Close ${formatHandle(value)}? [y/N] `,
    );
    const answer = readLine();
    if (!/^y(?:es)?$/i.test(answer?.trim() ?? '')) {
      write(
        2,
        answer === undefined
          ? '\nunclosed: Nothing was closed: there was no answer. Try --yes.\n'
          : 'Nothing was closed.\n',
      );
      return exitCodes.findings;
    }
  }
  const outcome = handle.close();
  write(outcome === 'closed' || outcome === 'reused' ? 1 : 2, `${sentences[outcome](what)}\n`);
  return outcome === 'closed' || outcome === 'reused' ? exitCodes.clean : exitCodes.findings;
}

const sentences: Readonly<Record<CloseOutcome, (what: string) => string>> = {
  closed: (what) => `Closed ${what}.`,
  reused: (what) => `Closed ${what}. The process has opened another object since, which has the same value.`,
  'other-object': (what) => `unclosed: Did not close ${what}: its value belongs to another object now.`,
  'still-open': (what) => `unclosed: Did not close ${what}: Windows accepted the call, and the handle is still open.`,
};

/** Reads a line of standard input; `undefined` at its end, or where there is no input. */
function readLine(): string | undefined {
  const byte = Buffer.alloc(1);
  let bytes: number[] = [];
  for (;;) {
    try {
      if (readSync(0, byte) === 0) return bytes.length === 0 ? undefined : Buffer.from(bytes).toString();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EOF' || code === 'EBADF' || code === 'ENOENT') return undefined;
      throw error;
    }
    if (byte[0] === 0x0a) return Buffer.from(bytes).toString();
    bytes = [...bytes, byte[0]!];
    if (bytes.length > 1024) return '';
  }
}
