import { nativeMachine } from '../../process/machine/machine.ts';
import { UserError } from '../../user-error.ts';

/** No system call of a target can be hooked. */
export class RecordingError extends UserError {
  constructor() {
    super(
      nativeMachine() === 'ARM64'
        ? 'Cannot record: this is Windows for ARM64, and only x64 Windows is supported. Try an x64 machine.'
        : 'Cannot record: none of the system calls of this ntdll begins in a known form: other software has hooked them all, or this is no x64 Windows. Try without that software.',
    );
  }
}
