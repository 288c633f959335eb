import { connect } from 'node:net';

/**
 * Where {@link mark} goes when it is not told: the auditor sets it for the program that it runs with `--mark
 * pipe:name`.
 */
export const MARK_VARIABLE = 'UNCLOSED_MARK';

/**
 * Says that one iteration is over, and resolves when the auditor has counted the open handles: what is opened from then
 * on belongs to the next iteration.
 *
 * For whoever drives the iterations, be it the audited program, a test harness or a third process, in any Node.js on
 * the same machine: it needs nothing but the name that the auditor was given (`--mark pipe:name`, or `mark:
 * 'pipe:name'` of `audit`).
 *
 * @param name of the pipe, with or without `\\.\pipe\`; the one in UNCLOSED_MARK unless told
 * @returns the number of iterations so far; 0 without a name, when nobody audits
 * @throws Error when there is no auditor behind the name, or it went away before it answered
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
      fail(error.code === 'ENOENT' ? 'nobody takes marks there (ENOENT)' : error.message),
    );
    pipe.on('close', () =>
      answer.includes('\n') ? resolve(Number.parseInt(answer, 10)) : fail('it was closed without an answer'),
    );
  });
}
