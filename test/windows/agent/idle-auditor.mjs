// An auditor that records a program, says `running <process id>`, then `at gate`, and never judges: to be killed. If
// the program waits to end its other threads, the auditor stops these and says `threads stopped`. It runs in a process
// of its own and loads the built modules, because Node.js 22 does not read `using`.
import { writeSync } from 'node:fs';

const built = (path) => import(new URL(`../../../dist/${path}`, import.meta.url).href);
const { Recording } = await built('agent/inject/recording.js');
const { WaitForMultipleObjectsAsync } = await built('ffi/kernel32.js');
const { NULL_HANDLE, BorrowedHandle } = await built('io/index.js');
const { StartedProcess } = await built('process/spawn.js');

const [program, ...args] = process.argv.slice(2);
const nothing = BorrowedHandle.borrowRaw(NULL_HANDLE);
const target = await StartedProcess.spawn({ program, args, stdin: nothing, stdout: nothing, stderr: nothing });
const recording = await Recording.prepare();
recording.install(target);
target.resume();
writeSync(1, `running ${target.pid}\n`);
await WaitForMultipleObjectsAsync(1, BigInt64Array.of(recording.arrived.asRawHandle()), false, 0xffff_ffff);
if (recording.isEndingThreads) target.stopThreads(recording.ledger.threadAtGate(), false);
writeSync(1, recording.isEndingThreads ? 'threads stopped\n' : 'at gate\n');
setInterval(() => {}, 60_000);
