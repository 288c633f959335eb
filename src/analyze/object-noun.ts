import type { HandleObject } from '../model.ts';

/** The words for objects that are not "… handle". */
const nouns: Readonly<Record<string, string>> = {
  Socket: 'socket',
  Descriptor: 'descriptor',
  FILE: 'FILE',
  Search: 'search handle',
  ChangeNotification: 'change notification',
  Unknown: 'handle',
};

/** `File handle`, `socket`; `handle` where the type is unknown. */
export function spellNoun({ type }: Pick<HandleObject, 'type'>): string {
  return nouns[type] ?? `${type} handle`;
}
