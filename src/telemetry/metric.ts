/** Attributes of a value, by their names for Prometheus; {@link otlpAttributes} has those of OpenTelemetry. */
export interface Attributes {
  readonly pid: number;
  /** File name of the program. */
  readonly process: string;
  /** Kernel type of the handles; `GDI` or `USER` for such objects. */
  readonly type?: string;
  /** The place in the program that opened the handles, or {@link otherSites}. */
  readonly site?: string;
}

export interface Point {
  readonly attributes: Attributes;
  readonly value: number;
}

/** A quantity that is measured. */
export interface Instrument {
  readonly prometheus: string;
  readonly otlp: string;
  readonly help: string;
  /** As UCUM has it, with the thing in braces. */
  readonly unit: string;
  /** A counter only rises, from the moment at which recording began. */
  readonly kind: 'gauge' | 'counter';
}

export interface Metric {
  readonly instrument: Instrument;
  readonly points: readonly Point[];
}

/** The site of all handles whose own site has no series. */
export const otherSites = 'other';

type InstrumentName = 'handleCount' | 'handlesOpen' | 'guiObjects' | 'recordedOpen' | 'opened' | 'closed';

export const instruments: Readonly<Record<InstrumentName, Instrument>> = {
  /** The name is that of OpenTelemetry's semantic conventions for processes. */
  handleCount: {
    prometheus: 'unclosed_process_handles',
    otlp: 'process.windows.handle.count',
    help: 'Handles that a process has open.',
    unit: '{handle}',
    kind: 'gauge',
  },
  handlesOpen: {
    prometheus: 'unclosed_handles_open',
    otlp: 'unclosed.handles.open',
    help: 'Handles that a process has open, by the type of their objects.',
    unit: '{handle}',
    kind: 'gauge',
  },
  guiObjects: {
    prometheus: 'unclosed_gui_objects_open',
    otlp: 'unclosed.gui_objects.open',
    help: 'GDI and USER objects that a process has open.',
    unit: '{object}',
    kind: 'gauge',
  },
  recordedOpen: {
    prometheus: 'unclosed_recorded_handles_open',
    otlp: 'unclosed.recorded_handles.open',
    help: 'Handles that were opened since recording began and are open, by type and by the place that opened them.',
    unit: '{handle}',
    kind: 'gauge',
  },
  opened: {
    prometheus: 'unclosed_handles_opened_total',
    otlp: 'unclosed.handles.opened',
    help: 'Handles that were opened since recording began.',
    unit: '{handle}',
    kind: 'counter',
  },
  closed: {
    prometheus: 'unclosed_handles_closed_total',
    otlp: 'unclosed.handles.closed',
    help: 'Handles that were closed since recording began.',
    unit: '{handle}',
    kind: 'counter',
  },
};

/**
 * The names of attributes for OpenTelemetry: its semantic conventions where they have one.
 *
 * https://opentelemetry.io/docs/specs/semconv/registry/attributes/process/
 */
export const otlpAttributes: Readonly<Record<keyof Attributes, string>> = {
  pid: 'process.pid',
  process: 'process.executable.name',
  type: 'unclosed.handle.type',
  site: 'unclosed.site',
};
