import { createRequire } from 'node:module';

import { describe, expect, it } from 'vitest';

import { describeRecording } from '../../../src/telemetry/counts.ts';
import { type OtlpContext, toOtlpJson } from '../../../src/telemetry/otlp-json.ts';

/** A message type that was generated from the published Protobuf files of OTLP. */
interface MessageType {
  fromObject(json: object): object;
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
  toObject(message: object, options: object): object;
}

const require = createRequire(import.meta.url);
const { opentelemetry } = require('@opentelemetry/otlp-transformer/build/src/generated/root.js') as {
  opentelemetry: { proto: { collector: { metrics: { v1: { ExportMetricsServiceRequest: MessageType } } } } };
};
const { ExportMetricsServiceRequest: type } = opentelemetry.proto.collector.metrics.v1;

const context: OtlpContext = {
  serviceName: 'tests',
  resource: { 'deployment.environment': 'ci' },
  version: '1.2.3',
  startTime: 1_700_000_000_000_000_001n,
  time: 1_700_000_060_000_000_002n,
};
const metrics = describeRecording({ pid: 4242, image: 'C:\\work\\app.exe' }, { opens: 9, closes: 4 }, [
  { type: 'Event', site: 'begin (app.c:4)', count: 5 },
]);

describe('the document of OTLP', () => {
  it('survives a way through the Protobuf of the published schema, name by name', () => {
    const json = toOtlpJson(metrics, context);
    const message = type.decode(type.encode(type.fromObject(json)).finish());
    // A name that the schema does not know, or has with another type, would be missing or different.
    expect(type.toObject(message, { longs: String, enums: Number })).toEqual(json);
  });

  it('has a gauge for what is open, and rising sums for what was opened and closed', () => {
    expect(toOtlpJson(metrics, context)).toMatchObject({
      resourceMetrics: [
        {
          scopeMetrics: [
            {
              scope: { name: 'unclosed', version: '1.2.3' },
              metrics: [
                {
                  name: 'unclosed.recorded_handles.open',
                  unit: '{handle}',
                  gauge: {
                    dataPoints: [
                      {
                        asInt: '5',
                        timeUnixNano: '1700000060000000002',
                        attributes: [
                          { key: 'process.pid', value: { intValue: '4242' } },
                          { key: 'process.executable.name', value: { stringValue: 'app.exe' } },
                          { key: 'unclosed.handle.type', value: { stringValue: 'Event' } },
                          { key: 'unclosed.site', value: { stringValue: 'begin (app.c:4)' } },
                        ],
                      },
                    ],
                  },
                },
                {
                  name: 'unclosed.handles.opened',
                  sum: {
                    aggregationTemporality: 2,
                    isMonotonic: true,
                    dataPoints: [{ asInt: '9', startTimeUnixNano: '1700000000000000001' }],
                  },
                },
                { name: 'unclosed.handles.closed' },
              ],
            },
          ],
        },
      ],
    });
  });

  it('names the service once, whatever the resource has', () => {
    const json = JSON.stringify(toOtlpJson([], { ...context, resource: { 'service.name': 'other' } }));
    expect(json.match(/service\.name/g)).toHaveLength(1);
    expect(json).toContain('"tests"');
  });
});
