import type { Frame, Stack } from '../model.ts';
import type { Closing, EarlierLife, Evidence, Misuse } from '../evidence-model.ts';
import { isInvalidHandle } from './misuse.ts';
import { canonicalText, compareText, groupBy, haveSameProgramFrames } from './grouping.ts';
import { dissect, functionName, moduleName, programFrames, reachesThreadStart } from './stacks.ts';

/**
 * A close of a stale value that Windows carried out, because the value stood for another object by then. The program
 * shows it only later: the owner of that object is refused.
 *
 * It reads like the close that a quarantine refuses: the same history, the same offending call, the same victim.
 */
export interface CarriedOutClose extends Misuse {
  /** The refused calls of the victim's owner, in order. They belong to this mistake, and are none of their own. */
  readonly consequences: readonly Misuse[];
  /** The record of a closer for another kind of object, where the evidence is that. */
  readonly stray?: Misuse;
}

interface Found {
  readonly closes: readonly CarriedOutClose[];
  readonly consequences: ReadonlySet<Misuse>;
}

/** Several rules ask about the same evidence. */
const found = new WeakMap<Evidence, Found>();

/** The stale closes that the evidence makes probable. */
export function findCarriedOutCloses(evidence: Evidence): readonly CarriedOutClose[] {
  return look(evidence).closes;
}

/** The call was refused because another's stale close had hit its handle, or is that close itself. */
export function isConsequence(misuse: Misuse, evidence: Evidence): boolean {
  return look(evidence).consequences.has(misuse);
}

function look(evidence: Evidence): Found {
  const known = found.get(evidence);
  if (known !== undefined) return known;
  const closes = find(evidence);
  const result = {
    closes,
    consequences: new Set(closes.flatMap(({ consequences, stray }) => [...consequences, ...(stray ? [stray] : [])])),
  };
  found.set(evidence, result);
  return result;
}

function find({ misuses, closings }: Evidence): readonly CarriedOutClose[] {
  if (closings === undefined) return [];
  const lives = new Lives([...closings, ...misuses.flatMap(({ earlierLives = [] }) => earlierLives)]);
  const strays = misuses.flatMap((misuse) => toStrayClose(misuse, misuses) ?? []);
  const explained = new Set(strays.flatMap(({ consequences }) => consequences));
  const byHistory = new Map<string, { readonly owner: EarlierLife; readonly misuses: Misuse[] }>();
  for (const misuse of misuses) {
    const owner = explained.has(misuse) ? undefined : findOwner(misuse, lives);
    if (owner === undefined) continue;
    const key = canonicalText([owner, misuse.opened?.stack, misuse.closed?.stack]);
    const known = byHistory.get(key);
    if (known === undefined) byHistory.set(key, { owner, misuses: [misuse] });
    else known.misuses.push(misuse);
  }
  const carriedOut = Array.from(byHistory.values(), ({ owner, misuses: unsorted }): CarriedOutClose => {
    const consequences = unsorted.toSorted(compareCalls);
    const [{ opened, closed, object = { type: 'Unknown' } }] = consequences as [Misuse];
    const values = [...new Set(consequences.flatMap((misuse) => misuse.values))];
    return {
      kind: 'close',
      status: 0,
      // A victim's owner closes it once, and may use it often.
      count: Math.max(values.length, ...consequences.map(({ kind, count }) => (kind === 'close' ? count : 1))),
      values,
      object: owner.object,
      opened: { stack: owner.opened },
      closed: { stack: owner.closed },
      offending: { call: 'NtClose', threadId: 0, timeMs: 0, ...closed!, stack: closed!.stack },
      victim: { object, opened: opened!.stack },
      consequences,
    };
  });
  return [...strays, ...carriedOut];
}

/** Closers that tell what they are meant for, with the type of that. */
const typedClosers: Readonly<Record<string, string>> = { closesocket: 'Socket', RegCloseKey: 'Key' };

/**
 * A destructor gives a value to the closer of sockets or keys, although it stands for an object of another kind by now.
 * The same instruction closed a socket or key of that very value before: its owner closes it again.
 */
function toStrayClose(misuse: Misuse, misuses: readonly Misuse[]): CarriedOutClose | undefined {
  const { kind, offending, opened, object, earlierLives = [], values, count } = misuse;
  const type = typedClosers[offending.call];
  if (kind !== 'wrong-closer' || type === undefined || opened === undefined || object === undefined) return undefined;
  if (values.length !== 1 || count !== 1 || !functionsOf(offending.stack).some(isDestructor)) return undefined;
  const place = placeOf(offending.stack);
  const owner = earlierLives.find((life) => life.object.type === type && placeOf(life.closed) === place);
  if (place === '' || owner === undefined) return undefined;
  const openedBy = canonicalText(opened.stack);
  const consequences = misuses
    .filter(
      (other) =>
        isInvalidHandle(other) &&
        other.values.includes(values[0]!) &&
        canonicalText(other.opened?.stack) === openedBy &&
        other.closed !== undefined &&
        haveSameProgramFrames(other.closed.stack, offending.stack),
    )
    .toSorted(compareCalls);
  return {
    kind: 'close',
    status: 0,
    count,
    values,
    object: owner.object,
    opened: { stack: owner.opened },
    closed: { stack: owner.closed },
    offending,
    victim: { object, opened: opened.stack },
    consequences,
    stray: misuse,
  };
}

/** The first in time comes first; the order does not depend on that of the evidence. */
function compareCalls(a: Misuse, b: Misuse): number {
  return a.offending.timeMs - b.offending.timeMs || compareText(canonicalText(a), canonicalText(b));
}

/** The known lives of handles, by the places that opened and closed them. */
class Lives {
  readonly #byOpener: ReadonlyMap<string, readonly Closing[]>;
  readonly #byCloser: ReadonlyMap<string, readonly Closing[]>;

  constructor(lives: readonly Closing[]) {
    this.#byOpener = groupBy(lives, (life) => placeOf(life.opened));
    this.#byCloser = groupBy(lives, (life) => placeOf(life.closed));
  }

  openedAt(place: string): readonly Closing[] {
    return this.#byOpener.get(place) ?? [];
  }

  closedAt(place: string): readonly Closing[] {
    return this.#byCloser.get(place) ?? [];
  }
}

/**
 * The earlier owner of a value who closed it again after it had been given to the victim; `undefined` unless much
 * speaks for it.
 *
 * A second close by the victim's own code looks alike where both owners close by one function, as `close_it` or the
 * destructor of a class for all handles does. An accusation of the wrong one costs more than a missed culprit. So the
 * same instruction must have closed both, and nothing but what these two openers opened, and the victim's own code must
 * have had no part in the close: see {@link isStrangersClose}.
 */
function findOwner(misuse: Misuse, lives: Lives): EarlierLife | undefined {
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
  const places = new Set(lives.closedAt(closedAt).map((life) => placeOf(life.opened)));
  places.delete(earlierAt);
  places.delete(openedAt);
  if (places.size > 0) return;
  const siblings = lives.openedAt(openedAt);
  // Another handle of the victim's kind that was closed there: it may be the place for that.
  const before: ReadonlySet<Closing> = new Set(earlierLives);
  const isAnother = (life: Closing): boolean =>
    placeOf(life.closed) === closedAt &&
    (before.has(life) || life.opened !== opened.stack || life.closed !== closed.stack);
  if (siblings.some(isAnother)) return;
  const elsewhere = siblings.filter((life) => placeOf(life.closed) !== closedAt);
  return isStrangersClose(misuse, earlier, elsewhere) ? earlier : undefined;
}

/**
 * Whether the victim's own code had no part in its close. The class that owned the handle, if any, is the program's:
 * those of libraries leave nothing behind when they are moved from. And either of these shows it:
 *
 * - Others of the victim's kind are closed elsewhere, and neither the function that opens them nor those that close
 *   them were active.
 * - The function that opened the victim was active. It ended the life of another object, whose destructors led to the
 *   close, and of whose class nothing was active when the victim was opened.
 */
function isStrangersClose({ opened, closed }: Misuse, earlier: EarlierLife, siblings: readonly Closing[]): boolean {
  if (opened === undefined || closed === undefined || !reachesThreadStart(closed.stack)) return false;
  const openers = functionsOf(opened.stack);
  const closers = functionsOf(closed.stack);
  const opener = openers[0];
  if (opener === undefined) return false;
  const usedBefore = functionsOf(earlier.closed);
  if (closers.some((name) => usedBefore.includes(name) && isOfLibrary(name))) return false;
  const depth = closers.indexOf(opener);
  if (depth === -1) {
    const usual = siblings.map((life) => functionsOf(life.closed)[0]);
    return usual.length > 0 && usual.every((name) => name !== undefined && !closers.includes(name));
  }
  const scopes = new Set(openers.flatMap((name) => scopeOf(name) ?? []));
  const between = closers.slice(0, depth);
  const path = between.slice(1);
  return (
    path.every(endsObject) &&
    path.some((name) => !usedBefore.includes(name)) &&
    between.every((name) => {
      const scope = scopeOf(name);
      return scope === undefined || !scopes.has(scope);
    })
  );
}

/** The parts of a stack that are compared. They are kept, because a stack stands in many lives. */
interface Outline {
  readonly place: string;
  readonly functions: readonly string[];
}

const outlines = new WeakMap<Stack, Outline>();

function outlineOf(stack: Stack): Outline {
  const known = outlines.get(stack);
  if (known !== undefined) return known;
  const { site, stack: trimmed } = dissect(stack);
  // Classes of libraries own handles, and call deleters of the program.
  const isPart = (frame: Frame): boolean => frame.runtime !== true || isOfLibrary(nameOf(frame));
  const program = programFrames(trimmed).filter(isPart);
  const outline = {
    place: site === undefined || site.runtime === true ? '' : spellPlace(site),
    functions: program.every((frame) => functionName(frame) !== undefined) ? program.map(nameOf) : [],
  };
  outlines.set(stack, outline);
  return outline;
}

/** The instruction of the program that made the call, by its line where that is known; empty without a name. */
function placeOf(stack: Stack): string {
  return outlineOf(stack).place;
}

/** The program's functions on a stack, from the one that made the call outwards; none where one has no name. */
function functionsOf(stack: Stack): readonly string[] {
  return outlineOf(stack).functions;
}

function spellPlace(frame: Frame): string {
  if (functionName(frame) === undefined) return '';
  return `${nameOf(frame)}${frame.line === undefined ? `+${frame.offset}` : `@${frame.file}:${frame.line}`}`;
}

function nameOf(frame: Frame): string {
  return `${moduleName(frame)}!${functionName(frame)}`;
}

/** A destructor as gcc and MSVC name it, or the code of a library that calls one. */
function endsObject(name: string): boolean {
  return isDestructor(name) || isOfLibrary(name);
}

function isDestructor(name: string): boolean {
  return /(?:!|::)~[^:]*$|deleting d(?:tor|estructor)'?$/.test(name);
}

function isOfLibrary(name: string): boolean {
  return /!(?:std|wil|winrt|ATL|boost)::/.test(name);
}

/** `app.exe!sink` for `app.exe!sink::~sink`: the class, or the namespace, that a function belongs to. */
function scopeOf(name: string): string | undefined {
  const plain = name.replace(/<.*>/, '');
  const end = plain.lastIndexOf('::');
  return end === -1 ? undefined : plain.slice(0, end);
}
