/** A line by which a program says where a section of its work begins or ends. */
export interface SectionLine {
  /** `label` ends the label before and begins another; `sync` waits until the ends so far are judged. */
  readonly verb: 'begin' | 'end' | 'label' | 'sync';
  /** Empty for the innermost section (`end`), or for no further one (`label`). */
  readonly name: string;
  readonly scope: SectionScope;
}

/** Whose calls belong to a section: those of one thread, of one process, or whichever are made while it is open. */
export interface SectionScope {
  readonly threadId?: number;
  readonly processId?: number;
}

/** Bytes of a line that are kept; a name is cut there at the latest. */
export const LINE_SIZE_BYTES_MAX = 1024;
/** Names are shown in sentences: one that is longer is cut. */
const NAME_LENGTH_MAX = 200;

/**
 * Reads a line of the mark channel: `begin <name>`, `end`, `end <name>`, `label <name>`, `sync`, each with `@<thread
 * id>` or `#<process id>` behind the first word to name the scope. The name comes from the target, and may hold
 * anything.
 *
 * @returns undefined for every other line: it marks an iteration
 */
export function parseSectionLine(text: string): SectionLine | undefined {
  const match = /^(begin|end|label|sync)(?:([@#])(\d{1,10}))?(?: (.*))?$/s.exec(text.replace(/\r$/, ''));
  if (match === null) return undefined;
  const [, verb, sign, id, rest = ''] = match;
  const given = cutName(rest.trim());
  if (verb === 'begin' && given === '' && sign === undefined) return undefined;
  const name = verb === 'begin' && given === '' ? 'unnamed' : given;
  const number = Number(id);
  const scope = sign === '@' ? { threadId: number } : sign === '#' ? { processId: number } : {};
  return { verb: verb as SectionLine['verb'], name, scope };
}

function cutName(name: string): string {
  if (name.length <= NAME_LENGTH_MAX) return name;
  return `${name.slice(0, NAME_LENGTH_MAX - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
