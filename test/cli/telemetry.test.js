// The metrics of watch and attach, as a real Prometheus scrapes them and as a collector of OpenTelemetry gets them.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { prepareMachine } from '../../launcher/launch.js';
import { startSession } from '../../launcher/session.js';
import { startByWine } from '../../launcher/wine.js';

/** @typedef {{ metric: Record<string, string>, value: [number, string] }} Series */

const tool = fileURLToPath(new URL('../../bin/unclosed.cjs', import.meta.url));
const fixtures = fileURLToPath(new URL('../../fixtures/build', import.meta.url));
const require = createRequire(import.meta.url);
/** Generated from the Protobuf files that OpenTelemetry publishes. */
const { opentelemetry } = /** @type {any} */ (require('@opentelemetry/otlp-transformer/build/src/generated/root.js'));
const { ExportMetricsServiceRequest } = opentelemetry.proto.collector.metrics.v1;
const hasPrometheus = spawnSync('prometheus', ['--version']).status === 0;
/** It guards against a hang and measures nothing. */
const HANG_MS = 120_000;

const skip = process.platform === 'linux' ? false : 'the fixture is started by the launcher of Linux';

describe('metrics', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-telemetry-'));
  /** @type {{ pid: string, end: () => void }} */
  let target;
  before(async () => {
    target = await startTarget('works-without-pause', '2', '20', '300', '20');
  });
  after(() => {
    target.end();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  });

  for (const { command, query, labels } of [
    { command: 'watch', query: 'unclosed_handles_open', labels: { type: 'Event' } },
    {
      command: 'attach',
      query: 'unclosed_recorded_handles_open',
      labels: { type: 'Event', site: /^leak_event \(works-without-pause\.c:\d+\)$/ },
    },
  ]) {
    it(`of ${command} are scraped by Prometheus, and rise`, {
      skip: hasPrometheus ? false : 'no prometheus',
    }, async () => {
      const auditor = startTool(command, target.pid, '--prometheus', '0', ...everyFew(command));
      /** @type {Awaited<ReturnType<typeof startPrometheus>> | undefined} */
      let prometheus;
      try {
        prometheus = await startPrometheus(directory, new URL(await auditor.place()).host);
        const { ask } = prometheus;
        const wanted = async () =>
          (await ask(query)).filter(({ metric }) =>
            Object.entries(labels).every(([name, value]) => new RegExp(value).test(metric[name] ?? '')),
          );
        const first = await eventually(async () => (await wanted())[0]);
        assert.equal(first.metric.pid, target.pid);
        assert.equal(first.metric.process, 'works-without-pause.exe');
        await eventually(async () => Number((await wanted())[0]?.value[1]) > Number(first.value[1]) || undefined);
        const [up] = await ask('up');
        assert.equal(up?.value[1], '1');
      } finally {
        await prometheus?.stop();
        await auditor.stop();
      }
    });
  }

  for (const { command, name } of [
    { command: 'watch', name: 'process.windows.handle.count' },
    { command: 'attach', name: 'unclosed.recorded_handles.open' },
  ]) {
    it(`of ${command} reach a collector of OpenTelemetry in the form of its schema`, async () => {
      /** @type {{ url: string | undefined, type: string | undefined, json: any }[]} */
      const received = [];
      const server = createServer((request, response) => {
        let text = '';
        request.setEncoding('utf8').on('data', (part) => (text += part));
        request.on('end', () => {
          received.push({ url: request.url, type: request.headers['content-type'], json: JSON.parse(text) });
          response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
        });
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      try {
        const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
        const args = ['--otlp', `http://127.0.0.1:${port}`, '--for', '3s', ...everyFew(command)];
        const auditor = startTool(command, target.pid, ...args);
        await auditor.ended;
        assert.ok(received.length > 0, auditor.stderr());
        for (const { url, type, json } of received) {
          assert.equal(url, '/v1/metrics');
          assert.equal(type, 'application/json');
          const message = ExportMetricsServiceRequest.fromObject(json);
          const bytes = ExportMetricsServiceRequest.encode(message).finish();
          const decoded = ExportMetricsServiceRequest.decode(bytes);
          assert.deepEqual(ExportMetricsServiceRequest.toObject(decoded, { longs: String, enums: Number }), json);
        }
        const [{ scopeMetrics }] = received.at(-1)?.json.resourceMetrics ?? [];
        const metric = scopeMetrics[0].metrics.find((/** @type {any} */ each) => each.name === name);
        const points = metric?.gauge.dataPoints ?? [];
        assert.ok(points.some((/** @type {any} */ { asInt }) => Number(asInt) > 0));
        assert.deepEqual(points[0].attributes[0], { key: 'process.pid', value: { intValue: target.pid } });
      } finally {
        server.closeAllConnections();
        server.close();
      }
    });
  }

  it('to a collector that is not there are a line on stderr, and no failure', async () => {
    const auditor = startTool('watch', target.pid, '--otlp', 'http://127.0.0.1:9', '--for', '1s', '--json');
    assert.equal(await auditor.ended, 0);
    assert.match(
      auditor.stderr(),
      /^unclosed: Cannot send metrics to http:\/\/127\.0\.0\.1:9\/v1\/metrics: ECONNREFUSED\.$/m,
    );
  });

  it('with a URL that is none are refused before anything is watched', () => {
    const { status, stderr } = spawnSync(process.execPath, [tool, 'watch', target.pid, '--otlp', 'nowhere'], {
      encoding: 'utf8',
    });
    assert.equal(status, 2);
    assert.match(
      stderr,
      /^unclosed: Cannot send metrics: --otlp is "nowhere"\. Try a URL like http:\/\/localhost:4318\.$/m,
    );
  });
});

/** @param {string} command */
function everyFew(command) {
  return command === 'watch' ? ['--interval', '200ms'] : ['--every', '200ms', '--fail-on', 'never'];
}

/** @param {readonly string[]} args */
function startTool(...args) {
  const env = { ...process.env, OTEL_METRIC_EXPORT_INTERVAL: '500' };
  const child = spawn(process.execPath, [tool, ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (part) => (text += part));
  const ended = once(child, 'exit').then(([code]) => code);
  return {
    ended,
    stderr: () => text,
    place: async () => await eventually(async () => /^unclosed: metrics: (http:\S+)$/m.exec(text)?.[1]),
    stop: async () => {
      child.kill('SIGINT');
      await ended;
    },
  };
}

/**
 * @param {string} directory
 * @param {string} host of the tool
 */
async function startPrometheus(directory, host) {
  const config = join(directory, 'prometheus.yml');
  writeFileSync(
    config,
    `scrape_configs: [{ job_name: unclosed, scrape_interval: 500ms, scrape_timeout: 400ms, static_configs: [{ targets: ['${host}'] }] }]`,
  );
  const port = await freePort();
  const child = spawn(
    'prometheus',
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${mkdtempSync(join(directory, 'data-'))}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  const ended = once(child, 'exit');
  return {
    /**
     * @param {string} query
     * @returns {Promise<readonly Series[]>}
     */
    async ask(query) {
      try {
        const response = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${query}`);
        const { data } = /** @type {{ data?: { result: readonly Series[] } }} */ (await response.json());
        return data?.result ?? [];
      } catch {
        return []; // it has not begun to listen
      }
    },
    stop: async () => {
      child.kill();
      await ended;
    },
  };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * @template Value
 * @param {() => Promise<Value | undefined>} look
 * @returns {Promise<Value>}
 */
async function eventually(look) {
  for (const end = Date.now() + HANG_MS; Date.now() < end; await sleep(200)) {
    const found = await look();
    if (found !== undefined) return found;
  }
  throw new Error(`It never happened: ${look}`);
}

/**
 * Starts a program of fixtures/targets, which ends by itself after some minutes.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @returns {Promise<{ pid: string, end: () => void }>}
 */
async function startTarget(program, ...args) {
  const { wine, environment } = await prepareMachine(process.env);
  await startSession(wine, environment);
  const child = spawn(...startByWine(wine, [join(fixtures, `${program}.exe`), ...args]), {
    env: environment,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const pid = await new Promise((resolve, reject) => {
    let output = '';
    child.on('exit', () => reject(new Error(`${program} ended early`)));
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      const ready = /^ready (\d+)\r?$/m.exec(output);
      if (ready) resolve(ready[1]);
    });
  });
  return { pid, end: () => child.kill('SIGKILL') };
}
