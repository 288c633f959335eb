import { describe, expect, it } from 'vitest';

import { type OtlpSettings, readOtlpSettings } from '../../../src/telemetry/otlp-settings.ts';

interface Case {
  readonly title: string;
  readonly option?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly settings: Partial<OtlpSettings>;
}

const cases: readonly Case[] = [
  {
    title: 'the defaults of the specification',
    settings: {
      url: 'http://localhost:4318/v1/metrics',
      headers: {},
      timeoutMs: 10_000,
      compress: false,
      intervalMs: 60_000,
      serviceName: 'unclosed',
      resource: {},
    },
  },
  {
    title: 'the path of the signal behind that of the option',
    option: 'https://collector.example/otlp/',
    environment: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://elsewhere' },
    settings: { url: 'https://collector.example/otlp/v1/metrics' },
  },
  {
    title: 'the endpoint of all signals',
    environment: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' },
    settings: { url: 'http://collector:4318/v1/metrics' },
  },
  {
    title: 'the endpoint of metrics as it is',
    environment: {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://metrics/take',
    },
    settings: { url: 'http://metrics/take' },
  },
  {
    title: 'headers, decoded, those of metrics first',
    environment: {
      OTEL_EXPORTER_OTLP_HEADERS: 'api-key=a%2Cb , other=1',
      OTEL_EXPORTER_OTLP_METRICS_HEADERS: 'other=2',
    },
    settings: { headers: { 'api-key': 'a,b', other: '2' } },
  },
  {
    title: 'times and compression',
    environment: {
      OTEL_EXPORTER_OTLP_TIMEOUT: '500',
      OTEL_METRIC_EXPORT_INTERVAL: '250',
      OTEL_EXPORTER_OTLP_METRICS_COMPRESSION: 'gzip',
    },
    settings: { timeoutMs: 500, intervalMs: 250, compress: true },
  },
  {
    title: 'the resource, whose name of the service OTEL_SERVICE_NAME replaces',
    environment: { OTEL_RESOURCE_ATTRIBUTES: 'service.name=old,deployment.environment=ci', OTEL_SERVICE_NAME: 'new' },
    settings: { serviceName: 'new', resource: { 'deployment.environment': 'ci' } },
  },
  {
    title: 'the name of the service from the resource',
    environment: { OTEL_RESOURCE_ATTRIBUTES: 'service.name=old' },
    settings: { serviceName: 'old', resource: {} },
  },
  {
    title: 'nothing from empty variables',
    environment: { OTEL_EXPORTER_OTLP_ENDPOINT: '', OTEL_EXPORTER_OTLP_TIMEOUT: ' ', OTEL_SERVICE_NAME: '' },
    settings: { url: 'http://localhost:4318/v1/metrics', timeoutMs: 10_000, serviceName: 'unclosed' },
  },
];

describe('the settings of OTLP', () => {
  it.each(cases)('have $title', ({ option = 'env', environment = {}, settings }) => {
    expect(readOtlpSettings(option, environment)).toMatchObject(settings);
  });

  it.each([
    { title: 'a URL that is none', option: 'collector:4318', environment: {}, message: /--otlp is "collector:4318"/ },
    {
      title: 'a protocol other than HTTP',
      option: 'env',
      environment: { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      message: /OTEL_EXPORTER_OTLP_PROTOCOL is "grpc".*http\/json/,
    },
    {
      title: 'an unknown compression',
      option: 'env',
      environment: { OTEL_EXPORTER_OTLP_COMPRESSION: 'br' },
      message: /COMPRESSION/,
    },
    {
      title: 'a header without a value',
      option: 'env',
      environment: { OTEL_EXPORTER_OTLP_HEADERS: 'a=secret,secret' },
      message: /OTEL_EXPORTER_OTLP_HEADERS is "a=…,…"/,
    },
    {
      title: 'a header that is not encoded',
      option: 'env',
      environment: { OTEL_EXPORTER_OTLP_HEADERS: 'a=100%' },
      message: /OTEL_EXPORTER_OTLP_HEADERS/,
    },
    {
      title: 'a header whose name HTTP does not allow',
      option: 'env',
      environment: { OTEL_EXPORTER_OTLP_HEADERS: 'api key=1' },
      message: /OTEL_EXPORTER_OTLP_HEADERS is "api key=…"\. Try names of/,
    },
    {
      title: 'a header whose value HTTP does not allow',
      option: 'env',
      environment: { OTEL_EXPORTER_OTLP_METRICS_HEADERS: 'key=1%0D%0Aother:%202' },
      message: /OTEL_EXPORTER_OTLP_METRICS_HEADERS is "key=…"/,
    },
    {
      title: 'a time that is none',
      option: 'env',
      environment: { OTEL_METRIC_EXPORT_INTERVAL: '1s' },
      message: /OTEL_METRIC_EXPORT_INTERVAL is "1s"/,
    },
  ])('refuse $title', ({ option, environment, message }) => {
    expect(() => readOtlpSettings(option, environment)).toThrow(message);
  });
});
