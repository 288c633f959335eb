import { open } from 'node:fs';
import { isMainThread, Worker } from 'node:worker_threads';

function openInWorker(path) {
  open(path, () => {}); // leak
}
if (isMainThread) new Worker(new URL(import.meta.url), { trackUnmanagedFds: false });
else openInWorker(import.meta.filename);
