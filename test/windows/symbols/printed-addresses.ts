import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { basename } from 'node:path';

import type { Module } from '../../../src/process/modules.ts';

/** It is a higher one where files were left open. */
export function lowestFreeDescriptor(): number {
  const descriptor = openSync(process.execPath, 'r');
  closeSync(descriptor);
  return descriptor;
}

/** The output of prints-addresses. */
interface Printed {
  readonly program: Module;
  readonly calls: readonly { readonly address: bigint; readonly function: string; readonly line: number }[];
}

/** Runs prints-addresses to its end: only its output remains. */
export function runPrinter(path: string): Printed {
  const lines = execFileSync(path, { encoding: 'utf8' })
    .trim()
    .split(/\r?\n/)
    .map((line) => line.split(' '));
  const [, base, sizeBytes] = lines.find(([kind]) => kind === 'image')!;
  return {
    program: { base: BigInt(base!), sizeBytes: Number(sizeBytes), name: basename(path), path, isSystem: false },
    calls: lines
      .filter(([kind]) => kind === 'call')
      .map(([, address, name, line]) => ({ address: BigInt(address!), function: name!, line: Number(line) })),
  };
}
