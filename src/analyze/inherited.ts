import type { OpenHandle } from '../model.ts';
import { type Judge, siteRule } from './grouping.ts';
import { spellCount } from './wording.ts';

/**
 * `inherited`: handles that the target was born with and nobody meant it to have. One finding for each type: where in the
 * parent they come from cannot be seen from here.
 */
export const inherited: Judge = siteRule<OpenHandle>({
  rule: 'inherited',
  select: ({ inherited: handles = [] }) => handles,
  typeOf: ({ object }) => object.type,
  siteOf: () => [],
  judge(handles) {
    const [{ object }] = handles;
    const names = [...new Set(handles.flatMap(({ object: { name, socket } }) => name ?? socket?.local ?? []))];
    const listed = names.length === 0 ? '' : ` (${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''})`;
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
