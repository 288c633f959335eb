import { UserError } from '../user-error.ts';

/** How marks reach the auditor. */
export interface MarkName {
  readonly kind: 'event' | 'pipe';
  /** The name by which programs open it: `Local\name`, `\\.\pipe\name`. */
  readonly name: string;
}

/** The name of an event or pipe cannot be used. */
export class MarkError extends UserError {
  constructor(name: string, why: string, advice: string) {
    super(`Cannot take marks by "${name}": ${why}. Try ${advice}.`);
  }
}

/** MAX_PATH, less the longest directory before a name. */
const LONGEST = 200;

/**
 * Takes `name`, `Local\name`, `Global\name` (an event), `pipe:name` or `\\.\pipe\name` apart.
 *
 * @throws MarkError when the text cannot be a name
 */
export function parseMarkName(text: string): MarkName {
  const pipe = /^(?:pipe:|\\\\\.\\pipe\\)(.*)$/is.exec(text)?.[1];
  const [, directory = 'Local', event = ''] = /^(?:(Local|Global)\\)?(.*)$/is.exec(text) ?? [];
  const name = pipe ?? event;
  const advice = 'a name like my-test, or pipe:my-test';
  if (name === '') throw new MarkError(text, 'it has no name', advice);
  if (name.length > LONGEST) throw new MarkError(text, `it is longer than ${LONGEST} characters`, advice);
  if (/[\\/:\x00-\x1f]/.test(name))
    throw new MarkError(text, 'a name holds no backslash, slash, colon or control character', advice);
  return pipe === undefined
    ? { kind: 'event', name: `${directory}\\${name}` }
    : { kind: 'pipe', name: `\\\\.\\pipe\\${name}` };
}
