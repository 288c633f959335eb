import type { Attributes, Instrument, Metric } from './metric.ts';
import { exportOtlp, type OtlpExporter } from './otlp-exporter.ts';
import { readOtlpSettings } from './otlp-settings.ts';
import { type PrometheusServer, servePrometheus } from './prometheus-server.ts';
import { writePrometheusText } from './prometheus-text.ts';

/** The receivers of the metrics: at least one. */
interface TelemetryOptions {
  /** A collector's base URL, or `env`. */
  readonly otlp?: string;
  /** A port on the loopback address; 0 for any. */
  readonly prometheus?: number;
}

/** Gives metrics to those who asked for them, until it is disposed of; then the last ones are sent. */
export interface Telemetry extends AsyncDisposable {
  /** Where the metrics go. */
  readonly places: readonly string[];
  /** The metrics of a process from now on. */
  publish(pid: number, metrics: readonly Metric[]): void;
  /** A process is over: it has no series any more. */
  forget(pid: number): void;
}

/**
 * Opens the ways by which metrics leave the tool.
 *
 * @param onTrouble called with a sentence when metrics cannot be sent, which is no reason to end
 * @throws UserError for settings that cannot be used, and a port that cannot be had
 */
export async function openTelemetry(
  { otlp, prometheus }: TelemetryOptions,
  environment: Readonly<Record<string, string | undefined>>,
  onTrouble: (sentence: string) => void,
): Promise<Telemetry> {
  const published = new Map<number, readonly Metric[]>();
  const read = (): readonly Metric[] => join([...published.values()].flat());
  const settings = otlp === undefined ? undefined : readOtlpSettings(otlp, environment);
  const server: PrometheusServer | undefined =
    prometheus === undefined ? undefined : await servePrometheus(prometheus, () => writePrometheusText(read()));
  const exporter: OtlpExporter | undefined = settings && exportOtlp(settings, read, onTrouble);
  return {
    places: [server?.url, exporter?.url].filter((url) => url !== undefined),
    publish: (pid, metrics) => void published.set(pid, metrics),
    forget: (pid) => void published.delete(pid),
    async [Symbol.asyncDispose]() {
      await exporter?.[Symbol.asyncDispose]();
      await server?.[Symbol.asyncDispose]();
    },
  };
}

/** Each instrument once, with the values of all processes: both formats want it so. */
function join(metrics: readonly Metric[]): readonly Metric[] {
  const points = new Map<Instrument, { readonly attributes: Attributes; readonly value: number }[]>();
  for (const metric of metrics) {
    const known = points.get(metric.instrument) ?? [];
    known.push(...metric.points);
    points.set(metric.instrument, known);
  }
  return Array.from(points, ([instrument, each]) => ({ instrument, points: each }));
}
