import { Chalk } from 'chalk';
import type { Command } from 'commander';

import { type LiveValue, readLiveValue } from '../../audit/value/live-value.ts';
import { decodeAccess } from '../../handles/access.ts';
import { HandleDescriber } from '../../handles/describe.ts';
import { explainHandle, type Explanation, HandleNotFoundError } from '../../handles/explanation.ts';
import { describeMeaning } from '../../handles/list.ts';
import type { Detail } from '../../handles/object-details.ts';
import { enableDebugPrivilege } from '../../process/elevation.ts';
import { fileTimeNow, fileTimeToIso } from '../../process/file-time.ts';
import { findProcess, type ProcessInfo } from '../../process/processes.ts';
import { frameToJson } from '../../report/json-values.ts';
import { spellDuration } from '../../text/duration.ts';
import { escapeJson, escapeText } from '../../text/escape.ts';
import { toolName } from '../../version.ts';
import { exitCodes } from '../exit-codes.ts';
import { parseHandle } from '../handle-argument.ts';
import { formatHandle, spellAttributes } from '../handle-columns.ts';
import { countHandles, labelProcess } from '../handle-table.ts';
import { addExamples } from '../help/examples.ts';
import { describeOutput, write } from '../screen/terminal.ts';
import { ValueView } from '../screen/value-view.ts';

interface ExplainOptions {
  readonly json?: true;
}

/** `unclosed explain`: shows everything about one handle. */
export function addExplainCommand(program: Command): void {
  const command = program
    .command('explain')
    .summary('show everything about one handle')
    .description(
      'Shows everything about one handle: type, name, access, attributes, how many handles keep its object alive, the state of the object ' +
        '(whether an event is signalled, a semaphore’s count, a file’s position, a process’s exit code), and the other handles to the same object. In a process that is being audited, also the life of the handle: who opened it, and who closed it.',
    )
    .argument('<process>', 'a process id, or the name of a program that runs only once')
    .argument('<handle>', 'the value of the handle, such as 0x1a4 or 420', parseHandle)
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExit codes: 0 shown, 2 no such process or handle, or access denied.')
    .action(async (target: string, value: bigint, options: ExplainOptions) => {
      process.exitCode = await explain(target, value, options);
    });
  addExamples(command, `${toolName} explain app.exe 0x1a4`, `${toolName} explain 4242 420 --json`);
}

/** @returns the exit code */
async function explain(target: string, value: bigint, options: ExplainOptions): Promise<number> {
  enableDebugPrivilege();
  const found = findProcess(target);
  using describer = new HandleDescriber();
  const label = labelProcess(found);
  const live = await readLiveValue(found, value, label);
  let explanation: Explanation | undefined;
  try {
    explanation = await explainHandle(found, value, label, describer);
  } catch (error) {
    // A handle that is closed has no state, but it may have a life.
    if (!(error instanceof HandleNotFoundError) || live === undefined || !hasEvents(live)) throw error;
  }
  if (options.json) write(1, formatJson({ process: found, value }, explanation, live));
  else {
    const facts =
      explanation === undefined ? `${formatHandle(value)} of ${label} is not open.\n` : drawExplanation(explanation);
    write(1, `${facts}${live === undefined ? '' : `\n${drawLife(live, found.name)}`}`);
  }
  return exitCodes.clean;
}

function hasEvents(live: LiveValue): boolean {
  return 'events' in live && live.events.length > 0;
}

/** Draws what the auditor of a process has on record of a value. */
function drawLife(live: LiveValue, program: string): string {
  const chalk = new Chalk({ level: describeOutput(1).colorLevel });
  const heading = chalk.bold('Its life, as the audit of the process has it now');
  if ('problem' in live) return `${heading}\n  ${chalk.yellow(escapeText(live.problem))}\n`;
  if (live.events.length === 0) return `${heading}\n  The audit has not seen it opened, closed or misused.\n`;
  const view = new ValueView(1, program);
  const now = fileTimeNow();
  const lines = live.events.flatMap((event) =>
    view.draw(event, `${spellDuration(Math.max(0, Number(now - event.time) / 10_000))} ago`),
  );
  return `${heading}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

function lifeToJson(live: LiveValue | undefined): object {
  if (live === undefined) return {};
  if ('problem' in live) return { lifeProblem: live.problem };
  const life = live.events.map(({ what, generation, objectType, call, threadId, time, count, stack }) => ({
    what,
    life: Number(generation),
    type: objectType,
    call,
    threadId,
    time: fileTimeToIso(time),
    count,
    stack: stack.map(frameToJson),
  }));
  return { life };
}

function formatJson(
  { process, value }: { readonly process: ProcessInfo; readonly value: bigint },
  explanation: Explanation | undefined,
  live: LiveValue | undefined,
): string {
  const document = {
    schemaVersion: 1,
    pid: process.processId,
    process: process.name,
    handle: formatHandle(value),
    ...(explanation === undefined ? {} : explanationToJson(explanation)),
    ...lifeToJson(live),
  };
  return `${escapeJson(JSON.stringify(document, undefined, 2))}\n`;
}

function explanationToJson({ entry, description, references, details, others, othersProblem }: Explanation): object {
  const { name, socket } = description.object;
  return {
    type: description.object.type,
    access: decodeAccess(entry.type, entry.access).join('|'),
    accessMask: `0x${entry.access.toString(16)}`,
    attributes: spellAttributes(entry),
    name,
    nameProblem: description.nameProblem,
    socket,
    targetPid: description.processId,
    targetTid: description.threadId,
    targetImage: description.imagePath,
    ended: description.ended,
    exitCode: description.exitCode,
    references,
    details: Object.fromEntries(
      details.map(([key, value]) => [key, typeof value === 'bigint' ? Number(value) : value]),
    ),
    others: others.map((other) => ({
      pid: other.process.processId,
      process: other.process.name,
      handle: formatHandle(other.value),
      access: decodeAccess(entry.type, other.access).join('|'),
    })),
    othersProblem,
  };
}

/** Draws the explanation for a person. */
export function drawExplanation({
  process,
  entry,
  description,
  references,
  details,
  others,
  othersProblem,
}: Explanation): string {
  const chalk = new Chalk({ level: describeOutput(1).colorLevel });
  const { imagePath } = description;
  const lines: readonly (readonly [string, string])[] = [
    ['type', description.object.type],
    [description.object.socket === undefined ? 'name' : 'socket', describeMeaning(description) || 'none'],
    ...(imagePath === undefined ? [] : [['program', imagePath] as const]),
    ['access', `${decodeAccess(entry.type, entry.access).join('|') || 'none'} (0x${entry.access.toString(16)})`],
    ['attributes', spellAttributes(entry) || 'none'],
    ...(references === undefined
      ? []
      : [['references', `${countHandles(references.handles)}, ${references.pointers} pointers`] as const]),
    ...details.map(([key, value]) => [spellKey(key), spellValue(key, value)] as const),
  ];
  const width = Math.max(...lines.map(([key]) => key.length));
  const facts = lines.map(([key, value]) => `  ${chalk.dim(key.padEnd(width))}  ${escapeText(value)}\n`);
  const same = others.map(
    (other) =>
      `  ${labelProcess(other.process)}  ${formatHandle(other.value)}  ${decodeAccess(entry.type, other.access).join('|')}\n`,
  );
  const incomplete = othersProblem === undefined ? '' : `  ${chalk.yellow(`not known of all: ${othersProblem}`)}\n`;
  const heading =
    same.length === 0 && incomplete === ''
      ? 'No other handle means the same object.'
      : 'The same object is also held by';
  return `${chalk.bold(`${formatHandle(entry.value)} of ${labelProcess(process)}`)}\n${facts.join('')}\n${chalk.bold(heading)}\n${same.join('')}${incomplete}`;
}

/** `deletePending` -> `delete pending`, `sizeBytes` -> `size`. */
function spellKey(key: string): string {
  return key.replace(/(?:Bytes|Ms)$/, '').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function spellValue(key: string, value: Detail[1]): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (key.endsWith('Bytes')) return `${BigInt(value).toLocaleString('en')} bytes`;
  if (key.endsWith('Ms')) return `${BigInt(value).toLocaleString('en')} ms`;
  return String(value);
}
