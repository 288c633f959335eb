import type { HandleObject } from '../model.ts';

/** The words for objects that are not "… handle". */
const nouns: Readonly<Record<string, string>> = {
  Socket: 'socket',
  Descriptor: 'descriptor',
  FILE: 'FILE',
  Search: 'search handle',
  PseudoConsole: 'pseudo console',
  ChangeNotification: 'change notification',
  Unknown: 'handle',
};

/**
 * The function that closes an object of a type, where it is none of the functions that close handles of many types.
 * CloseHandle closes only the kernel's handle, and nothing that belongs to it.
 */
export const properClosers: Readonly<Record<string, string>> = {
  Socket: 'closesocket',
  Key: 'RegCloseKey',
  Descriptor: '_close',
  FILE: 'fclose',
  Search: 'FindClose',
  PseudoConsole: 'ClosePseudoConsole',
  ChangeNotification: 'FindCloseChangeNotification',
};

/** `File handle`, `socket`; `handle` where the type is unknown. */
export function spellNoun({ type }: Pick<HandleObject, 'type'>): string {
  return nouns[type] ?? `${type} handle`;
}
