import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

import { afterEach, describe, expect, it, vi } from 'vitest';

import { describeTable } from '../../../src/telemetry/counts.ts';
import { openTelemetry } from '../../../src/telemetry/index.ts';

interface Received {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

/** A collector that answers each request in the same way. */
async function collect(status = 200, answer = '{}'): Promise<{ base: string; received: Received[] }> {
  const received: Received[] = [];
  const server = createServer((asked, response) => {
    const parts: Buffer[] = [];
    asked.on('data', (part: Buffer) => parts.push(part));
    asked.on('end', () => {
      received.push({ method: asked.method, url: asked.url, headers: asked.headers, body: Buffer.concat(parts) });
      response.writeHead(status, { 'content-type': 'application/json' }).end(answer);
    });
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}

/** Asks by HTTP, with any name of the host. */
function ask(url: string, { method = 'GET', host }: { method?: string; host?: string } = {}) {
  return new Promise<{ status: number | undefined; type: string | undefined; text: string }>((resolve, reject) => {
    const asked = request(url, { method, ...(host === undefined ? {} : { headers: { host } }) }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode, type: response.headers['content-type'], text }));
    });
    asked.on('error', reject).end();
  });
}

const metrics = describeTable({ pid: 42, image: 'app.exe' }, new Map([['Event', 3]]));

describe('metrics for a collector of OpenTelemetry', () => {
  it('are sent at intervals, and once more at the end', async () => {
    const { base, received } = await collect();
    const troubles: string[] = [];
    const environment = { OTEL_METRIC_EXPORT_INTERVAL: '20', OTEL_EXPORTER_OTLP_HEADERS: 'api-key=secret' };
    const telemetry = await openTelemetry({ otlp: base }, environment, (text) => troubles.push(text));
    telemetry.publish(42, metrics);
    await vi.waitFor(() => expect(received.length).toBeGreaterThan(1));
    const before = received.length;
    await telemetry[Symbol.asyncDispose]();
    expect(received.length).toBeGreaterThan(before);
    const [first] = received;
    expect(first).toMatchObject({ method: 'POST', url: '/v1/metrics' });
    expect(first?.headers).toMatchObject({ 'content-type': 'application/json', 'api-key': 'secret' });
    expect(JSON.parse(String(first?.body))).toMatchObject({ resourceMetrics: [{ scopeMetrics: [{}] }] });
    expect(troubles).toEqual([]);
  });

  it('are compressed where that is asked for', async () => {
    const { base, received } = await collect();
    const telemetry = await openTelemetry({ otlp: base }, { OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' }, () => {});
    telemetry.publish(42, metrics);
    await telemetry[Symbol.asyncDispose]();
    expect(received[0]?.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(received[0]!.body).toString()).toContain('unclosed.handles.open');
  });

  it('are not sent while there are none, nor for a process that is over', async () => {
    const { base, received } = await collect();
    const telemetry = await openTelemetry({ otlp: base }, {}, () => {});
    telemetry.publish(42, metrics);
    telemetry.forget(42);
    await telemetry[Symbol.asyncDispose]();
    expect(received).toEqual([]);
  });

  it.each([
    { title: 'an answer that refuses', status: 503, answer: '', message: /it answered 503\.$/ },
    {
      title: 'an answer that takes a part',
      status: 200,
      answer: '{"partialSuccess":{"rejectedDataPoints":"2"}}',
      message: /it refused 2 of the values\.$/,
    },
  ])('report $title, once', async ({ status, answer, message }) => {
    const { base, received } = await collect(status, answer);
    const troubles: string[] = [];
    const environment = { OTEL_METRIC_EXPORT_INTERVAL: '20' };
    const telemetry = await openTelemetry({ otlp: base }, environment, (text) => troubles.push(text));
    telemetry.publish(42, metrics);
    await vi.waitFor(() => expect(received.length).toBeGreaterThan(2));
    await telemetry[Symbol.asyncDispose]();
    expect(troubles).toEqual([expect.stringMatching(message)]);
  });

  it('report a collector that is not there, without its password', async () => {
    const { base } = await collect();
    servers.pop()?.close();
    const troubles: string[] = [];
    const url = base.replace('http://', 'http://name:password@');
    const telemetry = await openTelemetry({ otlp: url }, {}, (text) => troubles.push(text));
    telemetry.publish(42, metrics);
    await telemetry[Symbol.asyncDispose]();
    expect(troubles).toEqual([`Cannot send metrics to ${base}/v1/metrics: ECONNREFUSED.`]);
  });
});

describe('metrics for Prometheus', () => {
  it('are served on the loopback address, as they are at each moment', async () => {
    await using telemetry = await openTelemetry({ prometheus: 0 }, {}, () => {});
    const [url = ''] = telemetry.places;
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
    expect(await ask(url)).toMatchObject({ status: 200, text: '' });
    telemetry.publish(42, metrics);
    expect(await ask(url)).toMatchObject({
      status: 200,
      type: 'text/plain; version=0.0.4; charset=utf-8',
      text: expect.stringContaining('unclosed_handles_open{pid="42",process="app.exe",type="Event"} 3\n') as string,
    });
  });

  it.each([
    { title: 'of another path', path: '/', asked: {}, status: 404 },
    { title: 'by another method', path: '/metrics', asked: { method: 'POST' }, status: 405 },
    {
      title: 'under another name, as a page of the web would',
      path: '/metrics',
      asked: { host: 'evil.example' },
      status: 403,
    },
    { title: 'under the name of this machine', path: '/metrics', asked: { host: 'localhost:80' }, status: 200 },
    { title: 'for the head alone', path: '/metrics', asked: { method: 'HEAD' }, status: 200 },
  ])('answer a question $title with $status', async ({ path, asked, status }) => {
    await using telemetry = await openTelemetry({ prometheus: 0 }, {}, () => {});
    const url = telemetry.places[0]!.replace('/metrics', path);
    expect(await ask(url, asked)).toMatchObject({ status });
  });

  it('are refused on a port that another program has', async () => {
    const { base } = await collect();
    const port = Number(new URL(base).port);
    await expect(openTelemetry({ prometheus: port }, {}, () => {})).rejects.toThrow(
      `Cannot serve metrics on port ${port}: another program has this port. Try --prometheus with another port, or 0 for any.`,
    );
  });
});
