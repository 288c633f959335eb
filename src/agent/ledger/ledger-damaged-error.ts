import { UserError } from '../../user-error.ts';

/** A ledger whose content cannot be what the agent wrote. */
export class LedgerDamagedError extends UserError {
  constructor(what: string) {
    super(
      `Cannot read the ledger: ${what}: the target has overwritten it. Try a debugger's data breakpoint on the first wrong byte.`,
    );
  }
}
