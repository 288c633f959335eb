import type { Attributes, Metric } from './metric.ts';

/** The media type of {@link writePrometheusText}. */
export const prometheusTextType = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Writes metrics in Prometheus' text format, version 0.0.4.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export function writePrometheusText(metrics: readonly Metric[]): string {
  return metrics
    .map(({ instrument: { prometheus: name, help, kind }, points }) => {
      const rows = points.map(({ attributes, value }) => `${name}{${spellLabels(attributes)}} ${value}\n`);
      return `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n${rows.join('')}`;
    })
    .join('');
}

function spellLabels(attributes: Attributes): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${name}="${escapeLabel(String(value))}"`)
    .join(',');
}

function escapeLabel(value: string): string {
  return value.replaceAll(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
