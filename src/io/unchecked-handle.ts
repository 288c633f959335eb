import { OwnerGoneError } from './errors.ts';
import { OwnedHandle } from './handle.ts';
import type { RawHandle } from './raw.ts';

/**
 * The common part of {@link HandleOrNull} and {@link HandleOrInvalid}: a result that is a handle, or a value that means
 * failure.
 */
export class UncheckedHandle {
  /** `undefined` when the call had failed, so that there is nothing to own. */
  readonly #owner: OwnedHandle | undefined;
  #conversion: Error | undefined;

  constructor(raw: RawHandle, sentinel: RawHandle) {
    this.#owner = raw === sentinel ? undefined : OwnedHandle.fromRawHandle(raw);
  }

  /**
   * The handle, or `undefined` for the sentinel. Makes no call to Windows.
   *
   * @throws OwnerGoneError when it was converted or disposed of before
   */
  convert(): OwnedHandle | undefined {
    if (this.#owner === undefined) return undefined;
    const raw = this.#owner.asRawHandle();
    if (this.#conversion !== undefined) throw new OwnerGoneError('handle', raw, 'was converted', this.#conversion);
    this.#conversion = new Error('The result was converted here');
    return this.#owner;
  }

  [Symbol.dispose](): void {
    if (this.#conversion === undefined) this.#owner?.[Symbol.dispose]();
  }
}
