import { connect } from 'node:net';

/** The environment variable with the default name for {@link mark}. `--mark pipe:name` sets it for the program. */
export const MARK_VARIABLE = 'UNCLOSED_MARK';

/**
 * Marks the end of one iteration, and resolves when the auditor has counted the open handles. Handles that are opened
 * afterwards belong to the next iteration.
 *
 * The audited program, a test harness or a third process may call it, in any Node.js on the same machine. It needs only
 * the name that the auditor was given (`--mark pipe:name`, or `mark: 'pipe:name'` of `audit`).
 *
 * @param name of the pipe, with or without `\\.\pipe\`; by default the one in UNCLOSED_MARK
 * @returns the number of iterations so far; 0 without a name, when there is no auditor
 * @throws Error when no auditor has the name, or the auditor ended before it answered
 */
export async function mark(name: string | undefined = process.env[MARK_VARIABLE]): Promise<number> {
  return await tell('', 'mark an iteration', name);
}

/**
 * Begins a section of the work, a test for example. Handles that this process opens until its end belong to it, and
 * every finding says so: docs/test-attribution.md. Resolves when the auditor has taken it.
 *
 * Sections may lie in each other and overlap. A handle that was opened while several of this process were open belongs
 * to one of them, and the report does not say to which.
 *
 * @param section its name, of which 200 characters count
 * @param name of the pipe, as for {@link mark}
 * @returns the number of sections so far; 0 when there is no auditor
 * @throws TypeError for an empty name, or one of several lines
 * @throws Error as for {@link mark}, and when too many sections are open
 */
export async function begin(section: string, name: string | undefined = process.env[MARK_VARIABLE]): Promise<number> {
  checkName(section);
  return await tell(`begin#${process.pid} ${section}`, 'begin a section', name);
}

/**
 * Ends a section that this process has begun. Resolves when the auditor has taken it, and noted what it left open.
 *
 * @param section its name; by default that of the section which was begun last
 * @param name of the pipe, as for {@link mark}
 * @returns the number of sections so far; 0 when there is no auditor
 * @throws TypeError for an empty name, or one of several lines
 * @throws Error as for {@link mark}, and when no such section is open
 */
export async function end(section?: string, name: string | undefined = process.env[MARK_VARIABLE]): Promise<number> {
  if (section !== undefined) checkName(section);
  return await tell(`end#${process.pid}${section === undefined ? '' : ` ${section}`}`, 'end a section', name);
}

/**
 * Does some work within a section: {@link begin}, the work, {@link end}, however it ends.
 *
 * @param work may be async
 * @returns its result
 * @throws what it throws, or else what {@link begin} and {@link end} do
 */
export async function section<Result>(
  name: string,
  work: () => Result | PromiseLike<Result>,
  pipe: string | undefined = process.env[MARK_VARIABLE],
): Promise<Result> {
  await begin(name, pipe);
  let result: Result;
  try {
    result = await work();
  } catch (error) {
    await end(name, pipe).catch(() => {}); // the work's own error says more
    throw error;
  }
  await end(name, pipe);
  return result;
}

function checkName(section: string): void {
  if (section.trim() === '' || /[\r\n]/.test(section))
    throw new TypeError(`Cannot name a section ${JSON.stringify(section)}: a name is one line of text. Try another.`);
}

/**
 * Writes a line to the auditor, and resolves with the number that it answers. The auditor may want the pipe closed
 * before it judges what a section left open, and be asked again.
 */
async function tell(line: string, act: string, name: string | undefined): Promise<number> {
  if (name === undefined || name === '') return 0;
  const path = name.startsWith('\\\\') ? name : `\\\\.\\pipe\\${name.replace(/^pipe:/, '')}`;
  return await new Promise((resolve, reject) => {
    let answer = '';
    const fail = (why: string, advice = 'unclosed run --mark pipe:<name>'): void =>
      reject(new Error(`Cannot ${act} by "${path}": ${why}. Try ${advice}.`));
    const pipe = connect(path, () => pipe.write(`${line}\n`));
    pipe.setEncoding('utf8');
    pipe.on('data', (text: string) => {
      answer += text;
      if (answer.includes('\n')) pipe.end();
    });
    pipe.on('error', (error: NodeJS.ErrnoException) =>
      fail(error.code === 'ENOENT' ? 'no auditor takes marks there (ENOENT)' : error.message),
    );
    pipe.on('close', () => {
      if (!answer.includes('\n')) fail('it was closed without an answer');
      else if (answer.startsWith('!')) fail(answer.slice(1).trim(), 'a section that has begun and not ended');
      else if (answer.trim().endsWith(' wait')) resolve(tell(`sync#${process.pid}`, act, name));
      else resolve(Number.parseInt(answer, 10));
    });
  });
}
