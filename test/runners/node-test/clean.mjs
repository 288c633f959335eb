// Passes: every test closes what it opens. test/windows/audit/verify.test.ts runs it.
import { it } from 'node:test';

import { assertNoLeaks, verifyNoLeaks } from 'unclosed/node-test';
import { close, makePipe, open } from '../open-handles.mjs';

const shared = open();

verifyNoLeaks();

it('closes a file', () => close(open()));
it('uses what was there before', () => console.log(shared > 0));
it('closes late', () => {
  const file = open();
  setTimeout(() => close(file), 50);
});
it('closes by a hook of its own', (test) => {
  const file = open();
  test.after(() => close(file));
});
it('closes its owners', async () => {
  await assertNoLeaks(() => {
    const { reader, writer } = makePipe();
    reader.close();
    writer.close();
  });
});
it('writes a file', async () => {
  const { readFile } = await import('node:fs/promises');
  await readFile(import.meta.filename);
});
it('listens', async () => {
  const { createServer } = await import('node:net');
  const server = createServer().listen(0);
  await new Promise((resolve) => server.once('listening', resolve));
  await new Promise((resolve) => server.close(resolve));
});
it('fetches', async () => {
  const { createServer } = await import('node:http');
  const server = createServer((_, response) => response.end('yes')).listen(0);
  await new Promise((resolve) => server.once('listening', resolve));
  const { get } = await import('node:http');
  await new Promise((resolve) =>
    get({ port: server.address().port, agent: false }, (answer) => answer.resume().once('end', resolve)),
  );
  await new Promise((resolve) => server.close(resolve));
});
it('makes random numbers and keys', async () => {
  const { randomBytes, generateKeyPairSync } = await import('node:crypto');
  randomBytes(32);
  generateKeyPairSync('ed25519');
});
it('starts a process', async () => {
  const { execFile } = await import('node:child_process');
  await new Promise((resolve) => execFile(process.execPath, ['-e', ''], { stdio: 'ignore' }, resolve));
});
