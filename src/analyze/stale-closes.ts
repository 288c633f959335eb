import type { EarlierLife, Evidence, Frame, Misuse, Stack } from '../model.ts';
import { isInvalidHandle } from './misuse.ts';
import { canonicalText } from './grouping.ts';
import { dissect, exportedName, moduleName, reachesThreadStart } from './stacks.ts';

/**
 * A close of a stale value that Windows carried out, because the value stood for another object by then. The program
 * shows it only later: the owner of that object is refused.
 *
 * It reads like the close that a quarantine refuses: the same history, the same offending call, the same victim.
 */
export interface CarriedOutClose extends Misuse {
  /** The refused calls of the victim's owner. They belong to this mistake, and are none of their own. */
  readonly consequences: readonly Misuse[];
}

const known = new WeakMap<Evidence, readonly CarriedOutClose[]>();

/** The stale closes that the evidence makes probable. */
export function findCarriedOutCloses(evidence: Evidence): readonly CarriedOutClose[] {
  let found = known.get(evidence);
  if (found === undefined) {
    found = find(evidence);
    known.set(evidence, found);
  }
  return found;
}

/** The call was refused because another's stale close had hit its handle. */
export function isConsequence(misuse: Misuse, evidence: Evidence): boolean {
  return findCarriedOutCloses(evidence).some(({ consequences }) => consequences.includes(misuse));
}

function find({ misuses, closings }: Evidence): readonly CarriedOutClose[] {
  if (closings === undefined) return [];
  const lives = [...closings, ...misuses.flatMap(({ earlierLives = [] }) => earlierLives)].map(toLife);
  const found = new Map<string, [Misuse, EarlierLife][]>();
  for (const misuse of misuses) {
    const earlier = findOwner(misuse, lives);
    if (earlier === undefined) continue;
    const key = canonicalText([earlier, misuse.opened?.stack, misuse.closed?.stack]);
    const others = found.get(key);
    if (others === undefined) found.set(key, [[misuse, earlier]]);
    else others.push([misuse, earlier]);
  }
  return Array.from(found.values(), (entries) => {
    const [[first, earlier]] = entries as [[Misuse, EarlierLife]];
    const { opened, closed, object = { type: 'Unknown' } } = first;
    const values = [...new Set(entries.flatMap(([misuse]) => misuse.values))];
    return {
      kind: 'close',
      status: 0,
      // How often is not known: a value was closed once at least.
      count: Math.max(values.length, 1),
      values,
      object: earlier.object,
      opened: { stack: earlier.opened },
      closed: { stack: earlier.closed },
      offending: { call: 'NtClose', threadId: 0, timeMs: 0, ...closed!, stack: closed!.stack },
      victim: { object, opened: opened!.stack },
      consequences: entries.map(([misuse]) => misuse),
    };
  });
}

/** A life of a handle, by the code that opened it and the code that closed it. */
interface Life {
  readonly openedAt: string;
  readonly closedAt: string;
  readonly closed: Stack;
}

function toLife({ opened, closed }: { readonly opened: Stack; readonly closed: Stack }): Life {
  return { openedAt: placeOf(opened), closedAt: placeOf(closed), closed };
}

/**
 * The earlier owner of a value who closed it again after it had been given to the victim; `undefined` unless much speaks
 * for it. A second close by the victim's own code looks alike where both owners close by one function, as `close_it` or
 * the destructor of a class for all handles does. An accusation of the wrong one costs more than a missed culprit.
 *
 * The same instruction must have closed both, and nothing but what these two openers opened. The victim's own code must
 * have had no part in the close: see {@link isStrangersClose}.
 */
function findOwner(misuse: Misuse, lives: readonly Life[]): EarlierLife | undefined {
  const { opened, closed, earlierLives } = misuse;
  if (!isInvalidHandle(misuse) || opened === undefined || closed === undefined || earlierLives === undefined) return;
  const openedAt = placeOf(opened.stack);
  const closedAt = placeOf(closed.stack);
  const [closer] = functionsOf(closed.stack);
  const openers = functionsOf(opened.stack);
  if (closer === undefined || openers.length === 0 || openers.includes(closer)) return;
  if (misuse.kind === 'close' && functionsOf(misuse.offending.stack)[0] === closer) return;
  const earlier = earlierLives.find((life) => placeOf(life.closed) === closedAt);
  if (earlier === undefined) return;
  const earlierAt = placeOf(earlier.opened);
  if (earlierAt === '' || earlierAt === openedAt) return;
  const byCloser = lives.filter((life) => life.closedAt === closedAt);
  if (byCloser.some((life) => life.openedAt !== earlierAt && life.openedAt !== openedAt)) return;
  // Another handle of the victim's kind that was closed there: perhaps it is the place for that.
  const spelt = functionsOf(closed.stack).join('|');
  if (byCloser.some((life) => life.openedAt === openedAt && functionsOf(life.closed).join('|') !== spelt)) return;
  const siblings = lives.filter((life) => life.openedAt === openedAt && life.closedAt !== closedAt);
  return isStrangersClose(misuse, earlier, siblings) ? earlier : undefined;
}

/**
 * Whether the victim's own code had no part in its close. Either of these shows it:
 *
 * - Others of the victim's kind are closed elsewhere, and neither the function that opens them nor those that close them
 *   were active.
 * - The function that opened the victim was active. It ended the life of another object, whose destructors led to the
 *   close, and of whose class nothing was active when the victim was opened.
 */
function isStrangersClose({ opened, closed }: Misuse, earlier: EarlierLife, siblings: readonly Life[]): boolean {
  if (opened === undefined || closed === undefined || !reachesThreadStart(closed.stack)) return false;
  const openers = functionsOf(opened.stack);
  const closers = functionsOf(closed.stack);
  const opener = openers[0];
  if (opener === undefined) return false;
  const depth = closers.indexOf(opener);
  if (depth === -1) {
    const usual = siblings.map((life) => functionsOf(life.closed)[0]);
    return usual.length > 0 && usual.every((name) => name !== undefined && !closers.includes(name));
  }
  const scopes = new Set(openers.flatMap((name) => scopeOf(name) ?? []));
  const between = closers.slice(0, depth);
  const path = between.slice(1);
  const usedBefore = functionsOf(earlier.closed);
  return (
    path.every(endsObject) &&
    path.some((name) => !usedBefore.includes(name)) &&
    between.every((name) => {
      const scope = scopeOf(name);
      return scope === undefined || !scopes.has(scope);
    })
  );
}

/** The instruction of the program that made the call: by its line where that is known; empty where it has no name. */
function placeOf(stack: Stack): string {
  const { site } = dissect(stack);
  if (site === undefined || site.runtime === true || site.function === undefined) return '';
  const where = site.line === undefined ? `+${site.offset}` : `@${site.file}:${site.line}`;
  return `${nameOf(site)}${where}`;
}

/** The program's functions on a stack, from the one that made the call outwards; none where one has no name. */
function functionsOf(stack: Stack): readonly string[] {
  const program = dissect(stack).stack.filter(({ system, runtime }) => system !== true && runtime !== true);
  return program.every((frame) => exportedName(frame) !== undefined) ? program.map(nameOf) : [];
}

function nameOf(frame: Frame): string {
  return `${moduleName(frame)}!${exportedName(frame)}`;
}

/** A destructor as gcc, MSVC and Rust name it, or the code of a library that calls one. */
function endsObject(name: string): boolean {
  return /(?:!|::)~[^:]*$|deleting d(?:tor|estructor)'?$|!std::|drop_in_place|::drop(?:::<.*>)?$/.test(name);
}

/** `app.exe!sink` for `app.exe!sink::~sink`: the class, or the namespace, that a function belongs to. */
function scopeOf(name: string): string | undefined {
  const plain = name.replace(/<.*>/, '');
  const end = plain.lastIndexOf('::');
  return end === -1 ? undefined : plain.slice(0, end);
}
