import type { Frame } from '../model.ts';
import { demangleItanium } from './demangle/itanium.ts';
import { demangleMicrosoft } from './demangle/microsoft.ts';
import { demangleRust } from './demangle/rust.ts';

/**
 * The plain name of a function, without its parameters. Understands the decorations of Microsoft's C++, of GCC's and
 * Clang's C++, and of Rust. Returns any other name as it is.
 */
export function undecorate(name: string): string {
  if (name.startsWith('?')) return demangleMicrosoft(name) ?? name;
  if (name.startsWith('_R')) return demangleRust(name) ?? name;
  return name.startsWith('_Z') ? (demangleRust(name) ?? demangleItanium(name) ?? name) : name;
}

/** {@link Frame.exported}, where it differs from the name that was found. */
export function spellExport(exported: string | undefined, name: string | undefined): Pick<Frame, 'exported'> {
  const spelt = exported === undefined ? '' : undecorate(exported);
  return name === undefined || spelt === name ? {} : { exported: spelt };
}
