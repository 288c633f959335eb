import type { Stack } from '../../model.ts';
import type { Inheritance, OpenHandle } from '../../evidence-model.ts';
import { attributeOpening } from '../attribution.ts';
import { type RuleCheck, checkSites } from '../grouping.ts';
import { dissect, functionName, normaliseStack, trimStack } from '../stacks.ts';
import { spellCount, spellHistory, spellOffender, spellSubject, spellTimes } from '../wording.ts';

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
 * A handle that the program opened and that a child process inherited. It is never more than a note, because the
 * program may have passed it on purpose in a way that the recorder cannot see (its value on the child's command line).
 */
const inheritedByChild: RuleCheck = checkSites<Inheritance>({
  rule: 'inherited',
  select: ({ inheritedByChildren = [] }) => inheritedByChildren.filter(isUnasked),
  typeOf: ({ handles }) => typeOf(handles),
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
    return {
      level: 'note',
      message: `${spellSubject(object, values)}${spellHistory(inheritances, 'may-be-open')} ${verb} inherited unasked by what ${starter} started${spellTimes(count)}.`,
      count,
      object,
      handles,
      stacks: { opened: trimStack(opened.stack), offending: trimStack(started.stack) },
    };
  },
});

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
