import type { SocketDescription } from '../model.ts';

const GUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
/** With its prefix, or a word of six or more hexadecimal digits, of both kinds. */
const HEXADECIMAL = /0x[0-9a-f]+|(?<![0-9a-z])(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{6,}(?![0-9a-z])/gi;
/** Also within a word: `file12`. */
const NUMBER = /[0-9]+/g;

/** Where Windows (49152) and Linux (32768) begin to hand out ports by themselves: such a port says nothing. */
const FIRST_PASSING_PORT = 32_768;

/**
 * The name with all that numbers things in it left open: `C:\logs\2026-11-22.log` becomes `C:\logs\<n>-<n>-<n>.log`.
 * Two handles of one type whose names have the same pattern are of the same kind.
 */
export function generaliseName(name: string): string {
  if (!/[0-9]/.test(name)) return name;
  const withoutGuids = name.includes('-') ? name.replace(GUID, '<guid>') : name;
  return withoutGuids.replace(HEXADECIMAL, '<hex>').replace(NUMBER, '<n>');
}

/** The same for a socket: `TCP connected 10.0.0.5:<n> > 10.0.0.7:5432`. Ports that the system chose are left open. */
export function generaliseSocket({ protocol, local, remote, state }: SocketDescription): string {
  const ends = [local, remote].filter((end) => end !== undefined).map(generalisePort);
  return [protocol, state, ends.join(' > ')].filter((part) => part !== undefined && part !== '').join(' ');
}

function generalisePort(endpoint: string): string {
  return endpoint.replace(/:(\d+)$/, (whole, port: string) => (Number(port) >= FIRST_PASSING_PORT ? ':<n>' : whole));
}
