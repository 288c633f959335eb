import type { CallLedger } from '../call-ledger.ts';
import type { CallReader } from './calls.ts';
import { SiteGroups } from './site-groups.ts';
import type { SiteGroup } from './sites.ts';
import { entryOf } from './sources.ts';

/**
 * Objects that a library hands out and that are open themselves, such as pseudo consoles. The kernel knows only the
 * handles beneath, so nothing can be asked about them.
 */
export function groupOpenObjects(ledger: CallLedger, calls: CallReader): readonly SiteGroup[] {
  const sites = new SiteGroups(calls);
  for (const { value, life } of ledger.openObjects())
    sites.add(life, entryOf(value, life.objectType), life.givenToWrongCloser === true);
  return sites.groups;
}
