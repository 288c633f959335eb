import { openSync } from 'node:fs';
import { isMainThread, Worker } from 'node:worker_threads';

function work() {
  openSync(import.meta.filename); // leak
}
if (isMainThread) new Worker(new URL(import.meta.url), { trackUnmanagedFds: false });
else work();
