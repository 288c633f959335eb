import { type Command, InvalidArgumentError } from 'commander';

import { HandleDescriber } from '../../handles/describe.ts';
import { type HandleFilter, listHandles, type ListedProcess } from '../../handles/list.ts';
import { nameTest } from '../../handles/name-filter.ts';
import { objectTypes } from '../../handles/types.ts';
import { findProcesses, type ProcessInfo } from '../../process/processes.ts';
import { toolName } from '../../version.ts';
import { exitCodes } from '../exit-codes.ts';
import {
  formatHandlesCsv,
  handleColumns,
  type ProcessCount,
  processCountColumns,
  type TypeCount,
  typeCountColumns,
} from '../handle-columns.ts';
import { drawProcessCounts, drawTypeCounts, HandleTableView, labelProcess } from '../handle-table.ts';
import { addExamples } from '../help/examples.ts';
import { chooseOutput, type FormatOptions, formatOptions } from '../listing-output.ts';
import { describeOutput, write } from '../screen/terminal.ts';

interface HandlesOptions extends FormatOptions {
  readonly type?: readonly string[];
  readonly name?: string;
  readonly inheritable?: true;
  /** False for `--no-names`. */
  readonly names: boolean;
  readonly summary?: true;
  readonly countOnly?: true;
}

/** `unclosed handles`: lists the open handles of processes. */
export function addHandlesCommand(program: Command): void {
  const command = program
    .command('handles')
    .summary('list the open handles of processes')
    .description(
      'Lists the handles that processes have open: value, type, access, attributes, and the object behind each handle: a file, key or pipe ' +
        'by its name, a socket by its endpoints, a process or thread by its id and whether it has ended. Windows may never answer when it is ' +
        'asked for a name; after half a second that name is shown as timed out, and the list goes on.',
    )
    .argument('[process]', 'a process id, a program’s name, several of these with commas, or all', 'all')
    .option(
      '--type <type>',
      'list only handles of this type: File, Socket, Key, Event…; several with commas; repeatable',
      parseTypes,
    )
    .option('--name <text>', 'list only handles whose name contains this text, or matches it if it contains * or ?')
    .option('--inheritable', 'list only handles that child processes may inherit')
    .option('--no-names', 'do not ask for names; much faster, and sockets are listed as files')
    .option('--summary', 'count the handles of each process by type')
    .option('--count-only', 'count the handles of each process; for one process, print only the number')
    .addHelpText('after', '\nExit codes: 0 listed, 2 no such process, or no process could be opened.')
    .action(async (target: string, options: HandlesOptions) => {
      process.exitCode = await listAll(command, target, options);
    });
  for (const option of formatOptions()) command.addOption(option);
  addExamples(
    command,
    `${toolName} handles 4242`,
    `${toolName} handles app.exe --type socket`,
    `${toolName} handles all --name "C:\\logs\\*" --csv`,
    `${toolName} handles 4242,app.exe --summary`,
  );
}

/** @returns the exit code */
async function listAll(command: Command, target: string, options: HandlesOptions): Promise<number> {
  const { type, name, summary, countOnly } = options;
  if (summary && countOnly) command.error('error: --summary and --count-only cannot be used together');
  const types = type && new Set(type);
  const needsNames = name !== undefined || types?.has('socket') === true;
  if (needsNames && !options.names)
    command.error('error: --name and --type socket need names: they cannot be used with --no-names');
  const filter: HandleFilter = {
    ...(types === undefined ? {} : { types }),
    ...(name === undefined ? {} : { matchesName: nameTest(name) }),
    ...(options.inheritable === undefined ? {} : { inheritable: true }),
  };
  const processes = findProcesses(target);
  // Counting by the kernel's types needs no names. But to count files without sockets does.
  const isCount = summary === true || countOnly === true;
  const wantsNames = options.names && (!isCount || needsNames || types?.has('file') === true);
  using describer = wantsNames ? new HandleDescriber() : undefined;
  const listed: ListedProcess[] = [];
  const onProcess = (process: ListedProcess): void => void listed.push(process);
  const list = { filter, describer, onProcess };

  if (isCount) await printCounts(processes, list, options);
  else await printHandles(processes, list, options);

  const isTable = !isCount && !(options.csv || options.json || options.ndjson);
  const denied = listed.filter(({ problem }) => problem !== undefined);
  for (const { process: denying, problem } of denied) {
    // The table says so above the handles. In other formats it would be hard to find.
    if (!isTable || denied.length === listed.length)
      write(2, `unclosed: Cannot open process ${labelProcess(denying)}: ${problem}. Its names are not known.\n`);
  }
  return listed.length > 0 && denied.length === listed.length ? exitCodes.error : exitCodes.clean;
}

type List = Required<Pick<Parameters<typeof listHandles>[1] & object, 'filter' | 'describer' | 'onProcess'>>;

async function printHandles(processes: readonly ProcessInfo[], list: List, options: HandlesOptions): Promise<void> {
  const output = chooseOutput(options, 'handles', handleColumns, formatHandlesCsv);
  const table = new HandleTableView(describeOutput(1));
  const listed: ListedProcess[] = [];
  const onProcess = (process: ListedProcess): void => {
    list.onProcess(process);
    table.addProcess(process);
    listed.push(process);
  };
  output?.begin();
  for await (const rows of listHandles(processes, { ...list, onProcess })) {
    const isRead = output === undefined ? write(1, table.drawRows(rows)) : output.rows(rows);
    if (!isRead) return;
  }
  output?.end({
    processes: listed.map(({ process, handleCount, problem }) => ({
      pid: process.processId,
      process: process.name,
      handles: handleCount,
      problem,
    })),
  });
}

async function printCounts(processes: readonly ProcessInfo[], list: List, options: HandlesOptions): Promise<void> {
  const counts = new Map<ProcessInfo, Map<string, number>>(processes.map((process) => [process, new Map()]));
  for await (const rows of listHandles(processes, list)) {
    for (const { process, kind, description } of rows) {
      const ofProcess = counts.get(process)!;
      const type = description?.object.type ?? kind.type;
      ofProcess.set(type, (ofProcess.get(type) ?? 0) + 1);
    }
  }
  const perType: readonly TypeCount[] = [...counts].flatMap(([process, types]) =>
    [...types]
      .map(([type, count]) => ({ process, type, count }))
      .sort((a, b) => b.count - a.count || (a.type < b.type ? -1 : 1)),
  );
  const perProcess: readonly ProcessCount[] = [...counts].map(([process, types]) => {
    return { process, count: [...types.values()].reduce((sum, count) => sum + count, 0) };
  });
  if (options.summary) printAll(options, typeCountColumns, perType, () => drawTypeCounts(perType, describeOutput(1)));
  else {
    printAll(options, processCountColumns, perProcess, () =>
      perProcess.length === 1 ? `${perProcess[0]!.count}\n` : drawProcessCounts(perProcess, describeOutput(1)),
    );
  }
}

function printAll<Row>(
  options: FormatOptions,
  columns: Parameters<typeof chooseOutput<Row>>[2],
  rows: readonly Row[],
  draw: () => string,
): void {
  const output = chooseOutput(options, 'counts', columns);
  if (output === undefined) {
    write(1, draw());
    return;
  }
  output.begin();
  output.rows(rows);
  output.end({});
}

/** Common names of types that the kernel calls something else. */
const aliases: ReadonlyMap<string, string> = new Map([['mutex', 'mutant']]);

function parseTypes(value: string, previous: readonly string[] = []): readonly string[] {
  const known = [...objectTypes().map(({ name }) => name), 'Socket'];
  const wanted = value.split(',').map((name) => {
    const type = aliases.get(name.trim().toLowerCase()) ?? name.trim().toLowerCase();
    if (known.some((candidate) => candidate.toLowerCase() === type)) return type;
    throw new InvalidArgumentError(
      `There is no type ${JSON.stringify(name)}. This system has ${known.toSorted().join(', ')}.`,
    );
  });
  return [...previous, ...wanted];
}
