// Opens itself at an interval, by threads of libuv's pool: node asks.mjs <pipe> keep|close. The pool has two threads
// (UV_THREADPOOL_SIZE), and each waits for a byte before it opens anything. A third byte ends the program.
import { close, open, openSync, read } from 'node:fs';

const [, path, pipe, how] = process.argv;
const bytes = openSync(pipe, 'r+');

function openSoon() {
  open(path, (_error, descriptor) => how === 'close' && close(descriptor)); // asks
}
function awaitByte(done) {
  read(bytes, Buffer.alloc(1), 0, 1, null, done);
}

awaitByte(() => {});
awaitByte(() => awaitByte(() => process.exit(7)));
openSoon();
setInterval(openSoon, 20);
console.log(`ready ${process.pid}`);
