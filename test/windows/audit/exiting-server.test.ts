import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

import { audit } from '../../../src/audit/index.ts';

const server = fileURLToPath(new URL('exiting-server.mjs', import.meta.url));

test('process.exit() in a callback makes no error of sockets of which others are closed', async () => {
  const report = await audit({ program: process.execPath, args: [server], targetStdout: 'stderr' });
  const sockets = report.findings.filter(({ object }) => object.type === 'Socket');
  expect(report.target.exitCode).toBe(0);
  expect(report.findings.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual([]);
  expect(sockets.map(({ level }) => level)).toContain('warning');
  expect(sockets.map(({ message }) => message).join('\n')).toMatch(/are closed at .*, but the process exited inside /);
});
