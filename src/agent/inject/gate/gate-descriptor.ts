// The gate's objects should open for every token that a thread of a target may have at its exit: of low integrity, of
// an app container, restricted, or anonymous. Their names are random, and known only to auditor and target. A process
// that cannot open them all the same is lent handles (../loans.ts).

const SE_DACL_PRESENT = 0x0004;
const SE_SACL_PRESENT = 0x0010;
const SE_SELF_RELATIVE = 0x8000;
const HEADER_SIZE_BYTES = 20;

const ACCESS_ALLOWED_ACE_TYPE = 0x00;
const SYSTEM_MANDATORY_LABEL_ACE_TYPE = 0x11;
const GENERIC_ALL = 0x1000_0000;
const SYSTEM_MANDATORY_LABEL_NO_WRITE_UP = 0x1;

/**
 * Those who may open them. Everyone does not include the anonymous user, nor is it always among the groups to which a
 * token is restricted. An app container needs an entry of its own, and one with fewer rights (LPAC) another one.
 *
 * https://learn.microsoft.com/windows/win32/secauthz/well-known-sids
 */
const trustees = [
  sid(1, 0), // Everyone
  sid(5, 7), // ANONYMOUS LOGON
  sid(5, 12), // RESTRICTED
  sid(15, 2, 1), // ALL APPLICATION PACKAGES
  sid(15, 2, 2), // ALL RESTRICTED APPLICATION PACKAGES
];
const untrusted = sid(16, 0);

/**
 * The security descriptor
 * `D:(A;;GA;;;WD)(A;;GA;;;AN)(A;;GA;;;RC)(A;;GA;;;AC)(A;;GA;;;S-1-15-2-2)S:(ML;;NW;;;S-1-16-0)`, in one piece:
 * everybody may do everything, and the object is of the lowest integrity. An object without a label is of medium
 * integrity, and a process of a lower one must not change it.
 *
 * https://learn.microsoft.com/openspecs/windows_protocols/ms-dtyp/7d4dac05-9cef-4563-a058-f108abecce1d
 */
export function gateDescriptor(): Uint8Array {
  const sacl = acl(ace(SYSTEM_MANDATORY_LABEL_ACE_TYPE, SYSTEM_MANDATORY_LABEL_NO_WRITE_UP, untrusted));
  const dacl = acl(...trustees.map((trustee) => ace(ACCESS_ALLOWED_ACE_TYPE, GENERIC_ALL, trustee)));
  const bytes = Buffer.alloc(HEADER_SIZE_BYTES + sacl.length + dacl.length);
  bytes.writeUInt8(1, 0); // BYTE Revision
  bytes.writeUInt16LE(SE_SELF_RELATIVE | SE_SACL_PRESENT | SE_DACL_PRESENT, 2); // SECURITY_DESCRIPTOR_CONTROL Control
  bytes.writeUInt32LE(HEADER_SIZE_BYTES, 12); // DWORD Sacl; Owner and Group before it are 0
  bytes.writeUInt32LE(HEADER_SIZE_BYTES + sacl.length, 16); // DWORD Dacl
  bytes.set(sacl, HEADER_SIZE_BYTES);
  bytes.set(dacl, HEADER_SIZE_BYTES + sacl.length);
  return new Uint8Array(bytes);
}

/** A SID below the authority of a number. */
function sid(authority: number, ...subAuthorities: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(8 + subAuthorities.length * 4);
  bytes.writeUInt8(1, 0); // BYTE Revision
  bytes.writeUInt8(subAuthorities.length, 1); // BYTE SubAuthorityCount
  bytes.writeUInt8(authority, 7); // BYTE IdentifierAuthority[6], the most significant byte first
  subAuthorities.forEach((value, index) => bytes.writeUInt32LE(value, 8 + index * 4));
  return bytes;
}

function ace(type: number, mask: number, who: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(8 + who.length);
  bytes.writeUInt8(type, 0); // BYTE AceType; AceFlags is 0
  bytes.writeUInt16LE(bytes.length, 2); // WORD AceSize
  bytes.writeUInt32LE(mask, 4); // ACCESS_MASK Mask
  bytes.set(who, 8);
  return bytes;
}

function acl(...aces: readonly Uint8Array[]): Uint8Array {
  const bytes = Buffer.concat([Buffer.alloc(8), ...aces]);
  bytes.writeUInt8(2, 0); // BYTE AclRevision
  bytes.writeUInt16LE(bytes.length, 2); // WORD AclSize
  bytes.writeUInt16LE(aces.length, 4); // WORD AceCount
  return bytes;
}
