import { validateHeaderName, validateHeaderValue } from 'node:http';

import { UserError } from '../user-error.ts';

/** Where and how metrics are sent, as the specification of OTLP exporters has it. */
export interface OtlpSettings {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly compress: boolean;
  readonly intervalMs: number;
  readonly serviceName: string;
  /** Further attributes of the resource. */
  readonly resource: Readonly<Record<string, string>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Metrics cannot be sent in the way that is asked for. */
class OtlpSettingError extends UserError {
  constructor(what: string, value: string, advice: string) {
    super(`Cannot send metrics: ${what} is ${JSON.stringify(value)}. Try ${advice}.`);
  }
}

const DEFAULT_ENDPOINT = 'http://localhost:4318';

/**
 * Reads the settings, from the option and the environment.
 *
 * https://opentelemetry.io/docs/specs/otel/protocol/exporter/ and
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 *
 * @param option the base URL, to which `/v1/metrics` is added; or `env`: the environment says where
 * @throws OtlpSettingError for a value that cannot be used
 */
export function readOtlpSettings(option: string, environment: Environment): OtlpSettings {
  const read = (name: string): string | undefined => {
    const value = environment[name]?.trim();
    return value === '' ? undefined : value; // the specification takes an empty one for none
  };
  /** The one for metrics goes before the one for all signals. */
  const either = (name: string): string | undefined =>
    read(`OTEL_EXPORTER_OTLP_METRICS_${name}`) ?? read(`OTEL_EXPORTER_OTLP_${name}`);
  const protocol = either('PROTOCOL') ?? 'http/json';
  if (protocol !== 'http/json' && protocol !== 'http/protobuf')
    throw new OtlpSettingError(
      'OTEL_EXPORTER_OTLP_PROTOCOL',
      protocol,
      'http/json, which every OTLP/HTTP server reads',
    );
  const compression = either('COMPRESSION') ?? 'none';
  if (compression !== 'none' && compression !== 'gzip')
    throw new OtlpSettingError('OTEL_EXPORTER_OTLP_COMPRESSION', compression, 'gzip or none');
  const { 'service.name': named, ...resource } = readPairs(
    read('OTEL_RESOURCE_ATTRIBUTES'),
    'OTEL_RESOURCE_ATTRIBUTES',
  );
  return {
    url: chooseUrl(option, read),
    headers: {
      ...readHeaders(read('OTEL_EXPORTER_OTLP_HEADERS'), 'OTEL_EXPORTER_OTLP_HEADERS'),
      ...readHeaders(read('OTEL_EXPORTER_OTLP_METRICS_HEADERS'), 'OTEL_EXPORTER_OTLP_METRICS_HEADERS'),
    },
    timeoutMs: readMs('OTEL_EXPORTER_OTLP_TIMEOUT', either('TIMEOUT'), 10_000),
    compress: compression === 'gzip',
    intervalMs: readMs('OTEL_METRIC_EXPORT_INTERVAL', read('OTEL_METRIC_EXPORT_INTERVAL'), 60_000),
    serviceName: read('OTEL_SERVICE_NAME') ?? named ?? 'unclosed',
    resource,
  };
}

function chooseUrl(option: string, read: (name: string) => string | undefined): string {
  if (option !== 'env') return addPath(option, '--otlp');
  const own = read('OTEL_EXPORTER_OTLP_METRICS_ENDPOINT');
  if (own !== undefined) return checkUrl(own, 'OTEL_EXPORTER_OTLP_METRICS_ENDPOINT').href;
  return addPath(read('OTEL_EXPORTER_OTLP_ENDPOINT') ?? DEFAULT_ENDPOINT, 'OTEL_EXPORTER_OTLP_ENDPOINT');
}

function addPath(base: string, what: string): string {
  const url = checkUrl(base, what);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/metrics`;
  return url.href;
}

function checkUrl(text: string, what: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new OtlpSettingError(what, text, `a URL like ${DEFAULT_ENDPOINT}`);
}

/** `key=value,key2=value2`, percent-encoded as W3C Baggage. */
function readPairs(
  text: string | undefined,
  what: string,
  shown: string = text ?? '',
): Readonly<Record<string, string>> {
  const pairs = (text ?? '').split(',').filter((part) => part.trim() !== '');
  return Object.fromEntries(
    pairs.map((part) => {
      const at = part.indexOf('=');
      try {
        if (at > 0)
          return [decodeURIComponent(part.slice(0, at).trim()), decodeURIComponent(part.slice(at + 1).trim())];
      } catch {
        // a bare % is no encoding of anything
      }
      throw new OtlpSettingError(what, shown, 'key=value, with commas between pairs and %2C for a comma');
    }),
  );
}

/** A header that HTTP does not allow would make each attempt to send fail. Values may be secrets: none is shown. */
function readHeaders(text: string | undefined, what: string): Readonly<Record<string, string>> {
  const parts = (text ?? '').split(',');
  const shown = parts.map((part) => (part.includes('=') ? part.replace(/=.*/s, '=…') : '…')).join(',');
  const headers = readPairs(text, what, shown);
  for (const [name, value] of Object.entries(headers)) {
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch {
      throw new OtlpSettingError(what, shown, 'names of letters, digits and hyphens, and values in Latin letters');
    }
  }
  return headers;
}

function readMs(what: string, text: string | undefined, byDefault: number): number {
  if (text === undefined) return byDefault;
  if (!/^\d{1,9}$/.test(text) || Number(text) === 0)
    throw new OtlpSettingError(what, text, 'milliseconds, such as 10000');
  return Number(text);
}
