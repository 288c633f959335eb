import type { Module } from '../process/modules.ts';
import { lastAtOrBelow } from './sorted-search.ts';

type Place = Pick<Module, 'base' | 'sizeBytes'>;

/** Which module lies at an address of a process. */
export class ModuleMap {
  /** By ascending base. None overlaps another. */
  readonly #modules: Module[] = [];

  /** Adds modules that the process loaded later, or unloaded earlier. A module that overlaps a known one is ignored. */
  add(modules: readonly Module[]): void {
    for (const module of modules)
      if (this.hasRoomFor(module)) this.#modules.splice(this.#overlapped(module).begin, 0, module);
  }

  /**
   * Adds modules that lie where they are now, or did so last. The known ones that they overlap have been unloaded, and
   * are forgotten. Where two of the added modules overlap, the first counts.
   */
  addLatest(modules: readonly Module[]): void {
    const latest = new Set<Module>();
    for (const module of modules) {
      const { begin, end } = this.#overlapped(module);
      const overlapped = this.#modules.slice(begin, end);
      if (overlapped.some((known) => latest.has(known))) continue;
      const same = overlapped.find((known) => isSame(known, module));
      if (same === undefined) this.#modules.splice(begin, overlapped.length, module);
      latest.add(same ?? module);
    }
  }

  /** Whether a module at a place overlaps none that is known. */
  hasRoomFor(place: Place): boolean {
    const { begin, end } = this.#overlapped(place);
    return begin === end;
  }

  /** The module that holds an address. */
  at(address: bigint): Module | undefined {
    const module = this.#modules[this.#indexBelow(address)];
    return module !== undefined && address < endOf(module) ? module : undefined;
  }

  /** The known modules that overlap one, as indices; where there are none, both say where it belongs. */
  #overlapped(module: Place): { readonly begin: number; readonly end: number } {
    const below = this.#indexBelow(module.base);
    const begin = below >= 0 && endOf(this.#modules[below]!) > module.base ? below : below + 1;
    return { begin, end: this.#indexBelow(endOf(module) - 1n) + 1 };
  }

  /** Index of the last module whose base is at most `address`, or -1. */
  #indexBelow(address: bigint): number {
    return lastAtOrBelow(this.#modules.length, (index) => this.#modules[index]!.base, address);
  }
}

/** The first address behind a module. */
function endOf({ base, sizeBytes }: Place): bigint {
  return base + BigInt(sizeBytes);
}

function isSame(known: Module, module: Module): boolean {
  const isThere = known.base === module.base && known.sizeBytes === module.sizeBytes;
  return isThere && known.path.toLowerCase() === module.path.toLowerCase();
}
