/**
 * An error whose message is a sentence for the user of the tool: what failed, on which object, why, and what to try.
 * The command line shows such a message alone; of any other error it shows the stack, because that is a fault of the
 * tool.
 */
export class UserError extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}
