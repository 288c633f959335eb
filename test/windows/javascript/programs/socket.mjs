import { createServer } from 'node:net';
function listen() {
  const server = createServer();
  return server.listen(0); // leak
}
listen().on('listening', () => process.reallyExit(0));
