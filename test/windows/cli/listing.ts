import { expect } from 'vitest';

import { runTool } from '../tool.ts';

export type Row = Readonly<Record<string, string | number | boolean | undefined>>;
export interface Listing {
  readonly handles: readonly Row[];
  readonly processes: readonly {
    readonly pid: number;
    readonly process: string;
    readonly handles: number;
    readonly problem?: string;
  }[];
}

/** The listing of `unclosed handles` as JSON, when all goes well. */
export async function list(...args: readonly string[]): Promise<Listing> {
  const { stdout, stderr, exitCode } = await runTool(['handles', ...args, '--json']);
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  return JSON.parse(stdout) as Listing;
}

/** A handle's value as the tool spells it. */
export const hex = (value: number): string => `0x${value.toString(16)}`;
