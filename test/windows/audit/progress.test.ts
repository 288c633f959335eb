import { describe, expect, it } from 'vitest';

import { audit, type AuditProgress } from '../../../src/audit/index.ts';
import { setEvent } from '../set-event.ts';
import { fixturePath } from '../tool.ts';

describe('the progress of an audit', () => {
  it('names the modules whose symbols are read, and ends', async () => {
    const heard: (AuditProgress | undefined)[] = [];
    const program = fixturePath('leaks-event');
    await audit({ program, followChildren: true, onProgress: (progress) => void heard.push(progress) });
    expect(heard).toContainEqual({ work: 'reading symbols', module: 'leaks-event.exe' });
    expect(heard.at(-1)).toBeUndefined();
  });

  it('is silent while a child process runs, which may write to the same terminal', async () => {
    const heard: (AuditProgress | undefined)[] = [];
    const script = `const { spawn } = require("node:child_process");
      const child = spawn(process.argv[1], ["1", "20", "60"], { stdio: ["ignore", "pipe", "ignore"], detached: true });
      child.unref();
      child.stdout.once("data", () => setTimeout(() => process.exit(0), 300));`;
    const args = ['-e', script, fixturePath('works-without-pause')];
    const report = await audit({
      program: process.execPath,
      args,
      followChildren: true,
      onProgress: (progress) => void heard.push(progress),
    });
    const child = report.processes?.find(({ image }) => /works-without-pause\.exe$/.test(image));
    try {
      expect(child?.exitCode).toBeUndefined();
      expect(heard.filter((progress) => progress !== undefined)).toEqual([]);
    } finally {
      setEvent(`unclosed-stop-${child?.pid}`);
    }
  });

  it('is silent where children are not followed, for they may run', async () => {
    const heard: (AuditProgress | undefined)[] = [];
    await audit({ program: fixturePath('leaks-event'), onProgress: (progress) => void heard.push(progress) });
    expect(heard).toEqual([undefined]);
  });
});
