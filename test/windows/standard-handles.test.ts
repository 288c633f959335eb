import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { fixturePath, type JsonReport, toolPath } from './tool.ts';

const kinds = ['NUL', 'file', 'pipe'] as const;

test.each(kinds.flatMap((stdin) => kinds.map((stdout) => ({ stdin, stdout }))))(
  'a program that asks its standard handles everything is accused of nothing: stdin $stdin, stdout $stdout',
  ({ stdin, stdout }) => {
    const directory = mkdtempSync(join(tmpdir(), 'unclosed-streams-'));
    const [input, output, result] = ['input', 'output', 'report.json'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(input, 'a line\n');
    const files = [openSync(input, 'r'), openSync(output, 'w')] as const;
    const stdio = { NUL: 'ignore', pipe: 'pipe' } as const;
    try {
      const { status } = spawnSync(
        process.execPath,
        [toolPath, 'run', '--reporter', `json=${result}`, '--', fixturePath('asks-standard-handles')],
        {
          stdio: [stdin === 'file' ? files[0] : stdio[stdin], stdout === 'file' ? files[1] : stdio[stdout], 'ignore'],
          ...(stdin === 'pipe' ? { input: 'a line\n' } : {}),
        },
      );
      const { findings, target } = JSON.parse(readFileSync(result, 'utf8')) as JsonReport;
      expect(findings.filter(({ level }) => level !== 'note').map(({ message }) => message)).toEqual([]);
      expect({ status, exitCode: target.exitCode }).toEqual({ status: 0, exitCode: 0 });
    } finally {
      files.forEach(closeSync);
      rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    }
  },
);
