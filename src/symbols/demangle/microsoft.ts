import { DecoratedName, NotUnderstood } from './decorated-name.ts';
import { callingConventions, microsoftOperators, microsoftTypes } from './microsoft-operators.ts';

const NAME_LENGTH_MAX = 4_000;
/** A digit stands for one of the first ten names, or types of parameters. */
const REMEMBERED_MAX = 10;
const qualifiers: Readonly<Record<string, string>> = { A: '', B: ' const', C: ' volatile', D: ' const volatile' };
const pointers: Readonly<Record<string, string>> = {
  ...{ A: ' &', B: ' & volatile', P: ' *', Q: ' * const', R: ' * volatile', S: ' * const volatile' },
  ...{ $$Q: ' &&', $$R: ' && volatile' },
};
/** Codes of member functions that have no `this`. */
const staticMembers: ReadonlySet<string> = new Set('CDKLST');
const plainMembers: ReadonlySet<string> = new Set('ABEFIJMNQRUV');

/**
 * The plain name of a function that Visual C++, or Clang in its stead, has decorated, with its namespaces, classes and
 * template arguments, and without its parameters: `store::fill<3>`. Arguments are spelled as in a PDB, without `class`
 * and `struct`.
 *
 * @returns `undefined` for a name that is not understood: a string or a table of the compiler, an address as a template
 *   argument
 */
export function demangleMicrosoft(name: string): string | undefined {
  if (!name.startsWith('?') || name.length > NAME_LENGTH_MAX) return undefined;
  try {
    return new MicrosoftName(new DecoratedName(name, 0)).readSymbol().name;
  } catch (error) {
    if (error instanceof NotUnderstood) return undefined;
    throw error;
  }
}

/** The names and parameters that digits stand for. */
interface Remembered {
  names: string[];
  parameters: string[];
}

class MicrosoftName {
  readonly #text: DecoratedName;
  #remembered: Remembered = { names: [], parameters: [] };

  constructor(text: DecoratedName) {
    this.#text = text;
  }

  /**
   * A whole symbol, but for what follows the name.
   *
   * @returns also whether the type that it returns is still to be added: `operator int`
   */
  readSymbol(): { readonly name: string } {
    this.#text.expect('?');
    const { name, isConversion } = this.#readQualified();
    if (!isConversion) return { name };
    return { name: `${name} ${this.#readFunction()}` };
  }

  #readQualified(): { name: string; isConversion: boolean } {
    const text = this.#text;
    const special = text.peek('?') && !text.peek('?$') ? this.#readSpecial() : undefined;
    const own = special === undefined ? this.#readOwnName() : '';
    const scopes: string[] = [];
    while (!text.take('@')) scopes.unshift(this.#readScope());
    const around = scopes.length === 0 ? '' : `${scopes.join('::')}::`;
    const className = scopes.at(-1);
    if (special === '0' || special === '1') {
      if (className === undefined) throw new NotUnderstood();
      return { name: text.grow(`${around}${special === '1' ? '~' : ''}${className}`), isConversion: false };
    }
    if (special === 'B') return { name: text.grow(`${around}operator`), isConversion: true };
    return { name: text.grow(around + (special ?? own)), isConversion: false };
  }

  /** The code of a constructor (0), a destructor (1) or a conversion (B), or else the operator itself. */
  #readSpecial(): string {
    const text = this.#text;
    text.expect('?');
    if (text.take('__E')) return this.#readInitializer('initializer');
    if (text.take('__F')) return this.#readInitializer('atexit destructor');
    const code = text.takeMatch(/^(?:__.|_.|.)/s) ?? '';
    if (code === '0' || code === '1' || code === 'B') return code;
    const operator = microsoftOperators[code];
    if (operator === undefined) throw new NotUnderstood();
    return operator;
  }

  #readInitializer(kind: string): string {
    const text = this.#text;
    if (!text.take('?')) return `\`dynamic ${kind} for '${this.#readSource()}''`;
    const { name } = this.#readQualified();
    // The type of the variable follows, up to the end of the name in the name.
    if (text.takeMatch(/^[^@]*(?:@@?[^@]+)*?@@/) === undefined) throw new NotUnderstood();
    text.at--;
    return `\`dynamic ${kind} for '${name}''`;
  }

  #readOwnName(): string {
    if (this.#text.peek('?$')) return this.#readTemplate();
    return this.#readRemembered() ?? this.#readSource();
  }

  #readScope(): string {
    const text = this.#text;
    if (text.peek('?$')) return this.#remember(this.#readTemplate());
    if (text.take('?A')) {
      this.#skipToEnd();
      return this.#remember('(anonymous namespace)');
    }
    if (text.take('?')) return this.#readLocalScope();
    return this.#readRemembered() ?? this.#readSource();
  }

  /** A function that a class is local to: the number of the block in it, and then its whole symbol. */
  #readLocalScope(): string {
    this.#readNumber();
    this.#text.expect('?');
    return this.#text.nested(() => {
      this.#text.expect('?');
      const { name, isConversion } = this.#readQualified();
      const returned = this.#readFunction();
      return isConversion ? `${name} ${returned}` : name;
    });
  }

  #readRemembered(): string | undefined {
    const digit = this.#text.takeMatch(/^\d/);
    if (digit === undefined) return undefined;
    const name = this.#remembered.names[Number(digit)];
    if (name === undefined) throw new NotUnderstood();
    return this.#text.grow(name);
  }

  /** A name up to its `@`. */
  #readSource(): string {
    return this.#remember(this.#skipToEnd());
  }

  #skipToEnd(): string {
    const found = this.#text.takeMatch(/^[^@?]+(?=@)|^(?=@)/);
    if (found === undefined) throw new NotUnderstood();
    this.#text.expect('@');
    return found;
  }

  #remember(name: string): string {
    const { names } = this.#remembered;
    if (names.length < REMEMBERED_MAX && !names.includes(name)) names.push(name);
    return name;
  }

  #readTemplate(): string {
    const text = this.#text;
    text.expect('?$');
    const outer = this.#remembered;
    this.#remembered = { names: [], parameters: [] };
    const name = text.nested(() => {
      const special = text.peek('?') ? this.#readSpecial() : undefined;
      if (special === '0' || special === '1' || special === 'B') throw new NotUnderstood();
      const own = special ?? this.#readSource();
      const parts: string[] = [];
      while (!text.take('@')) {
        const part = this.#readArgument();
        if (part !== undefined) parts.push(part);
      }
      const list = parts.join(',');
      return text.grow(`${own}<${list}${list.endsWith('>') ? ' ' : ''}>`);
    });
    this.#remembered = outer;
    return name;
  }

  #readArgument(): string | undefined {
    const text = this.#text;
    for (const empty of ['$$V', '$$$V', '$$Z', '$S']) if (text.take(empty)) return undefined;
    if (text.take('$0')) return String(this.#readNumber());
    if (text.peek('$') && !text.peek('$$')) throw new NotUnderstood();
    return this.#readType();
  }

  #readNumber(): bigint {
    const sign = this.#text.take('?') ? -1n : 1n;
    const digit = this.#text.takeMatch(/^\d/);
    if (digit !== undefined) return sign * (BigInt(digit) + 1n);
    const letters = this.#text.takeMatch(/^[A-P]{0,16}(?=@)/);
    if (letters === undefined) throw new NotUnderstood();
    this.#text.expect('@');
    let value = 0n;
    for (const letter of letters) value = value * 16n + BigInt(letter.charCodeAt(0) - 65);
    return sign * value;
  }

  #readType(): string {
    return this.#text.nested(() => this.#readTypeWithin());
  }

  #readTypeWithin(): string {
    const text = this.#text;
    if (text.take('$$T')) return 'std::nullptr_t';
    if (text.take('$$A6')) return this.#readFunctionType('');
    if (text.take('$$BY')) {
      const { element, sizes } = this.#readArray();
      return text.grow(element + sizes);
    }
    if (text.take('$$C') || text.take('?')) return this.#readQualifiedType();
    const pointer = text.takeMatch(/^(?:\$\$[QR]|[ABPQRS])/);
    if (pointer !== undefined) return this.#readPointer(pointers[pointer]!);
    if (text.takeMatch(/^(?:[TUV]|W4)/) !== undefined) return this.#readTypeName();
    const known = microsoftTypes[text.takeMatch(/^(?:_.|[C-X])/) ?? ''];
    if (known === undefined) throw new NotUnderstood();
    return known;
  }

  #readPointer(sign: string): string {
    const text = this.#text;
    if (text.take('6')) return this.#readFunctionType(sign.trim());
    if (text.take('8')) {
      const around = this.#readTypeName();
      this.#readThis();
      return this.#readFunctionType(`${around}::${sign.trim()}`);
    }
    text.takeMatch(/^[EFI]*/); // 64 bits, unaligned, restricted
    const member = text.takeMatch(/^[QRST]/);
    if (member !== undefined) {
      const around = this.#readTypeName();
      return text.grow(`${this.#readType()} ${around}::${sign.trim()}`);
    }
    const qualifier = this.#readQualifier();
    if (text.take('Y')) {
      const { element, sizes } = this.#readArray();
      return text.grow(`${element}${qualifier} (${sign.trim()})${sizes}`);
    }
    return text.grow(qualify(this.#readType(), qualifier) + sign);
  }

  /** How many sizes there are, the sizes, and the type of an element. */
  #readArray(): { readonly element: string; readonly sizes: string } {
    let sizes = '';
    for (let left = this.#readNumber(); left > 0n; left--) {
      const size = this.#readNumber();
      sizes = this.#text.grow(`${sizes}[${size === 0n ? '' : size}]`);
    }
    return { element: this.#readType(), sizes };
  }

  #readQualifiedType(): string {
    const qualifier = this.#readQualifier();
    return this.#text.grow(qualify(this.#readType(), qualifier));
  }

  #readQualifier(): string {
    const qualifier = qualifiers[this.#text.takeMatch(/^[A-D]/) ?? ''];
    if (qualifier === undefined) throw new NotUnderstood();
    return qualifier;
  }

  #readTypeName(): string {
    const parts: string[] = [];
    const text = this.#text;
    parts.unshift(text.peek('?$') ? this.#remember(this.#readTemplate()) : this.#readScope());
    while (!text.take('@')) parts.unshift(this.#readScope());
    return text.grow(parts.join('::'));
  }

  /** How a member function may treat its object. */
  #readThis(): void {
    this.#text.takeMatch(/^[EFIGH]*/);
    this.#readQualifier();
  }

  /** @param sign what a pointer to it has within its parentheses */
  #readFunctionType(sign: string): string {
    const { convention, returned, parameters } = this.#readSignature();
    const middle = sign === '' ? ` ${convention}` : ` (${convention}${/^[A-Za-z_]/.test(sign) ? ' ' : ''}${sign})`;
    return this.#text.grow(`${returned}${middle}(${parameters})`);
  }

  /** The access and the signature behind the name of a function; returns the type that it returns. */
  #readFunction(): string {
    const code = this.#text.takeMatch(/^[A-Z9]/) ?? '';
    if (code === '9') return ''; // of C
    if (plainMembers.has(code)) this.#readThis();
    else if (!staticMembers.has(code) && code !== 'Y' && code !== 'Z') throw new NotUnderstood();
    return this.#readSignature().returned;
  }

  #readSignature(): { readonly convention: string; readonly returned: string; readonly parameters: string } {
    const text = this.#text;
    const convention = callingConventions[text.takeMatch(/^./s) ?? ''];
    if (convention === undefined) throw new NotUnderstood();
    const returned = text.take('@') ? 'void' : this.#readType(); // @: a constructor's or destructor's
    const parameters = text.take('X') ? 'void' : this.#readParameters();
    if (text.takeMatch(/^(?:Z|_E)/) === undefined) throw new NotUnderstood();
    return { convention, returned, parameters };
  }

  #readParameters(): string {
    const text = this.#text;
    const { parameters } = this.#remembered;
    const read: string[] = [];
    for (;;) {
      if (text.take('@')) return read.join(',');
      if (text.take('Z')) return [...read, '...'].join(',');
      const digit = text.takeMatch(/^\d/);
      if (digit !== undefined) {
        const known = parameters[Number(digit)];
        if (known === undefined) throw new NotUnderstood();
        read.push(text.grow(known));
        continue;
      }
      const start = text.at;
      const type = this.#readType();
      if (text.at - start > 1 && parameters.length < REMEMBERED_MAX) parameters.push(type);
      read.push(type);
    }
  }
}

/** A pointer that is constant by itself is not made so twice. */
function qualify(type: string, qualifier: string): string {
  return type.endsWith(qualifier) ? type : type + qualifier;
}
