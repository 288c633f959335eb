// The gate's objects must open for every token that a thread of a target may have at its exit: of low integrity, of an
// app container, restricted, or anonymous. Their names are random, and known only to auditor and target.

const SE_DACL_PRESENT = 0x0004;
const SE_SACL_PRESENT = 0x0010;
const SE_SELF_RELATIVE = 0x8000;
const HEADER_SIZE_BYTES = 20;

const ACCESS_ALLOWED_ACE_TYPE = 0x00;
const SYSTEM_MANDATORY_LABEL_ACE_TYPE = 0x11;
const GENERIC_ALL = 0x1000_0000;
const SYSTEM_MANDATORY_LABEL_NO_WRITE_UP = 0x1;

/** https://learn.microsoft.com/windows/win32/secauthz/well-known-sids */
const everyone = sid(1, 0);
const allApplicationPackages = sid(15, 2, 1);
const lowIntegrity = sid(16, 0x1000);

/**
 * The security descriptor `D:(A;;GA;;;WD)(A;;GA;;;AC)S:(ML;;NW;;;LW)`, in one piece: everybody may do everything, app
 * containers included, and the object is of low integrity. An object without a label is of medium integrity, and a
 * process of low integrity must not change it.
 *
 * https://learn.microsoft.com/openspecs/windows_protocols/ms-dtyp/7d4dac05-9cef-4563-a058-f108abecce1d
 */
export function gateDescriptor(): Uint8Array {
  const sacl = acl(ace(SYSTEM_MANDATORY_LABEL_ACE_TYPE, SYSTEM_MANDATORY_LABEL_NO_WRITE_UP, lowIntegrity));
  const dacl = acl(
    ace(ACCESS_ALLOWED_ACE_TYPE, GENERIC_ALL, everyone),
    ace(ACCESS_ALLOWED_ACE_TYPE, GENERIC_ALL, allApplicationPackages),
  );
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
