import { win32 } from 'node:path';

import { type Command, InvalidArgumentError } from 'commander';

import type { AuditOptions, StopNews, StoppedThread } from '../../audit/index.ts';
import { listWatches, parseStopOrders } from '../../audit/stops/stop-orders.ts';
import { isWine } from '../../ffi/ntdll.ts';
import { spellPlace } from '../../analyze/wording.ts';
import { escapeText } from '../../text/escape.ts';
import { UserError } from '../../user-error.ts';
import { toolName } from '../../version.ts';
import { toWindowsPath } from '../../wine/paths.ts';
import { showPath } from '../gate/shown-path.ts';
import { write } from '../screen/terminal.ts';
import { EnterKey } from './enter-key.ts';

/** The values of {@link addStopOptions}. */
export interface StopCliOptions {
  readonly breakOn?: string;
  readonly dumpOn?: DumpOn;
}

/** Where minidumps are written, and of what. */
interface DumpOn {
  readonly orders: string;
  readonly directory?: string;
}

/** Adds the options by which threads are stopped. */
export function addStopOptions(command: Command): Command {
  return command
    .option(
      '--break-on <rules>',
      'stop the thread in the call that makes a finding of one of these rules, once a site: for a debugger that is attached, or else until Enter is pressed. Rules have commas between them, and may have a site: double-close:close_log, or leak:open_log@100 for the hundredth open handle',
      parseBreakOn,
    )
    .option(
      '--dump-on <rules[=directory]>',
      'write a minidump of that moment, five at most; to the working directory unless one is given',
      parseDumpOn,
    );
}

function parseBreakOn(value: string): string {
  try {
    listWatches(parseStopOrders(value));
    return value;
  } catch (error) {
    if (error instanceof UserError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

function parseDumpOn(value: string): DumpOn {
  const [, orders = '', directory] = /^([^=]*)(?:=(.*))?$/s.exec(value) ?? [];
  if (directory === '') throw new InvalidArgumentError('The name of a directory is needed after "=".');
  return { orders: parseBreakOn(orders), ...(directory === undefined ? {} : { directory: toWindowsPath(directory) }) };
}

/** Translates the options for the audit. */
export function toStopOptions({ breakOn, dumpOn }: StopCliOptions): Pick<AuditOptions, 'stops'> {
  if (breakOn === undefined && dumpOn === undefined) return {};
  const enter = new EnterKey();
  return {
    stops: {
      ...(breakOn === undefined ? {} : { breakOn }),
      ...(dumpOn === undefined ? {} : { dumpOn: dumpOn.orders }),
      ...(dumpOn?.directory === undefined ? {} : { dumpDirectory: dumpOn.directory }),
      async hold(thread, isOver) {
        write(2, spellHeld(thread));
        const isPressed = await enter.press(isOver);
        if (!isPressed && enter.hasEnded)
          write(2, `  stdin has ended, so Enter cannot be pressed: the thread goes on.\n`);
      },
      onNews: (thread, news) => write(2, `${toolName}: ${spellNews(thread, news)}\n`),
    },
  };
}

function spellHeld(thread: StoppedThread): string {
  const { pid, finding, hasLoaderLock } = thread;
  const { opened = [], offending = opened } = finding.stacks;
  const debuggerCommand = isWine ? `winedbg --gdb ${pid}` : `windbg -p ${pid}`;
  return [
    `${toolName}: ${spellThread(thread)} is held at ${spellFinding(thread)}`,
    escapeText(finding.message, true),
    `It waits inside of its call at ${escapeText(spellPlace(offending), true)}.`,
    ...(hasLoaderLock ? ['It holds the lock of the loader: other threads that need it wait, too.'] : []),
    `Attach a debugger (${debuggerCommand}) and let the program go on there: it stops as the call returns.`,
    'Press Enter to let the thread go on.',
    '',
  ]
    .join('\n  ')
    .trimEnd()
    .concat('\n');
}

function spellNews(thread: StoppedThread, news: StopNews): string {
  switch (news.kind) {
    case 'breaks':
      return `${spellThread(thread)} stops in the debugger at ${spellFinding(thread)}`;
    case 'dumped':
      return `a minidump of ${spellFinding(thread)} is in ${escapeText(showPath(news.path), true)}`;
    case 'dump-failed':
      return `there is no minidump of ${spellFinding(thread)}. ${escapeText(news.error instanceof Error ? news.error.message : String(news.error), true)}`;
  }
}

function spellThread({ pid, threadId, image }: StoppedThread): string {
  return `thread ${threadId} of ${escapeText(win32.basename(image), true)} (process ${pid})`;
}

function spellFinding({ finding: { rule, fingerprint } }: StoppedThread): string {
  return fingerprint === '' ? rule : `${rule} ${fingerprint}`;
}
