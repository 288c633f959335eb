import { openSync } from 'node:fs';

interface Options {
  readonly path: string;
}

export function open({ path }: Options): number {
  return openSync(path, 'r'); // leak
}

open({ path: process.argv[1]! }); // caller
