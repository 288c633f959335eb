import { win32 } from 'node:path';

import type { Ledger } from '../agent/ledger/ledger.ts';
import type { CallLedger } from '../call-ledger.ts';
import { displayName } from '../handles/display-name.ts';
import { readNameContext } from '../handles/name-context.ts';
import { isSystemPath, type Module } from '../process/modules.ts';
import type { Symbolizer } from '../symbols/symbolizer.ts';

/**
 * Keeps the modules of a symbolizer up with a target that loads and unloads DLLs. Those that are loaded are not enough:
 * a stack may be older than an unloaded DLL. And another DLL may lie by now where an earlier look has seen one.
 */
export class NotedModules {
  readonly #symbolizer: Symbolizer;
  readonly #firstModules: readonly Module[];
  /** How many images of the ledger have been added; -1 before the first time. */
  #imagesAdded = -1;

  /** @param firstModules those that were mapped before the recording began */
  constructor(symbolizer: Symbolizer, firstModules: readonly Module[] = []) {
    this.#symbolizer = symbolizer;
    this.#firstModules = firstModules;
  }

  /**
   * Adds the modules that are loaded now and those that were.
   *
   * @returns those that are loaded now
   */
  add(ledger: CallLedger, listLoaded: () => readonly Module[]): readonly Module[] {
    // An image that is mapped after this counts as new the next time.
    const noted = listNotedModules(ledger);
    const loaded = listLoaded();
    const added = this.#imagesAdded;
    this.#imagesAdded = Math.max(added, noted.length);
    this.#symbolizer.addLatestModules([...loaded, ...noted.slice(0, this.#imagesAdded - added)]);
    this.#symbolizer.addModules([...this.#firstModules, ...noted]);
    return loaded;
  }

  /** Whether the target has mapped images since the last time. */
  areBehind(ledger: Ledger): boolean {
    return ledger.counter('imageCount') !== this.#imagesAdded;
  }
}

/** The images that a target has mapped so far, as modules, the latest first. */
function listNotedModules(ledger: CallLedger): readonly Module[] {
  const context = readNameContext();
  // Where two images lay at one place, the stacks are more likely those of the later one.
  return Array.from(ledger.images(), ({ base, sizeBytes, path: kernelPath }): Module => {
    const path = displayName('File', kernelPath, context);
    return { base, sizeBytes, name: win32.basename(path), path, isSystem: isSystemPath(path) };
  }).toReversed();
}
