// Runs a program with pipes of Windows, and copies its output; see runScript in windows.js.
import { spawn } from 'node:child_process';
import { writeSync } from 'node:fs';

// Node.js reads this property when it destroys a pipe (net.js). With a Unix pipe that would throw EBADF.
Object.defineProperty(process, 'stderr', { value: undefined });

const [program = '', ...args] = process.argv.slice(2);
const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
for (const [fd, stream] of /** @type {const} */ ([
  [1, child.stdout],
  [2, child.stderr],
])) {
  stream.on('data', (/** @type {Buffer} */ chunk) => {
    for (let rest = chunk; rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
  });
}
child.on('error', (error) => {
  writeSync(2, `${error.stack}\n`);
  process.exitCode = 2;
});
child.on('close', (code) => {
  process.exitCode = code ?? 2;
});
