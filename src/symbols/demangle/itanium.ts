import { DecoratedName, NotUnderstood } from './decorated-name.ts';
import { abbreviations, builtinTypes, literalSuffixes, operators } from './itanium-names.ts';
import { pointer, spell, type TypeText, withArguments } from './itanium-types.ts';

const NAME_LENGTH_MAX = 4_000;

/**
 * The plain name of a function of GCC's or Clang's C++, without its result and parameters: `_ZN5store3BoxIiE4openEi` ->
 * `store::Box<int>::open`. `undefined` for what is not decorated so, and for the rarest parts of the grammar
 * (expressions in template arguments, other than literals and addresses).
 * https://itanium-cxx-abi.github.io/cxx-abi/abi.html#mangling
 *
 * @param name may be hostile: the work is bounded
 */
export function demangleItanium(name: string): string | undefined {
  const start = /^_{1,2}Z/.exec(name)?.[0].length;
  if (start === undefined || name.length > NAME_LENGTH_MAX) return undefined;
  try {
    return new Demangler(new DecoratedName(name, start)).readWhole();
  } catch (error) {
    if (error instanceof NotUnderstood) return undefined;
    throw error;
  }
}

/** A name, and what is needed to go on with it. */
interface NameText {
  readonly text: string;
  /** The last part without template arguments: what a constructor is called. */
  readonly last: string;
  /** It ends with template arguments, so that a function of this name has its result spelled before its parameters. */
  readonly isTemplate: boolean;
  /** Constructors, destructors and conversions have no result, template or not. */
  readonly hasNoResult?: boolean;
}

class Demangler {
  readonly #name: DecoratedName;
  readonly #substitutions: (TypeText & { readonly last: string })[] = [];
  /** The meanings of `T_`, `T0_` …: the template arguments that were read last, outside of others. */
  #arguments: readonly string[] = [];
  #argumentDepth = 0;
  #inLambda = 0;

  constructor(name: DecoratedName) {
    this.#name = name;
  }

  readWhole(): string {
    // Thunks only: the other special names belong to data.
    this.#name.takeMatch(/^(?:T[hv]n?\d+_(?:n?\d+_)?|Tc(?:[hv]n?\d+_(?:n?\d+_)?){2})/);
    // The parameters after the name are not wanted.
    return this.#readName().text; // a thunk has the name of the function that it leads to
  }

  /** An encoding up to its `E`, in a local name, with its parameters. */
  #wholeEncoding(): string {
    const name = this.#readName();
    const parameters = this.#readParameters(name.isTemplate && name.hasNoResult !== true);
    return `${name.text}${parameters}`;
  }

  #readParameters(hasResult: boolean): string {
    if (this.#name.peek('E') || this.#name.peek('.') || this.#name.isAtEnd) return '';
    if (hasResult) this.#readType();
    const types: string[] = [];
    while (!this.#name.peek('E') && !this.#name.peek('.') && !this.#name.isAtEnd) types.push(spell(this.#readType()));
    return `(${types.length === 1 && types[0] === 'void' ? '' : types.join(', ')})`;
  }

  #readName(): NameText {
    return this.#name.nested(() => {
      if (this.#name.take('N')) return this.#readNestedName();
      if (this.#name.take('Z')) return this.#readLocalName();
      let name: NameText;
      if (this.#name.peek('S') && !this.#name.peek('St')) {
        const { left, right, last } = this.#readSubstitution();
        name = { text: left + right, last, isTemplate: false };
      } else {
        const isStd = this.#name.take('St');
        const part = this.#readUnqualified('');
        name = { ...part, text: isStd ? `std::${part.text}` : part.text };
        if (this.#name.peek('I')) this.#remember({ left: name.text, right: '' }, name.last);
      }
      if (!this.#name.peek('I')) return name;
      return { ...name, text: this.#name.grow(withArguments(name.text, this.#readArguments())), isTemplate: true };
    });
  }

  #readNestedName(): NameText {
    this.#name.takeMatch(/^[rVKRO]+/);
    let name: NameText = { text: '', last: '', isTemplate: false };
    for (let isFirst = true; !this.#name.take('E'); isFirst = false) {
      if (this.#name.take('M')) continue; // a member whose initialiser holds what follows
      if (this.#name.peek('I')) {
        name = { ...name, text: withArguments(name.text, this.#readArguments()), isTemplate: true };
      } else if (isFirst && this.#name.peek('S') && !this.#name.peek('St')) {
        const { left, right, last } = this.#readSubstitution();
        name = { text: left + right, last, isTemplate: false };
        continue; // it is remembered already
      } else if (isFirst && this.#name.peek('T')) {
        const { left, right } = this.#readTemplateParameter();
        name = { text: left + right, last: left, isTemplate: false };
      } else if (isFirst && (this.#name.peek('Dt') || this.#name.peek('DT'))) {
        throw new NotUnderstood();
      } else if (isFirst && this.#name.take('St')) {
        name = { text: 'std', last: 'std', isTemplate: false };
        continue;
      } else {
        const part = this.#readUnqualified(name.last);
        name = { ...part, text: name.text === '' ? part.text : `${name.text}::${part.text}` };
      }
      this.#name.grow(name.text);
      if (!this.#name.peek('E')) this.#remember({ left: name.text, right: '' }, name.last);
    }
    return name;
  }

  #readLocalName(): NameText {
    const outer = this.#wholeEncoding();
    this.#name.expect('E');
    if (this.#name.take('s')) {
      this.#name.readDiscriminator();
      return { text: `${outer}::string literal`, last: '', isTemplate: false };
    }
    if (this.#name.take('d')) {
      if (!this.#name.peek('_')) this.#name.readNumber();
      this.#name.expect('_');
    }
    const inner = this.#readName();
    this.#name.readDiscriminator();
    return { ...inner, text: this.#name.grow(`${outer}::${inner.text}`) };
  }

  /** @param scope what the name's class is called, for constructors and destructors */
  #readUnqualified(scope: string): NameText {
    const plain = (text: string, hasNoResult = false): NameText => ({
      text: this.#readAbiTags(text),
      last: text,
      isTemplate: false,
      hasNoResult,
    });
    const letter = this.#name.next();
    if (letter >= '0' && letter <= '9') return plain(this.#name.readSource());
    if (this.#name.take('L')) {
      const name = this.#name.readSource();
      this.#name.readDiscriminator();
      return plain(name);
    }
    if (this.#name.take('Ut')) {
      const number = this.#name.readSequence();
      return plain(`{unnamed type#${number}}`);
    }
    if (this.#name.take('Ul')) {
      this.#inLambda++;
      const parameters = this.#readParameters(false);
      this.#inLambda--;
      this.#name.expect('E');
      return plain(`{lambda${parameters || '()'}#${this.#name.readSequence()}}`);
    }
    const special = this.#name.takeMatch(/^(?:C[1-5]|D[0-5])/);
    if (special !== undefined) {
      const last = this.#readAbiTags(special.startsWith('C') ? scope : `~${scope}`);
      return { text: last, last: scope, isTemplate: false, hasNoResult: true };
    }
    if (this.#name.take('DC')) throw new NotUnderstood();
    if (this.#name.take('cv')) return plain(`operator ${spell(this.#readType())}`, true);
    if (this.#name.take('li')) return plain(`operator"" ${this.#name.readSource()}`);
    const operator = operators[this.#name.next(2)];
    if (operator === undefined) throw new NotUnderstood();
    this.#name.at += 2;
    return plain(`operator${operator}`);
  }

  #readAbiTags(text: string): string {
    let tagged = text;
    while (this.#name.take('B')) tagged += `[abi:${this.#name.readSource()}]`;
    return tagged;
  }

  #readArguments(): readonly string[] {
    this.#name.expect('I');
    this.#argumentDepth++;
    const list: string[] = [];
    while (!this.#name.take('E')) list.push(...this.#readArgument());
    this.#argumentDepth--;
    if (this.#argumentDepth === 0) this.#arguments = list;
    return list;
  }

  #readArgument(): readonly string[] {
    if (this.#name.peek('L')) return [this.#readLiteral()];
    if (this.#name.peek('X')) throw new NotUnderstood();
    if (!this.#name.take('J')) return [spell(this.#readType())];
    return this.#name.nested(() => {
      const pack: string[] = [];
      while (!this.#name.take('E')) pack.push(...this.#readArgument());
      return pack;
    });
  }

  #readLiteral(): string {
    this.#name.expect('L');
    if (this.#name.take('_Z')) {
      const name = this.#wholeEncoding();
      this.#name.expect('E');
      return `&${name}`;
    }
    const kind = this.#name.next();
    const type = spell(this.#readType());
    const value = this.#name.takeMatch(/^n?[0-9a-f]*/) ?? '';
    this.#name.expect('E');
    const number = value.replace(/^n/, '-');
    if (kind === 'b') return number === '1' ? 'true' : 'false';
    if (kind === 'i') return number;
    if (type === 'decltype(nullptr)') return 'nullptr';
    return kind in literalSuffixes ? `${number}${literalSuffixes[kind]}` : `(${type})${number}`;
  }

  #readType(): TypeText {
    return this.#name.nested(() => {
      const start = this.#name.at;
      const text = this.#readTypeItself();
      this.#name.grow(text.left + text.right);
      const read = this.#name.readSince(start);
      const isBuiltin = read in builtinTypes;
      const isSubstitution = /^S(?:[0-9A-Z]*_|[absiod])$/.test(read);
      if (!isBuiltin && !isSubstitution) this.#remember(text, text.left);
      return text;
    });
  }

  #readTypeItself(): TypeText {
    const two = this.#name.next(2);
    const builtin = builtinTypes[two] ?? builtinTypes[this.#name.next()];
    if (builtin !== undefined) {
      this.#name.at += two in builtinTypes ? 2 : 1;
      return { left: builtin, right: '' };
    }
    const qualifiers = this.#name.takeMatch(/^[rVK]+/);
    if (qualifiers !== undefined) {
      const words = [...qualifiers]
        .reverse()
        .map((letter) => ({ r: ' restrict', V: ' volatile', K: ' const' })[letter])
        .join('');
      const { left, right } = this.#readType();
      return right.startsWith('(') ? { left, right: right + words } : { left: left + words, right };
    }
    if (this.#name.take('P')) return pointer(this.#readType(), '*');
    if (this.#name.take('R')) return pointer(this.#readType(), '&');
    if (this.#name.take('O')) return pointer(this.#readType(), '&&');
    if (this.#name.take('F')) return this.#readFunctionType();
    if (this.#name.take('DoF')) {
      const { left, right } = this.#readFunctionType();
      return { left, right: `${right} noexcept` };
    }
    if (this.#name.take('A')) {
      const length = this.#name.peek('_') ? '' : String(this.#name.readNumber());
      this.#name.expect('_');
      const { left, right } = this.#readType();
      const room = left.endsWith(' ') ? '' : ' ';
      return { left: left + room, right: `[${length}]${right}` };
    }
    if (this.#name.take('M')) {
      const owner = spell(this.#readType());
      const member = this.#readType();
      return member.right === '' ? { left: `${member.left} ${owner}::*`, right: '' } : pointer(member, `${owner}::*`);
    }
    if (this.#name.take('Dp')) return this.#readType();
    if (this.#name.take('u')) return { left: this.#name.readSource(), right: '' };
    if (this.#name.take('U')) {
      const qualifier = this.#name.readSource();
      const { left, right } = this.#readType();
      return { left: `${left} ${qualifier}`, right };
    }
    if (this.#name.next() === 'T' && !/^T[sue]/.test(two)) {
      const parameter = this.#readTemplateParameter();
      if (!this.#name.peek('I')) return parameter;
      this.#remember(parameter, parameter.left);
      return { left: withArguments(parameter.left, this.#readInnerArguments()), right: '' };
    }
    if (/^T[sue]/.test(two)) this.#name.at += 2; // elaborated: struct, union, enum
    if (this.#name.next() === 'S' && !this.#name.peek('St')) {
      const { left, right } = this.#readSubstitution();
      return this.#name.peek('I')
        ? { left: withArguments(left + right, this.#readInnerArguments()), right: '' }
        : { left, right };
    }
    if (this.#name.next() === 'D' && two !== 'DT') throw new NotUnderstood();
    // A class or enumeration: its template arguments are not what T_ means.
    this.#argumentDepth++;
    const { text } = this.#readName();
    this.#argumentDepth--;
    return { left: text, right: '' };
  }

  #readInnerArguments(): readonly string[] {
    this.#argumentDepth++;
    const list = this.#readArguments();
    this.#argumentDepth--;
    return list;
  }

  #readFunctionType(): TypeText {
    this.#name.take('Y');
    const result = this.#readType();
    const types: string[] = [];
    let reference = '';
    while (!this.#name.take('E')) {
      const mark = this.#name.takeMatch(/^[RO](?=E)/);
      if (mark === undefined) types.push(spell(this.#readType()));
      else reference = mark === 'R' ? ' &' : ' &&';
    }
    const list = types.length === 1 && types[0] === 'void' ? '' : types.join(', ');
    return { left: `${result.left} `, right: `(${list})${reference}${result.right}` };
  }

  #readTemplateParameter(): TypeText {
    this.#name.expect('T');
    const index = this.#name.readIndex(10);
    const text = this.#arguments[index];
    if (this.#inLambda > 0 && text === undefined) return { left: 'auto', right: '' };
    if (text === undefined) throw new NotUnderstood();
    return { left: text, right: '' };
  }

  #readSubstitution(): TypeText & { readonly last: string } {
    const known = abbreviations[this.#name.next(2)];
    if (known !== undefined) {
      this.#name.at += 2;
      // A member of an abbreviated class is named in full: it is a template's.
      return { left: known[0], right: '', last: known[1] };
    }
    this.#name.expect('S');
    const index = this.#name.readIndex(36);
    const found = this.#substitutions[index];
    if (found === undefined) throw new NotUnderstood();
    return found;
  }

  #remember(text: TypeText, last: string): void {
    this.#substitutions.push({ ...text, last });
  }
}
