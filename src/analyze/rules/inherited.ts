import type { Stack } from '../../model.ts';
import type { Inheritance, KeptHandle, OpenHandle } from '../../evidence-model.ts';
import { spellDuration } from '../../text/duration.ts';
import { attributeOpening } from '../attribution.ts';
import { type RuleCheck, checkSites } from '../grouping.ts';
import { dissect, functionName, normaliseStack, trimStack } from '../stacks.ts';
import { baseName, spellCount, spellHistory, spellOffender, spellPlace, spellSubject, spellTimes } from '../wording.ts';

/**
 * Handles that the program itself inherited, and that its parent did not name to it. There is one finding for each
 * type: the recorder cannot see where in the parent they come from.
 */
const inheritedByProgram: RuleCheck = checkSites<OpenHandle>({
  rule: 'inherited',
  select: ({ inherited: handles = [] }) => handles,
  typeOf: ({ object }) => object.type,
  siteOf: () => [],
  assessSite(handles) {
    const [{ object }] = handles;
    const names = [...new Set(handles.flatMap(({ object: { name, socket } }) => name ?? socket?.local ?? []))];
    const listed =
      names.length === 0
        ? ''
        : ` (${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''})`;
    const verb = handles.length === 1 ? 'was' : 'were';
    return {
      level: 'note',
      message: `${spellCount(handles.length, object)}${listed} ${verb} inherited from the process that started the program, which keeps ${handles.length === 1 ? 'its object' : 'their objects'} open unasked.`,
      count: handles.length,
      object,
      handles: handles.map(({ value, object: each }) => ({ value, object: each })),
      stacks: {},
    };
  },
});

/**
 * A handle that the program opened and that a child process inherited. It is a note, because the program may have
 * passed it on purpose in a way that the recorder cannot see (its value on the child's command line). It is a warning
 * when a child was seen to keep the object alive after the program had closed its own handle.
 */
const inheritedByChild: RuleCheck = checkSites<Inheritance>({
  rule: 'inherited',
  select: ({ inheritedByChildren = [] }) => inheritedByChildren.filter(isUnasked),
  typeOf: ({ handles }) => typeOf(handles),
  sectionsOf: ({ sections }) => sections,
  siteOf: ({ started, opened }) => [...normaliseStack(started.stack), '<', ...normaliseStack(opened.stack)],
  assessSite(inheritances) {
    const [{ opened, started }] = inheritances;
    const handles = inheritances.flatMap((inheritance) => inheritance.handles);
    const values = [...new Set(handles.map(({ value }) => value))].sort((a, b) => (a < b ? -1 : 1));
    const object = { type: typeOf(handles) };
    const count = inheritances.reduce((total, inheritance) => total + inheritance.count, 0);
    const verb = values.length > 1 ? 'were' : 'was';
    const starter = spellOffender(
      inheritances.map((inheritance) => ({ offending: inheritance.started })),
      false,
    );
    const kept = inheritances.flatMap((inheritance) => inheritance.kept ?? []);
    const [first] = kept;
    return {
      level: first === undefined ? 'note' : 'warning',
      message: `${spellSubject(object, values)}${spellHistory(inheritances, 'may-be-open')} ${verb} inherited unasked by what ${starter} started${spellTimes(count)}.${spellKept(kept)}`,
      count,
      object,
      handles,
      stacks: {
        opened: trimStack(opened.stack),
        ...(first === undefined ? {} : { closed: trimStack(first.closed.stack) }),
        offending: trimStack(started.stack),
      },
    };
  },
});

/** The child that kept the object alive longest, and what comes of it; nothing where none is known. */
function spellKept(kept: readonly KeptHandle[]): string {
  const [longest] = [...kept].sort((a, b) => b.keptMs - a.keptMs);
  if (longest === undefined) return '';
  const { child, closed, keptMs, untilEnd, object } = longest;
  const children = new Set(kept.map((each) => each.child)).size;
  const others = children === 1 ? '' : ` ${children - 1} more did likewise.`;
  const until = `${untilEnd ? 'until it ended' : 'and still does'}, for ${spellDuration(keptMs)}`;
  const who = `process ${child.pid} (${baseName(child.image)})`;
  const kind = isPipe(object.name) ? 'Pipe' : object.socket === undefined ? object.type : 'Socket';
  const effect = effects[kind] ?? 'the object lives on';
  const close = `The program closed its own at ${spellPlace(closed.stack)}`;
  return ` ${close}, but ${who} kept it open ${until}: meanwhile ${effect}.${others}`;
}

/** The effect of a handle that a child keeps open unasked, by the type of its object. */
const effects: Readonly<Record<string, string>> = {
  File: 'the file cannot be deleted, nor opened by who shares it with no other',
  Pipe: 'who reads from the other end of the pipe waits for its end',
  Socket: 'the port stays bound, or the connection open',
  Process: 'its process id cannot be used again',
  Mutant: 'its name stays taken',
  Event: 'its name stays taken',
  Semaphore: 'its name stays taken',
  Section: 'its memory and its file stay in use',
  Key: 'the key cannot be deleted',
};

function isPipe(name: string | undefined): boolean {
  return name?.startsWith('\\\\.\\pipe\\') === true;
}

/** `inherited`: a process inherited a handle that its parent had not named to it. */
export const inherited: RuleCheck = {
  rule: 'inherited',
  findIn: (evidence, options) =>
    [inheritedByProgram, inheritedByChild].flatMap((check) => check.findIn(evidence, options)),
};

function typeOf([first]: Inheritance['handles']): string {
  return first?.object.type ?? 'Unknown';
}

/** The program opened the handle and started the child, and neither call passes handles on by design. */
function isUnasked({ handles, opened, started, asDescriptor }: Inheritance): boolean {
  if (attributeOpening(opened.stack, { type: typeOf(handles) }) !== 'program' || opensForChild(opened.stack))
    return false;
  const { site, api } = dissect(started.stack);
  if (site === undefined || site.runtime === true) return false;
  // A C runtime names all of its file descriptors to every child.
  return asDescriptor !== true || (api !== undefined && startsByRuntime.test(functionName(api) ?? ''));
}

const startsByRuntime: RegExp = /^_?w?(?:system|popen|spawn\w+|exec\w+)$/;

/** `_popen` opens the child's end of a pipe, and keeps a stream of the program aside while it starts the child. */
function opensForChild(stack: Stack): boolean {
  const { api } = dissect(stack);
  return api !== undefined && /^_?w?popen$/.test(functionName(api) ?? '');
}
