import { win32 } from 'node:path';

import type { Ledger } from '../agent/ledger/ledger.ts';
import type { CallLedger, LedgerImage } from '../call-ledger.ts';
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
    const images = [...ledger.images()];
    const newest = images.slice(Math.max(this.#imagesAdded, 0));
    this.#imagesAdded = Math.max(this.#imagesAdded, images.length);
    const loaded = listLoaded();
    // Where one that is loaded lies, no image is any more.
    const gone = newest.filter((image) => !loaded.some((module) => overlap(module, image)));
    this.#symbolizer.addLatestModules([...loaded, ...toModules(gone)]);
    this.#symbolizer.addModules(this.#firstModules);
    this.#symbolizer.addModules(toModules(images.filter((image) => this.#symbolizer.hasRoomFor(image))));
    return loaded;
  }

  /** Whether the target has mapped images since the last time. */
  areBehind(ledger: Ledger): boolean {
    return ledger.counter('imageCount') !== this.#imagesAdded;
  }
}

type Place = Pick<Module, 'base' | 'sizeBytes'>;

function overlap(one: Place, other: Place): boolean {
  return one.base < other.base + BigInt(other.sizeBytes) && other.base < one.base + BigInt(one.sizeBytes);
}

/**
 * Images as modules, the latest first: where two lay at one place, the stacks are more likely those of the later one.
 * The path of a module takes many questions about drives.
 */
function toModules(images: readonly LedgerImage[]): readonly Module[] {
  if (images.length === 0) return [];
  const context = readNameContext();
  return images
    .map(({ base, sizeBytes, path: kernelPath }): Module => {
      const path = displayName('File', kernelPath, context);
      return { base, sizeBytes, name: win32.basename(path), path, isSystem: isSystemPath(path) };
    })
    .toReversed();
}
