/**
 * Room for the name of one of the gate's objects: its size in bytes twice, as in a UNICODE_STRING; the offset in the
 * ledger of the handle of the object that the auditor may have lent; and the name's UTF-16 text.
 */
export const GATE_NAME_SIZE_BYTES = 0x400;
export const GATE_NAME_LENT = 4;
export const GATE_NAME_TEXT = 8;

/**
 * Writes a name into the room that the agent's code reserves for it.
 *
 * @throws Error when the name is too long
 */
export function setGateName(image: Uint8Array, offset: number, name: string, lentHandleOffset: number): void {
  const text = Buffer.from(name, 'utf16le');
  if (text.length > GATE_NAME_SIZE_BYTES - GATE_NAME_TEXT)
    throw new Error(`the name of the exit gate has ${name.length} characters`);
  const view = new DataView(image.buffer, image.byteOffset + offset);
  view.setUint16(0, text.length, true);
  view.setUint16(2, text.length, true);
  view.setUint32(GATE_NAME_LENT, lentHandleOffset, true);
  image.set(text, offset + GATE_NAME_TEXT);
}

/** The access that the agent needs to the auditor's events and mutants, by name or by a handle that it is lent. */
export const EVENT_MODIFY_STATE = 0x2;
export const MUTANT_ACCESS = 0x10_0001; // SYNCHRONIZE | MUTANT_QUERY_STATE
