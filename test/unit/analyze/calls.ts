// The calls that the tests of findings are made of, and a short way to the one finding.

import { expect } from 'vitest';
import { analyze } from '../../../src/analyze/index.ts';
import type { Finding } from '../../../src/model.ts';
import type { CallRecord, Evidence } from '../../../src/evidence-model.ts';
import { called, mainBottom } from './evidence.ts';

export const opened: CallRecord = called(
  'NtCreateEvent',
  'kernelbase!CreateEventW',
  'app!open_gate @src\\gate.c:14',
  ...mainBottom,
);
export const closed: CallRecord = called(
  'NtClose',
  'kernelbase!CloseHandle',
  'app!shut_gate @src\\gate.c:21',
  ...mainBottom,
);
export const closedAgain: CallRecord = called('NtClose', 'kernelbase!CloseHandle', ...mainBottom);
export const used: CallRecord = called('NtSetEvent', 'kernelbase!SetEvent', ...mainBottom);
export const bySystem: CallRecord = called('NtOpenFile', 'kernelbase!CreateFileW', 'ws2_32!WSAStartup', ...mainBottom);
export const beforeMain: CallRecord = called(
  'NtCreateEvent',
  'kernelbase!CreateEventW',
  'app!Gate::Gate @gate.cpp:3',
  'app!__do_global_ctors',
  'app!__main',
  'app!__tmainCRTStartup',
);

export const byFopen: CallRecord = called('NtCreateFile', 'kernelbase!CreateFileW', 'msvcrt!fopen', ...mainBottom);

/** The finding that the evidence yields. There must be exactly one. */
export function onlyFinding(evidence: Partial<Evidence>): Finding {
  const findings = analyze({ open: [], misuses: [], ...evidence });
  expect(findings).toHaveLength(1);
  return findings[0]!;
}
