import { UnDecorateSymbolNameW } from '../ffi/dbghelp.ts';
import { demangleItanium } from './demangle/itanium.ts';
import { demangleRust } from './demangle/rust.ts';

const UNDNAME_NAME_ONLY = 0x1000;
const NAME_LENGTH_MAX = 2000;

/**
 * The plain name of a function, without its parameters. Understands the decorations of Microsoft's C++, of GCC's and
 * Clang's C++, and of Rust. Returns any other name as it is.
 */
export function undecorate(name: string): string {
  if (name.startsWith('?')) return undecorateMicrosoft(name);
  if (name.startsWith('_R')) return demangleRust(name) ?? name;
  return name.startsWith('_Z') ? (demangleRust(name) ?? demangleItanium(name) ?? name) : name;
}

/** https://learn.microsoft.com/windows/win32/api/dbghelp/nf-dbghelp-undecoratesymbolnamew */
function undecorateMicrosoft(name: string): string {
  const plain = new Uint16Array(NAME_LENGTH_MAX);
  const length = UnDecorateSymbolNameW(name, plain, plain.length, UNDNAME_NAME_ONLY);
  return length === 0 ? name : String.fromCharCode(...plain.subarray(0, Math.min(length, plain.length)));
}
