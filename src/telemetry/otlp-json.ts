import { type Attributes, type Metric, otlpAttributes, type Point } from './metric.ts';

/** The sender of metrics, and the moments that they are of, in nanoseconds since 1970. */
export interface OtlpContext {
  readonly serviceName: string;
  readonly resource: Readonly<Record<string, string>>;
  readonly version: string;
  readonly startTime: bigint;
  readonly time: bigint;
}

/** AGGREGATION_TEMPORALITY_CUMULATIVE */
const CUMULATIVE = 2;

/**
 * An ExportMetricsServiceRequest of OTLP 1, in the JSON form of its Protobuf message: 64-bit integers are strings,
 * enumerations numbers.
 *
 * https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/metrics/v1/metrics.proto
 * https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 */
export function toOtlpJson(metrics: readonly Metric[], context: OtlpContext): object {
  const { serviceName, resource, version } = context;
  return {
    resourceMetrics: [
      {
        resource: {
          attributes: Object.entries({ ...resource, 'service.name': serviceName }).map(([key, value]) =>
            toAttribute(key, value),
          ),
        },
        scopeMetrics: [
          { scope: { name: 'unclosed', version }, metrics: metrics.map((metric) => toMetric(metric, context)) },
        ],
      },
    ],
  };
}

function toMetric({ instrument, points }: Metric, { startTime, time }: OtlpContext): object {
  const { otlp: name, help: description, unit, kind } = instrument;
  const isCounter = kind === 'counter';
  const dataPoints = points.map((point) => toPoint(point, time, isCounter ? startTime : undefined));
  const data = isCounter
    ? { sum: { dataPoints, aggregationTemporality: CUMULATIVE, isMonotonic: true } }
    : { gauge: { dataPoints } };
  return { name, description, unit, ...data };
}

function toPoint({ attributes, value }: Point, time: bigint, startTime: bigint | undefined): object {
  return {
    attributes: Object.entries(attributes).map(([key, each]) =>
      toAttribute(otlpAttributes[key as keyof Attributes], each),
    ),
    ...(startTime === undefined ? {} : { startTimeUnixNano: String(startTime) }),
    timeUnixNano: String(time),
    asInt: String(value),
  };
}

function toAttribute(key: string, value: string | number): object {
  return { key, value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value } };
}
