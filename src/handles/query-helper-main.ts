import { QUERY_THREADS_VARIABLE, QUERY_TIMEOUT_VARIABLE, type QueryMessage } from './query-protocol.ts';
import { createQueryServer } from './query-server.ts';

// The helper process: see QueryHelper, which starts it.

const answer = createQueryServer({
  timeoutMs: Number(process.env[QUERY_TIMEOUT_VARIABLE]),
  threads: Number(process.env[QUERY_THREADS_VARIABLE]),
  send: (message) => process.send!(message),
});
process.on('message', (message) => answer(message as QueryMessage));
// The auditor has gone. An orderly exit would join libuv's threads, some of which may be blocked for ever.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
