/**
 * The resources that a constructor has taken so far. Disposing of it gives them back, the last one first, unless all
 * has come about and it was {@link disarm | disarmed}. Node.js 22 has no `DisposableStack`.
 */
export class CleanupStack implements Disposable {
  readonly #resources: Disposable[] = [];

  /** @returns the resource */
  use<Resource extends Disposable | undefined>(resource: Resource): Resource {
    if (resource !== undefined) this.#resources.push(resource);
    return resource;
  }

  /** The object that has been constructed owns the resources from now on. */
  disarm(): void {
    this.#resources.length = 0;
  }

  /** Gives all back, even if some fail; the last failure is thrown. */
  [Symbol.dispose](): void {
    const last = this.#resources.pop();
    if (last === undefined) return;
    try {
      last[Symbol.dispose]();
    } finally {
      this[Symbol.dispose]();
    }
  }
}
