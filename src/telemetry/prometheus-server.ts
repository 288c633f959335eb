import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { UserError } from '../user-error.ts';
import { prometheusTextType } from './prometheus-text.ts';

/** Only programs of this machine may ask. */
const ADDRESS = '127.0.0.1';
/** A page of the web may make a browser ask for it under another name: then the name is not one of these. */
const ownNames: ReadonlySet<string> = new Set([ADDRESS, 'localhost', '[::1]']);

/** Metrics cannot be served. */
class PrometheusError extends UserError {
  constructor(port: number, code: string) {
    const why = code === 'EADDRINUSE' ? 'another program has this port' : code;
    super(`Cannot serve metrics on port ${port}: ${why}. Try --prometheus with another port, or 0 for any.`);
  }
}

/** Serves `/metrics` until it is disposed of. */
export interface PrometheusServer extends AsyncDisposable {
  readonly url: string;
}

/**
 * Begins to serve the metrics of this moment, each time that they are asked for, on the loopback address.
 *
 * @param port 0 for any that is free
 * @throws PrometheusError when the port cannot be had
 */
export async function servePrometheus(port: number, write: () => string): Promise<PrometheusServer> {
  const server = createServer((request, response) => answer(request, response, write));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new PrometheusError(port, error.code ?? '?')));
    server.listen(port, ADDRESS, resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${ADDRESS}:${bound}/metrics`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function answer({ method, url, headers }: IncomingMessage, response: ServerResponse, write: () => string): void {
  const refuse = (status: number, text: string): void => {
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
  };
  if (!ownNames.has((headers.host ?? '').replace(/:\d+$/, ''))) return refuse(403, 'Ask for 127.0.0.1.');
  if (url?.split('?', 1)[0] !== '/metrics') return refuse(404, 'Try /metrics.');
  if (method !== 'GET' && method !== 'HEAD') return refuse(405, 'Try GET.');
  response.writeHead(200, { 'content-type': prometheusTextType, 'cache-control': 'no-store' });
  response.end(method === 'HEAD' ? undefined : write());
}
