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
  if (name === undefined || name === '') return 0;
  const path = name.startsWith('\\\\') ? name : `\\\\.\\pipe\\${name.replace(/^pipe:/, '')}`;
  return new Promise((resolve, reject) => {
    let answer = '';
    const fail = (why: string): void =>
      reject(new Error(`Cannot mark an iteration by "${path}": ${why}. Try unclosed run --mark pipe:<name>.`));
    const pipe = connect(path, () => pipe.write('\n'));
    pipe.setEncoding('utf8');
    pipe.on('data', (text: string) => {
      answer += text;
      if (answer.includes('\n')) pipe.end();
    });
    pipe.on('error', (error: NodeJS.ErrnoException) =>
      fail(error.code === 'ENOENT' ? 'no auditor takes marks there (ENOENT)' : error.message),
    );
    pipe.on('close', () =>
      answer.includes('\n') ? resolve(Number.parseInt(answer, 10)) : fail('it was closed without an answer'),
    );
  });
}
