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
    let failure: { readonly error: unknown } | undefined;
    for (const resource of this.#resources.splice(0).reverse())
      try {
        resource[Symbol.dispose]();
      } catch (error) {
        failure = { error };
      }
    if (failure !== undefined) throw failure.error;
  }
}
