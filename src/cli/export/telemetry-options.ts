import type { Command } from 'commander';

import type { Telemetry } from '../../telemetry/index.ts';
import { toolName } from '../../version.ts';
import { parseWhole } from '../audit-options.ts';
import { write } from '../screen/terminal.ts';

/** The values of {@link addTelemetryOptions}. */
export interface TelemetryCliOptions {
  readonly otlp?: string;
  readonly prometheus?: number;
}

/** Adds the options by which counts go to collectors. */
export function addTelemetryOptions(command: Command): Command {
  return command
    .option(
      '--otlp <url>',
      'send the counts to a collector of OpenTelemetry: its base URL, such as http://localhost:4318, or env for what OTEL_EXPORTER_OTLP_ENDPOINT says',
    )
    .option(
      '--prometheus <port>',
      'serve the counts for Prometheus at /metrics of this port of 127.0.0.1; 0 for any that is free',
      (text: string) => parseWhole(text, 0, 65_535),
    );
}

/**
 * Opens what the options ask for, and says where; `undefined` when they ask for nothing.
 *
 * @param onTrouble called with a line for stderr
 * @throws UserError for settings that cannot be used, and a port that cannot be had
 */
export async function openAskedTelemetry(
  { otlp, prometheus }: TelemetryCliOptions,
  onTrouble: (line: string) => void = (line) => void write(2, line),
): Promise<Telemetry | undefined> {
  if (otlp === undefined && prometheus === undefined) return undefined;
  const { openTelemetry } = await import('../../telemetry/index.ts');
  const telemetry = await openTelemetry(
    { ...(otlp === undefined ? {} : { otlp }), ...(prometheus === undefined ? {} : { prometheus }) },
    process.env,
    (sentence) => onTrouble(`${toolName}: ${sentence}\n`),
  );
  write(2, telemetry.places.map((place) => `${toolName}: metrics: ${place}\n`).join(''));
  return telemetry;
}
