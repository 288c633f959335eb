// Reports of every kind, for the tests of the page.
import type { Finding, Frame, Report } from '../../../../src/model.ts';
import { clean, sample } from '../sample.ts';

const [first, second, third] = sample.findings as readonly [Finding, Finding, Finding];
const used = { line: 'leak:used', source: 'x.supp', lineNumber: 3 };

/** Findings that were accepted, beside new ones. */
export const accepted: Report = {
  ...sample,
  findings: [
    { ...first, status: 'suppressed', suppressedBy: used },
    { ...second, status: 'known' },
    ...sample.findings.slice(2),
  ],
  suppressions: [
    { ...used, findings: 1 },
    { line: 'leak:idle', source: 'x.supp', lineNumber: 4, findings: 0 },
  ],
};

/** A tree of processes. */
export const tree: Report = {
  ...sample,
  findings: [
    { ...third, processes: [10, 12, 14].map((pid, index) => ({ pid, index, count: 1 })) },
    ...sample.findings.slice(3),
  ],
  processes: [
    { pid: 10, image: 'C:\\app\\server.exe', opens: 5000, closes: 4990, findings: 0, exitCode: 0 },
    {
      pid: 12,
      parentPid: 10,
      parentIndex: 0,
      image: 'C:\\app\\worker.exe',
      opens: 20,
      closes: 19,
      findings: 1,
      exitCode: 0xc0000005,
    },
    { pid: 14, parentPid: 12, parentIndex: 1, image: 'C:\\app\\helper.exe', opens: 2, closes: 2, findings: 0 },
    {
      pid: 16,
      parentPid: 10,
      parentIndex: 0,
      image: 'C:\\app\\worker.exe',
      opens: 20,
      closes: 20,
      findings: 0,
      exitCode: 0,
    },
  ],
};

/** Several runs, and growth. */
export const runs: Report = {
  ...sample,
  findings: sample.findings.map((finding, index) => ({
    ...finding,
    runs: [finding.count, 0, finding.count + index],
    ...(finding.rule === 'leak' ? { growth: { iterations: 6, grewIn: 5, handlesPerIteration: 1.5 } } : {}),
  })),
  runs: [1, 2, 3].map((pid) => ({ pid, exitCode: 0, durationMs: 100 })),
  stats: { ...sample.stats, iterations: 8 },
};

/** Nothing at all, but for the parts that every report has. */
export const empty: Report = {
  ...clean,
  target: { command: [], pid: 0 },
  stats: { durationMs: 0, opens: 0, closes: 0, openHandles: 0, hookedCalls: 0, distinctStacks: 0 },
};

/** A report with so many findings, each with stacks of so many frames. */
export function makeLarge(findingCount: number, frameCount: number): Report {
  const stack = Array.from({ length: frameCount }, (_, depth): Frame => {
    const isSystem = depth < 20;
    const name = isSystem ? `System${depth}` : `function_${depth}`;
    return {
      module: isSystem ? 'kernelbase.dll' : 'app.exe',
      function: name,
      offset: depth,
      ...(isSystem ? { system: true } : { file: 'C:\\src\\deep.c', line: depth }),
    };
  });
  return {
    ...sample,
    findings: Array.from({ length: findingCount }, (_, index): Finding => {
      const site = { module: 'app.exe', function: `site_${index}`, offset: 1, file: 'C:\\src\\site.c', line: 7 };
      const isLeak = index % 3 > 0;
      const stacks = { opened: [...stack.slice(0, 20), site, ...stack.slice(21)] };
      return {
        ...first,
        rule: isLeak ? 'leak' : 'double-close',
        level: index % 2 === 0 ? 'error' : 'warning',
        count: 1 + (index % 5),
        fingerprint: index.toString(16).padStart(16, '0'),
        stacks: isLeak ? stacks : { ...stacks, closed: stacks.opened, offending: stacks.opened },
      };
    }),
  };
}
