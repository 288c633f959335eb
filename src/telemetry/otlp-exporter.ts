import { request as requestPlain } from 'node:http';
import { request as requestSecure } from 'node:https';
import { gzipSync } from 'node:zlib';

import { toolVersion } from '../version.ts';
import type { Metric } from './metric.ts';
import { toOtlpJson } from './otlp-json.ts';
import type { OtlpSettings } from './otlp-settings.ts';

/** An answer longer than this is no answer of OTLP. */
const ANSWER_SIZE_BYTES_MAX = 65_536;
/** The tool is about to end, and must not wait longer for a collector. */
const LAST_TIMEOUT_MS = 3000;

/** Sends metrics to a collector, at intervals and once more at its end. */
export interface OtlpExporter extends AsyncDisposable {
  readonly url: string;
}

/**
 * Begins to send.
 *
 * Metrics that cannot be sent are left out: the next ones have the counts of then. So the trouble is reported once, and
 * again only when it has become another one.
 *
 * @param read the metrics of this moment
 * @param onTrouble called with a sentence
 */
export function exportOtlp(
  settings: OtlpSettings,
  read: () => readonly Metric[],
  onTrouble: (sentence: string) => void,
): OtlpExporter {
  const startTime = nowNs();
  let trouble: string | undefined;
  let sending: Promise<void> | undefined;
  const send = async (timeoutMs: number = settings.timeoutMs): Promise<void> => {
    const metrics = read();
    if (metrics.length === 0) return;
    const { serviceName, resource } = settings;
    const context = { serviceName, resource, version: toolVersion, startTime, time: nowNs() };
    const found = await post({ ...settings, timeoutMs }, JSON.stringify(toOtlpJson(metrics, context)));
    if (found !== undefined && found !== trouble)
      onTrouble(`Cannot send metrics to ${shownUrl(settings.url)}: ${found}.`);
    trouble = found;
  };
  // One after the other: a collector that is slow is not asked twice at once.
  const timer = setInterval(() => {
    sending ??= send().finally(() => {
      sending = undefined;
    });
  }, settings.intervalMs);
  return {
    url: shownUrl(settings.url),
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await sending;
      await send(Math.min(settings.timeoutMs, LAST_TIMEOUT_MS));
    },
  };
}

/** @returns why it was not taken; `undefined` when it was */
function post({ url, headers, timeoutMs, compress }: OtlpSettings, text: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const body = compress ? gzipSync(text) : Buffer.from(text);
    const request = (url.startsWith('https:') ? requestSecure : requestPlain)(
      url,
      {
        method: 'POST',
        headers: {
          'user-agent': `unclosed/${toolVersion}`,
          ...headers,
          'content-type': 'application/json',
          'content-length': body.length,
          ...(compress ? { 'content-encoding': 'gzip' } : {}),
        },
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        let answer = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          if (answer.length < ANSWER_SIZE_BYTES_MAX) answer += part;
        });
        response.on('end', () => resolve(explain(response.statusCode ?? 0, answer)));
        response.on('error', (error) => resolve(spellFailure(error, timeoutMs)));
      },
    );
    request.on('error', (error) => resolve(spellFailure(error, timeoutMs)));
    request.end(body);
  });
}

/** Why an answer is no success; a part of the points may be refused by one that looks like it. */
function explain(status: number, answer: string): string | undefined {
  if (status < 200 || status > 299) return `it answered ${status}`;
  try {
    const { partialSuccess } = JSON.parse(answer) as { partialSuccess?: { rejectedDataPoints?: string | number } };
    const rejected = Number(partialSuccess?.rejectedDataPoints ?? 0);
    return rejected > 0 ? `it refused ${rejected} of the values` : undefined;
  } catch {
    return undefined; // an empty answer, or one in Protobuf
  }
}

function spellFailure(error: Error, timeoutMs: number): string {
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return `it did not answer within ${timeoutMs} ms`;
  return (error as NodeJS.ErrnoException).code ?? error.message;
}

/** A URL may hold a password. */
function shownUrl(url: string): string {
  const shown = new URL(url);
  shown.username = shown.password = '';
  return shown.href;
}

function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}
