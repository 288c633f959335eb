// Starts a program suspended, resumes it and suspends it again if the second argument says so, and says `pid <process
// id>`: to be killed. It runs in a process of its own and loads the built modules, because Node.js 22 does not read
// `using`.
import { writeSync } from 'node:fs';

const built = (path) => import(new URL(`../../../dist/${path}`, import.meta.url).href);
const { NULL_HANDLE, BorrowedHandle } = await built('io/index.js');
const { StartedProcess } = await built('process/spawn.js');

const [program, state] = process.argv.slice(2);
const nothing = BorrowedHandle.borrowRaw(NULL_HANDLE);
const target = await StartedProcess.spawn({ program, args: [], stdin: nothing, stdout: nothing, stderr: nothing });
if (state !== 'new') target.resume();
if (state === 'stopped') target.suspend();
writeSync(1, `pid ${target.pid}\n`);
setInterval(() => {}, 1000);
