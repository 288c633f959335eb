import { PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_VM_READ } from '../../ffi/constants.ts';
import { existsSync, realpathSync } from 'node:fs';
import { win32 } from 'node:path';

import { Chalk } from 'chalk';
import type { Command } from 'commander';

import { HandleDescriber } from '../../handles/describe.ts';
import {
  describeMeaning,
  type HandleFilter,
  listHandles,
  type ListedHandle,
  type ListedProcess,
} from '../../handles/list.ts';
import { nameTest } from '../../handles/name-filter.ts';
import { SystemError } from '../../io/index.ts';
import { listModules } from '../../process/modules.ts';
import { listProcesses, openProcess, type ProcessInfo } from '../../process/processes.ts';
import { escapeText } from '../../text/escape.ts';
import type { Column } from '../../report/listing.ts';
import { toolName } from '../../version.ts';
import { toWindowsPath } from '../../wine/paths.ts';
import { exitCodes } from '../exit-codes.ts';
import { formatHandle, handleColumns } from '../handle-columns.ts';
import { addExamples } from '../help/examples.ts';
import { labelProcess } from '../handle-table.ts';
import { chooseOutput, type FormatOptions, formatOptions } from '../listing-output.ts';
import { describeOutput, write } from '../screen/terminal.ts';

/** A DLL or program that is mapped into a process: it locks its file without any handle. */
interface LoadedModule {
  readonly process: ProcessInfo;
  readonly path: string;
}

type Holding = ListedHandle | LoadedModule;

/** The search: what matches, and where. */
interface Wanted {
  readonly matches: (text: string) => boolean;
  /** Types of handle that can have such a name; all, if absent. */
  readonly types?: ReadonlySet<string>;
  /** Whether the path of a file may match, so that loaded modules must be searched, too. */
  readonly isFile: boolean;
}

/** `unclosed find`: the processes that hold something. */
export function addFindCommand(program: Command): void {
  const command = program
    .command('find')
    .summary('find the processes that hold a file, key, port or named object')
    .description(
      'Finds the processes that hold something: a file that cannot be deleted, a registry key, a port, a named event. A process also holds the ' +
        'files of the program and the DLLs that it has loaded, without a handle; these are listed as modules.',
    )
    .argument('<text>', 'a path, a part of a name, or :8080 for a port; a text with * or ? must match the whole name')
    .addHelpText('after', '\nExit codes: 0 found, 1 no process holds it, 2 the search failed.')
    .action(async (text: string, options: FormatOptions) => {
      if (text === '') command.error('error: the text to look for must not be empty');
      process.exitCode = await find(text, options);
    });
  for (const option of formatOptions()) command.addOption(option);
  addExamples(
    command,
    `${toolName} find C:\\logs\\app.log`,
    `${toolName} find .\\build`,
    `${toolName} find :8080`,
    `${toolName} find "HKCU\\Software\\*\\Recent"`,
  );
}

/** @returns the exit code */
async function find(text: string, options: FormatOptions): Promise<number> {
  const wanted = understand(text);
  const output = chooseOutput(options, 'holders', holdingColumns);
  const filter: HandleFilter = {
    matchesName: wanted.matches,
    ...(wanted.types === undefined ? {} : { types: wanted.types }),
  };
  const processes = listProcesses();
  const listed: ListedProcess[] = [];
  const onProcess = (process: ListedProcess): void => void listed.push(process);
  const holders = new Set<ProcessInfo>();
  const found = (holdings: readonly Holding[]): void => {
    if (holdings.length === 0) return;
    if (output === undefined) write(1, drawHoldings(holdings, holders.size === 0 ? undefined : last));
    else output.rows(holdings);
    for (const { process } of holdings) holders.add((last = process));
  };
  let last: ProcessInfo | undefined;

  output?.begin();
  using describer = new HandleDescriber();
  for await (const handles of listHandles(processes, { filter, describer, onProcess })) found(handles);
  if (wanted.isFile) found(processes.flatMap((process) => findModules(process, wanted.matches)));
  const denied = listed.filter(({ problem, handleCount }) => problem !== undefined && handleCount > 0);
  output?.end({
    denied: denied.map(({ process, problem }) => ({ pid: process.processId, process: process.name, problem })),
  });

  const unseen =
    denied.length === 0
      ? ''
      : ` ${denied.length === 1 ? '1 process' : `${denied.length} processes`} could not be looked into (${denied
          .slice(0, 3)
          .map(({ process }) => labelProcess(process))
          .join(', ')}${denied.length > 3 ? ', …' : ''}): try an elevated terminal.`;
  if (holders.size === 0) write(2, `unclosed: No process holds "${escapeText(text)}".${unseen}\n`);
  else if (unseen !== '') write(2, `unclosed:${unseen}\n`);
  return holders.size === 0 ? exitCodes.findings : exitCodes.clean;
}

/**
 * Understands what the user looks for: `:8080` is a port, the path of an existing file is that file, and anything else
 * is a part of a name.
 */
function understand(text: string): Wanted {
  const port = /^:(\d{1,5})$/.exec(text)?.[1];
  // Each endpoint is tested by itself, besides the whole line of the socket.
  if (port !== undefined)
    return {
      matches: (name) => /^\S+$/.test(name) && name.endsWith(`:${Number(port)}`),
      types: new Set(['socket']),
      isFile: false,
    };
  if (/[*?]/.test(text)) return { matches: nameTest(toWindowsPath(text)), isFile: true };
  const path = win32.resolve(toWindowsPath(text));
  const looksLikePath = /[\\/]/.test(text) && !/^(?:HK[A-Z]+\\|\\\\\.\\|\\)/i.test(text);
  if (!looksLikePath && !existsSync(path)) return { matches: nameTest(text), isFile: true };
  // The kernel names a file by its real path, even if it was opened through a link.
  const paths = new Set([path, realPath(path)].map((name) => name.replace(/\\$/, '').toLowerCase()));
  const isAtOrUnder = (name: string): boolean => {
    const lower = name.toLowerCase();
    return [...paths].some((wanted) => lower === wanted || lower.startsWith(`${wanted}\\`));
  };
  if (existsSync(path)) return { matches: isAtOrUnder, types: new Set(['file']), isFile: true };
  // It is a part of a path, or a file that was deleted while a process holds it.
  const part = nameTest(toWindowsPath(text).replaceAll('/', '\\'));
  return { matches: (name) => isAtOrUnder(name) || part(name), types: new Set(['file']), isFile: true };
}

function realPath(path: string): string {
  try {
    return realpathSync.native(path).replace(/^\\\\\?\\(?=[a-z]:)/i, '');
  } catch {
    return path; // A file that cannot be opened is looked for by the name that the user gave.
  }
}

function findModules(process: ProcessInfo, matches: (path: string) => boolean): readonly LoadedModule[] {
  try {
    using opened = openProcess(process.processId, PROCESS_VM_READ | PROCESS_QUERY_LIMITED_INFORMATION);
    return listModules(opened)
      .filter(({ path }) => matches(path))
      .map(({ path }) => ({ process, path }));
  } catch (error) {
    if (error instanceof SystemError) return []; // Its handles were denied, too, and that is reported.
    throw error;
  }
}

const holdingColumns: readonly Column<Holding>[] = handleColumns.map(({ key, read }) => {
  return { key, read: (holding) => ('path' in holding ? moduleCells(holding)[key] : read(holding)) };
});

function moduleCells({ process, path }: LoadedModule): Readonly<Record<string, string | number>> {
  return { pid: process.processId, process: process.name, type: 'Module', name: path };
}

function drawHoldings(holdings: readonly Holding[], headed: ProcessInfo | undefined): string {
  const chalk = new Chalk({ level: describeOutput(1).colorLevel });
  let text = '';
  for (const holding of holdings) {
    if (holding.process !== headed) {
      text += `${headed === undefined ? '' : '\n'}${chalk.bold(labelProcess(holding.process))}\n`;
      headed = holding.process;
    }
    const [value, type, name] =
      'path' in holding
        ? ['', 'Module', holding.path]
        : [
            formatHandle(holding.value),
            holding.description?.object.type ?? holding.kind.type,
            describeMeaning(holding.description!),
          ];
    text += `  ${value.padStart(6)}  ${escapeText(type).padEnd(8)}  ${escapeText(name)}\n`;
  }
  return text;
}
