const NAME_LENGTH_MAX = 4_000;
/** Back references can double a name with every few letters: more reads than this are an attack. */
const READS_MAX = 10_000;
const DEPTH_MAX = 100;

const basicTypes: Readonly<Record<string, string>> = {
  a: 'i8',
  b: 'bool',
  c: 'char',
  d: 'f64',
  e: 'str',
  f: 'f32',
  h: 'u8',
  i: 'isize',
  j: 'usize',
  l: 'i32',
  m: 'u32',
  n: 'i128',
  o: 'u128',
  p: '_',
  s: 'i16',
  t: 'u16',
  u: '()',
  v: '...',
  x: 'i64',
  y: 'u64',
  z: '!',
};

/**
 * The path of a function of Rust's: `_RNvNtCs15kBYyAo9fc_5store3box4open` -> `store::box::open`, and
 * `_ZN5store3box4open17h0123456789abcdefE`, of compilers before 1.90, likewise. Without the hashes, which differ from
 * build to build. `undefined` for what is not decorated so.
 *
 * https://doc.rust-lang.org/rustc/symbol-mangling/v0.html
 *
 * @param name may be hostile: the work is bounded
 */
export function demangleRust(name: string): string | undefined {
  if (name.length > NAME_LENGTH_MAX) return undefined;
  if (name.startsWith('_ZN') || name.startsWith('ZN')) return demangleLegacy(name);
  const start = /^_?R(?=[A-Z])/.exec(name)?.[0].length;
  if (start === undefined) return undefined;
  try {
    return new Demangler(name, start).readPath(true);
  } catch (error) {
    if (error instanceof NotUnderstood) return undefined;
    throw error;
  }
}

const escapes: Readonly<Record<string, string>> = {
  SP: '@',
  BP: '*',
  RF: '&',
  LT: '<',
  GT: '>',
  LP: '(',
  RP: ')',
  C: ',',
};

/** C++'s grammar for nested names, whose last is `h` and sixteen digits. */
function demangleLegacy(name: string): string | undefined {
  if (!/17h[0-9a-f]{16}E(?:\..*)?$/.test(name)) return undefined;
  const parts: string[] = [];
  let at = name.indexOf('N') + 1;
  for (
    let length = /^\d+/.exec(name.slice(at, at + 4))?.[0];
    length !== undefined;
    length = /^\d+/.exec(name.slice(at, at + 4))?.[0]
  ) {
    at += length.length;
    parts.push(name.slice(at, at + Number(length)));
    at += Number(length);
  }
  if (name[at] !== 'E' || !/^h[0-9a-f]{16}$/.test(parts.pop() ?? '') || parts.length === 0) return undefined;
  return parts.map(unescapeLegacy).join('::');
}

function unescapeLegacy(part: string): string {
  return part
    .replace(/^_(?=\$)/, '')
    .replace(/\.\./g, '::')
    .replace(
      /\$(?:u([0-9a-f]{1,6})|([A-Z]{1,2}))\$/g,
      (whole, code: string | undefined, escape: string | undefined) => {
        if (escape !== undefined) return escapes[escape] ?? whole;
        const point = Number.parseInt(code ?? '', 16);
        return point >= 0x20 && point <= 0x10_ffff && !(point >= 0xd800 && point < 0xe000)
          ? String.fromCodePoint(point)
          : whole;
      },
    );
}

class NotUnderstood extends Error {}

class Demangler {
  readonly #name: string;
  readonly #start: number;
  #at: number;
  #depth = 0;
  #reads = 0;
  #lifetimes = 0;

  constructor(name: string, start: number) {
    this.#name = name;
    this.#start = start;
    this.#at = start;
  }

  /** @param isValue generic arguments of a value follow `::` (the turbofish), those of a type do not */
  readPath(isValue: boolean): string {
    return this.#nested(() => {
      const letter = this.#take();
      switch (letter) {
        case 'C': {
          this.#readDisambiguator();
          return this.#readIdentifier();
        }
        case 'M':
        case 'X': {
          // The type that it implements says more than the place where the implementation stands.
          this.#readDisambiguator();
          this.readPath(false);
          return this.#readImplementation(letter === 'X');
        }
        case 'Y':
          return this.#readImplementation(true);
        case 'N': {
          const kind = this.#take();
          const outer = this.readPath(isValue);
          const number = this.#readDisambiguator();
          const name = this.#readIdentifier();
          if (!/[A-Z]/.test(kind)) return name === '' ? outer : `${outer}::${name}`;
          const word = { C: 'closure', S: 'shim' }[kind] ?? kind;
          return `${outer}::{${word}${name === '' ? '' : `:${name}`}#${number}}`;
        }
        case 'I': {
          const path = this.readPath(isValue);
          const list: string[] = [];
          while (!this.#skip('E')) list.push(this.#readArgument());
          return `${path}${isValue ? '::' : ''}<${list.join(', ')}>`;
        }
        case 'B':
          return this.#back(() => this.readPath(isValue));
        default:
          throw new NotUnderstood();
      }
    });
  }

  #readImplementation(hasTrait: boolean): string {
    const type = this.#readType();
    return hasTrait ? `<${type} as ${this.readPath(false)}>` : `<${type}>`;
  }

  #readArgument(): string {
    if (this.#skip('L')) return this.#spellLifetime(this.#readBase62());
    return this.#skip('K') ? this.#readConstant() : this.#readType();
  }

  #readType(): string {
    return this.#nested(() => {
      const letter = this.#take();
      const basic = basicTypes[letter];
      if (basic !== undefined) return basic;
      switch (letter) {
        case 'A': {
          const type = this.#readType();
          return `[${type}; ${this.#readConstant()}]`;
        }
        case 'S':
          return `[${this.#readType()}]`;
        case 'T': {
          const list: string[] = [];
          while (!this.#skip('E')) list.push(this.#readType());
          return `(${list.join(', ')}${list.length === 1 ? ',' : ''})`;
        }
        case 'R':
        case 'Q': {
          const lifetime = this.#skip('L') ? this.#spellLifetime(this.#readBase62()) : '';
          return `&${lifetime === '' || lifetime === "'_" ? '' : `${lifetime} `}${letter === 'Q' ? 'mut ' : ''}${this.#readType()}`;
        }
        case 'P':
          return `*const ${this.#readType()}`;
        case 'O':
          return `*mut ${this.#readType()}`;
        case 'F':
          return this.#readFunctionType();
        case 'D':
          return this.#readTraitObject();
        case 'B':
          return this.#back(() => this.#readType());
        default:
          this.#at--;
          return this.readPath(false);
      }
    });
  }

  /** `for<'a> ` where a type binds lifetimes, which count for the rest of it. */
  #bind<Result extends string>(read: (binder: string) => Result): Result {
    const count = this.#skip('G') ? this.#readBase62() + 1 : 0;
    if (count > 16) throw new NotUnderstood();
    const before = this.#lifetimes;
    this.#lifetimes += count;
    const names = Array.from({ length: count }, (_, index) => this.#spellLifetime(count - index));
    const result = read(count === 0 ? '' : `for<${names.join(', ')}> `);
    this.#lifetimes = before;
    return result;
  }

  #spellLifetime(index: number): string {
    if (index === 0) return "'_";
    const depth = this.#lifetimes - index;
    if (depth < 0) throw new NotUnderstood();
    return depth < 26 ? `'${String.fromCharCode(97 + depth)}` : `'_${depth}`;
  }

  #readFunctionType(): string {
    return this.#bind((binder) => {
      const unsafe = this.#skip('U') ? 'unsafe ' : '';
      const abi = this.#skip('K')
        ? `extern "${this.#skip('C') ? 'C' : this.#readIdentifier().replaceAll('_', '-')}" `
        : '';
      const list: string[] = [];
      while (!this.#skip('E')) list.push(this.#readType());
      const result = this.#readType();
      return `${binder}${unsafe}${abi}fn(${list.join(', ')})${result === '()' ? '' : ` -> ${result}`}`;
    });
  }

  #readTraitObject(): string {
    const text = this.#bind((binder) => {
      const traits: string[] = [];
      while (!this.#skip('E')) traits.push(this.#readDynamicTrait());
      return `dyn ${binder}${traits.join(' + ')}`;
    });
    if (!this.#skip('L')) throw new NotUnderstood();
    const lifetime = this.#readBase62();
    return lifetime === 0 ? text : `${text} + ${this.#spellLifetime(lifetime)}`;
  }

  #readDynamicTrait(): string {
    let trait = this.readPath(false);
    const bindings: string[] = [];
    while (this.#skip('p')) {
      const name = this.#readIdentifier();
      bindings.push(`${name} = ${this.#skip('K') ? this.#readConstant() : this.#readType()}`);
    }
    if (bindings.length > 0)
      trait = trait.endsWith('>')
        ? `${trait.slice(0, -1)}, ${bindings.join(', ')}>`
        : `${trait}<${bindings.join(', ')}>`;
    return trait;
  }

  #readConstant(): string {
    return this.#nested(() => {
      if (this.#skip('p')) return '_';
      if (this.#skip('B')) return this.#back(() => this.#readConstant());
      const type = basicTypes[this.#take()];
      const digits = /^n?[0-9a-f]*_/.exec(this.#name.slice(this.#at))?.[0];
      // structures as constants: not yet stable
      if (type === undefined || digits === undefined) throw new NotUnderstood();
      this.#at += digits.length;
      const value = BigInt(`0x${digits.replace(/^n/, '').slice(0, -1) || '0'}`);
      if (type === 'bool') return value === 0n ? 'false' : 'true';
      if (type !== 'char') return `${digits.startsWith('n') ? '-' : ''}${value}`;
      const isCharacter = value >= 0x20n && value <= 0x10_ffffn && !(value >= 0xd800n && value < 0xe000n);
      return isCharacter ? `'${String.fromCodePoint(Number(value))}'` : `'\\u{${value.toString(16)}}'`;
    });
  }

  #readIdentifier(): string {
    const isPunycode = this.#skip('u');
    const digits = /^(?:0|[1-9]\d{0,4})/.exec(this.#name.slice(this.#at, this.#at + 5))?.[0];
    if (digits === undefined) throw new NotUnderstood();
    this.#at += digits.length;
    this.#skip('_'); // between the length and a name that begins with a digit or _
    const text = this.#name.slice(this.#at, this.#at + Number(digits));
    if (text.length !== Number(digits)) throw new NotUnderstood();
    this.#at += text.length;
    return isPunycode ? `punycode{${text.replace(/_(?=[^_]*$)/, '-')}}` : text;
  }

  #readDisambiguator(): number {
    return this.#skip('s') ? this.#readBase62() + 1 : 0;
  }

  #readBase62(): number {
    const digits = /^[0-9a-zA-Z]{0,11}_/.exec(this.#name.slice(this.#at, this.#at + 12))?.[0];
    if (digits === undefined) throw new NotUnderstood();
    this.#at += digits.length;
    if (digits === '_') return 0;
    let value = 0;
    for (const digit of digits.slice(0, -1)) {
      const code = digit.charCodeAt(0);
      value = value * 62 + (code < 58 ? code - 48 : code >= 97 ? code - 97 + 10 : code - 65 + 36);
    }
    return value + 1;
  }

  /** Reads what stands earlier in the name, and comes back. */
  #back<Result>(read: () => Result): Result {
    const from = this.#at - 1;
    const to = this.#start + this.#readBase62();
    if (to >= from) throw new NotUnderstood();
    const after = this.#at;
    this.#at = to;
    const result = read();
    this.#at = after;
    return result;
  }

  #take(): string {
    const letter = this.#name.charAt(this.#at++);
    if (letter === '') throw new NotUnderstood();
    return letter;
  }

  #skip(letter: string): boolean {
    const isThere = this.#name.charAt(this.#at) === letter;
    if (isThere) this.#at++;
    return isThere;
  }

  #nested(read: () => string): string {
    if (++this.#depth > DEPTH_MAX || ++this.#reads > READS_MAX) throw new NotUnderstood();
    const result = read();
    // Text grows with every back reference, reads or not.
    if (result.length > NAME_LENGTH_MAX) throw new NotUnderstood();
    this.#depth--;
    return result;
  }
}
