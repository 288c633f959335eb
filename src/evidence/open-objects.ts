import { type CallLedger, siteKey } from '../call-ledger.ts';
import type { CallReader } from './calls.ts';
import { SiteGroup } from './sites.ts';
import { entryOf } from './sources.ts';

/**
 * Objects that a library hands out and that are open themselves, such as pseudo consoles. The kernel knows only the
 * handles beneath, so nothing can be asked about them.
 */
export function groupOpenObjects(ledger: CallLedger, calls: CallReader): readonly SiteGroup[] {
  const groups = new Map<string, SiteGroup>();
  for (const { value, life } of ledger.openObjects()) {
    if (life.opened?.call === undefined) continue;
    const entry = entryOf(value, life.objectType);
    const isGiven = life.givenToWrongCloser === true;
    const key = `${siteKey(life.opened, life.objectType)}${isGiven ? ' given' : ''}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, new SiteGroup(life.objectType, life, entry, calls, isGiven));
    else group.add(entry, life);
  }
  return [...groups.values()];
}
