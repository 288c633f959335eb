import { UnDecorateSymbolNameW } from '../ffi/dbghelp.ts';

const UNDNAME_NAME_ONLY = 0x1000;
const NAME_LENGTH_MAX = 2000;

/**
 * The plain name of a function, without its parameters, as far as its compiler's decoration is understood: all of
 * Microsoft's C++ compiler; of GCC's and Clang's the names that are no templates. Any other name is returned as it is.
 */
export function undecorate(name: string): string {
  if (name.startsWith('?')) return undecorateMicrosoft(name);
  if (name.startsWith('_Z')) return undecorateItanium(name) ?? name;
  return name;
}

/** https://learn.microsoft.com/windows/win32/api/dbghelp/nf-dbghelp-undecoratesymbolnamew */
function undecorateMicrosoft(name: string): string {
  const plain = new Uint16Array(NAME_LENGTH_MAX);
  const length = UnDecorateSymbolNameW(name, plain, plain.length, UNDNAME_NAME_ONLY);
  return length === 0 ? name : String.fromCharCode(...plain.subarray(0, Math.min(length, plain.length)));
}

/**
 * `_ZN5store3Box4openEi` -> `store::Box::open`. `undefined` where the name needs more of the grammar than this: templates,
 * operators, the standard library's abbreviations. https://itanium-cxx-abi.github.io/cxx-abi/abi.html#mangling
 */
export function undecorateItanium(name: string): string | undefined {
  const nested = /^_ZN[rVK]*[RO]?(?=\d)/.exec(name);
  let at = nested?.[0].length ?? /^_ZL?(?=\d)/.exec(name)?.[0].length;
  if (at === undefined) return undefined;
  const parts: string[] = [];
  for (;;) {
    const length = /^\d+/.exec(name.slice(at, at + 4))?.[0];
    if (length === undefined) break;
    at += length.length;
    const part = name.slice(at, at + Number(length));
    if (part.length !== Number(length)) return undefined;
    parts.push(part.startsWith('_GLOBAL__N') ? '(anonymous namespace)' : part);
    at += part.length;
    if (nested === null) break;
  }
  if (nested === null) return name[at] === 'I' ? undefined : parts[0];
  const last = parts.at(-1);
  const special = /^[CD][0-2]/.exec(name.slice(at))?.[0];
  if (special !== undefined) {
    parts.push(special.startsWith('C') ? last! : `~${last}`);
    at += special.length;
  }
  return name[at] === 'E' ? parts.join('::') : undefined;
}
