// A Node.js that does work of many kinds: an HTTP server and its clients in one process, timers, files, compression on
// the thread pool, a worker thread and a child process. It says at the end that all of it came out as it must.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, get } from 'node:http';
import { text } from 'node:stream/consumers';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { gunzipSync, gzip } from 'node:zlib';
import { promisify } from 'node:util';

const server = createServer((request, response) => response.end(`you asked for ${request.url}`));
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address();
const ask = (index) =>
  new Promise((resolve, reject) => {
    get(`http://127.0.0.1:${port}/${index}`, { agent: false }, (response) => resolve(text(response))).on(
      'error',
      reject,
    );
  });
const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => ask(index)));
writeSync(1, `${answers.length} answers, the last is "${answers.at(-1)}"\n`);
await new Promise((resolve) => {
  server.close(resolve);
  server.closeAllConnections();
});

const ticks = await Promise.all([1, 2, 3].map((delayMs) => setTimeout(delayMs, delayMs)));
writeSync(1, `timers ${ticks}\n`);

const folder = mkdtempSync(join(tmpdir(), 'unclosed-node-works-'));
for (let index = 0; index < 50; index++) writeFileSync(join(folder, `${index}.txt`), `file ${index}`);
const texts = await Promise.all(readdirSync(folder).map((name) => readFile(join(folder, name), 'utf8')));
writeSync(1, `${new Set(texts).size} files\n`);
rmSync(folder, { recursive: true });

const packed = await Promise.all(
  Array.from({ length: 8 }, () => promisify(gzip)(readFileSync(fileURLToPath(import.meta.url)))),
);
writeSync(1, `${packed.every((zip) => gunzipSync(zip).includes('It says at the end'))} compressed\n`);

const worker = new Worker('require("worker_threads").parentPort.postMessage(6 * 7)', { eval: true });
writeSync(1, `a worker says ${await new Promise((resolve) => worker.once('message', resolve))}\n`);
await worker.terminate();

const child = spawnSync(process.execPath, ['-p', '"child"'], { encoding: 'utf8' });
writeSync(1, `a ${child.stdout.trim()} ended with ${child.status}\n`);
process.exitCode = 3;
