const offsetBasis = 0xcbf29ce484222325n;
const prime = 0x100000001b3n;

/**
 * The 64-bit FNV-1a hash of the parts' UTF-8 text as 16 hexadecimal digits
 * (http://www.isthe.com/chongo/tech/comp/fnv/).
 *
 * Parts are kept apart: `['ab', 'c']` and `['a', 'bc']` differ. Fingerprints stand in baselines and suppressions that
 * users keep, so neither the hash nor what goes into it may change without a new schema version.
 */
export function fingerprint(parts: readonly string[]): string {
  let hash = offsetBasis;
  for (const byte of new TextEncoder().encode(parts.map((part) => `${part.length}:${part}`).join('\n'))) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * prime);
  }
  return hash.toString(16).padStart(16, '0');
}
