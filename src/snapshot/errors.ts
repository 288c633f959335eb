import { UserError } from '../user-error.ts';

/** A snapshot file that cannot be written, read or understood. Its message is one line for a person. */
export class SnapshotError extends UserError {
  /**
   * @param what what cannot be done, as it follows "Cannot": `read snapshot`
   * @param file the user's own path
   * @param why the reason, without a full stop
   * @param tryThis what might help, as it follows "Try"
   */
  constructor(what: string, file: string, why: string, tryThis: string) {
    super(`Cannot ${what} "${file}": ${why}. Try ${tryThis}.`);
  }
}
