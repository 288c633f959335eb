import type { Command } from 'commander';

import { toolName } from '../../version.ts';
import { writeBash } from './bash.ts';
import { writeFish } from './fish.ts';
import { type CompletedCommand, describeCommand } from './model.ts';
import { writePowerShell } from './powershell.ts';
import { writeZsh } from './zsh.ts';

/** A shell that has a completion. */
export type Shell = 'bash' | 'zsh' | 'fish' | 'powershell';

const writers: Readonly<Record<Shell, (tool: CompletedCommand, name: string) => string>> = {
  bash: writeBash,
  zsh: writeZsh,
  fish: writeFish,
  powershell: writePowerShell,
};

export const shells: readonly Shell[] = ['bash', 'zsh', 'fish', 'powershell'];

/** Writes the script by which a shell completes a program's command line. */
export function writeCompletion(shell: Shell, program: Command): string {
  return writers[shell](describeCommand(program), toolName);
}
