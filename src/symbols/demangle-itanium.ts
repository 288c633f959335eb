const NAME_LENGTH_MAX = 4_000;
/** Substitutions can double a name with every few letters: more text than this, over all parts, is an attack. */
const WORK_MAX = 200_000;
const DEPTH_MAX = 200;

const builtinTypes: Readonly<Record<string, string>> = {
  v: 'void',
  w: 'wchar_t',
  b: 'bool',
  c: 'char',
  a: 'signed char',
  h: 'unsigned char',
  s: 'short',
  t: 'unsigned short',
  i: 'int',
  j: 'unsigned int',
  l: 'long',
  m: 'unsigned long',
  x: 'long long',
  y: 'unsigned long long',
  n: '__int128',
  o: 'unsigned __int128',
  f: 'float',
  d: 'double',
  e: 'long double',
  g: '__float128',
  z: '...',
  Dd: 'decimal64',
  De: 'decimal128',
  Df: 'decimal32',
  Dh: 'half',
  Di: 'char32_t',
  Ds: 'char16_t',
  Du: 'char8_t',
  Da: 'auto',
  Dc: 'decltype(auto)',
  Dn: 'decltype(nullptr)',
};

const operators: Readonly<Record<string, string>> = {
  nw: ' new',
  na: ' new[]',
  dl: ' delete',
  da: ' delete[]',
  aw: ' co_await',
  ps: '+',
  ng: '-',
  ad: '&',
  de: '*',
  co: '~',
  pl: '+',
  mi: '-',
  ml: '*',
  dv: '/',
  rm: '%',
  an: '&',
  or: '|',
  eo: '^',
  aS: '=',
  pL: '+=',
  mI: '-=',
  mL: '*=',
  dV: '/=',
  rM: '%=',
  aN: '&=',
  oR: '|=',
  eO: '^=',
  ls: '<<',
  rs: '>>',
  lS: '<<=',
  rS: '>>=',
  eq: '==',
  ne: '!=',
  lt: '<',
  gt: '>',
  le: '<=',
  ge: '>=',
  ss: '<=>',
  nt: '!',
  aa: '&&',
  oo: '||',
  pp: '++',
  mm: '--',
  cm: ',',
  pm: '->*',
  pt: '->',
  cl: '()',
  ix: '[]',
  qu: '?',
};

const abbreviations: Readonly<Record<string, readonly [whole: string, last: string]>> = {
  Sa: ['std::allocator', 'allocator'],
  Sb: ['std::basic_string', 'basic_string'],
  Ss: ['std::string', 'basic_string'],
  Si: ['std::istream', 'basic_istream'],
  So: ['std::ostream', 'basic_ostream'],
  Sd: ['std::iostream', 'basic_iostream'],
};

const literalSuffixes: Readonly<Record<string, string>> = { j: 'u', l: 'l', m: 'ul', x: 'll', y: 'ull' };

/**
 * The plain name of a function of GCC's or Clang's C++, without its result and parameters: `_ZN5store3BoxIiE4openEi` ->
 * `store::Box<int>::open`. `undefined` for what is not decorated so, and for the rarest parts of the grammar
 * (expressions in template arguments, other than literals and addresses).
 * https://itanium-cxx-abi.github.io/cxx-abi/abi.html#mangling
 *
 * @param name may come from a stranger: the work is bounded
 */
export function demangleItanium(name: string): string | undefined {
  const start = /^_{1,2}Z/.exec(name)?.[0].length;
  if (start === undefined || name.length > NAME_LENGTH_MAX) return undefined;
  try {
    return new Demangler(name, start).readWhole();
  } catch (error) {
    if (error instanceof NotUnderstood) return undefined;
    throw error;
  }
}

class NotUnderstood extends Error {}

/** A type in the two halves that a name would stand between: `void (*` and `)(int)`. */
interface TypeText {
  readonly left: string;
  readonly right: string;
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
  readonly #name: string;
  #at: number;
  #depth = 0;
  #work = 0;
  readonly #substitutions: (TypeText & { readonly last: string })[] = [];
  /** What `T_`, `T0_` … mean: the template arguments that were read last, outside of others. */
  #arguments: readonly string[] = [];
  #argumentDepth = 0;
  #inLambda = 0;

  constructor(name: string, start: number) {
    this.#name = name;
    this.#at = start;
  }

  readWhole(): string {
    // Thunks only: the other special names are those of data, and no function has one.
    const thunk = /^(?:T[hv]n?\d+_(?:n?\d+_)?|Tc(?:[hv]n?\d+_(?:n?\d+_)?){2})/.exec(
      this.#name.slice(this.#at, this.#at + 100),
    )?.[0];
    this.#at += thunk?.length ?? 0;
    // What comes after the name are its parameters, which nobody asks for.
    return this.#readName().text; // of thunks, the function's that they lead to
  }

  /** An encoding up to its `E`, in a local name: here the parameters have to be read over. */
  #wholeEncoding(): string {
    const name = this.#readName();
    const parameters = this.#readParameters(name.isTemplate && name.hasNoResult !== true);
    return `${name.text}${parameters}`;
  }

  #readParameters(hasResult: boolean): string {
    if (this.#peek('E') || this.#peek('.') || this.#at >= this.#name.length) return '';
    if (hasResult) this.#readType();
    const types: string[] = [];
    while (!this.#peek('E') && !this.#peek('.') && this.#at < this.#name.length) types.push(spell(this.#readType()));
    return `(${types.length === 1 && types[0] === 'void' ? '' : types.join(', ')})`;
  }

  #readName(): NameText {
    return this.#nested(() => {
      if (this.#take('N')) return this.#readNestedName();
      if (this.#take('Z')) return this.#readLocalName();
      let name: NameText;
      if (this.#peek('S') && !this.#peek('St')) {
        const { left, right, last } = this.#readSubstitution();
        name = { text: left + right, last, isTemplate: false };
      } else {
        const isStd = this.#take('St');
        const part = this.#readUnqualified('');
        name = { ...part, text: isStd ? `std::${part.text}` : part.text };
        if (this.#peek('I')) this.#remember({ left: name.text, right: '' }, name.last);
      }
      if (!this.#peek('I')) return name;
      return { ...name, text: this.#grow(withArguments(name.text, this.#readArguments())), isTemplate: true };
    });
  }

  #readNestedName(): NameText {
    while (/[rVKRO]/.test(this.#letter())) this.#at++;
    let name: NameText = { text: '', last: '', isTemplate: false };
    for (let isFirst = true; !this.#take('E'); isFirst = false) {
      if (this.#take('M')) continue; // a member whose initialiser holds what follows
      if (this.#peek('I')) {
        name = { ...name, text: withArguments(name.text, this.#readArguments()), isTemplate: true };
      } else if (isFirst && this.#peek('S') && !this.#peek('St')) {
        const { left, right, last } = this.#readSubstitution();
        name = { text: left + right, last, isTemplate: false };
        continue; // it is remembered already
      } else if (isFirst && this.#peek('T')) {
        const { left, right } = this.#readTemplateParameter();
        name = { text: left + right, last: left, isTemplate: false };
      } else if (isFirst && (this.#peek('Dt') || this.#peek('DT'))) {
        throw new NotUnderstood();
      } else if (isFirst && this.#take('St')) {
        name = { text: 'std', last: 'std', isTemplate: false };
        continue;
      } else {
        const part = this.#readUnqualified(name.last);
        name = { ...part, text: name.text === '' ? part.text : `${name.text}::${part.text}` };
      }
      this.#grow(name.text);
      if (!this.#peek('E')) this.#remember({ left: name.text, right: '' }, name.last);
    }
    return name;
  }

  #readLocalName(): NameText {
    const outer = this.#wholeEncoding();
    this.#expect('E');
    if (this.#take('s')) {
      this.#readDiscriminator();
      return { text: `${outer}::string literal`, last: '', isTemplate: false };
    }
    if (this.#take('d')) {
      if (!this.#peek('_')) this.#readNumber();
      this.#expect('_');
    }
    const inner = this.#readName();
    this.#readDiscriminator();
    return { ...inner, text: this.#grow(`${outer}::${inner.text}`) };
  }

  #readDiscriminator(): void {
    const found = /^_(?:\d|_\d+_)/.exec(this.#name.slice(this.#at));
    if (found !== null) this.#at += found[0].length;
  }

  /** @param scope what the name's class is called, for constructors and destructors */
  #readUnqualified(scope: string): NameText {
    const plain = (text: string, hasNoResult = false): NameText => ({
      text: this.#readAbiTags(text),
      last: text,
      isTemplate: false,
      hasNoResult,
    });
    const letter = this.#letter();
    if (letter >= '0' && letter <= '9') return plain(this.#readSource());
    if (this.#take('L')) {
      const name = this.#readSource();
      this.#readDiscriminator();
      return plain(name);
    }
    if (this.#take('Ut')) {
      const number = this.#readSequence();
      return plain(`{unnamed type#${number}}`);
    }
    if (this.#take('Ul')) {
      this.#inLambda++;
      const parameters = this.#readParameters(false);
      this.#inLambda--;
      this.#expect('E');
      return plain(`{lambda${parameters || '()'}#${this.#readSequence()}}`);
    }
    const special = /^(?:C[1-5]|D[0-5])/.exec(this.#name.slice(this.#at))?.[0];
    if (special !== undefined) {
      this.#at += 2;
      const last = this.#readAbiTags(special.startsWith('C') ? scope : `~${scope}`);
      return { text: last, last: scope, isTemplate: false, hasNoResult: true };
    }
    if (this.#take('DC')) throw new NotUnderstood();
    if (this.#take('cv')) return plain(`operator ${spell(this.#readType())}`, true);
    if (this.#take('li')) return plain(`operator"" ${this.#readSource()}`);
    const operator = operators[this.#name.slice(this.#at, this.#at + 2)];
    if (operator === undefined) throw new NotUnderstood();
    this.#at += 2;
    return plain(`operator${operator}`);
  }

  #readAbiTags(text: string): string {
    let tagged = text;
    while (this.#take('B')) tagged += `[abi:${this.#readSource()}]`;
    return tagged;
  }

  #readSource(): string {
    const length = this.#readNumber();
    const text = this.#name.slice(this.#at, this.#at + length);
    if (length === 0 || text.length !== length) throw new NotUnderstood();
    this.#at += length;
    return text.startsWith('_GLOBAL_') && /^_GLOBAL_[._$]N/.test(text) ? '(anonymous namespace)' : text;
  }

  #readArguments(): readonly string[] {
    this.#expect('I');
    this.#argumentDepth++;
    const list: string[] = [];
    while (!this.#take('E')) list.push(...this.#readArgument());
    this.#argumentDepth--;
    if (this.#argumentDepth === 0) this.#arguments = list;
    return list;
  }

  #readArgument(): readonly string[] {
    if (this.#peek('L')) return [this.#readLiteral()];
    if (this.#peek('X')) throw new NotUnderstood();
    if (!this.#take('J')) return [spell(this.#readType())];
    const pack: string[] = [];
    while (!this.#take('E')) pack.push(...this.#readArgument());
    return pack;
  }

  #readLiteral(): string {
    this.#expect('L');
    if (this.#take('_Z')) {
      const name = this.#wholeEncoding();
      this.#expect('E');
      return `&${name}`;
    }
    const kind = this.#letter();
    const type = spell(this.#readType());
    const value = /^n?[0-9a-f]*/.exec(this.#name.slice(this.#at))![0];
    this.#at += value.length;
    this.#expect('E');
    const number = value.replace(/^n/, '-');
    if (kind === 'b') return number === '1' ? 'true' : 'false';
    if (kind === 'i') return number;
    if (type === 'decltype(nullptr)') return 'nullptr';
    return kind in literalSuffixes ? `${number}${literalSuffixes[kind]}` : `(${type})${number}`;
  }

  #readType(): TypeText {
    return this.#nested(() => {
      const start = this.#at;
      const text = this.#readTypeItself();
      this.#grow(text.left + text.right);
      const read = this.#name.slice(start, this.#at);
      const isBuiltin = read in builtinTypes;
      const isSubstitution = /^S(?:[0-9A-Z]*_|[absiod])$/.test(read);
      if (!isBuiltin && !isSubstitution) this.#remember(text, text.left);
      return text;
    });
  }

  #readTypeItself(): TypeText {
    const two = this.#name.slice(this.#at, this.#at + 2);
    const builtin = builtinTypes[two] ?? builtinTypes[this.#letter()];
    if (builtin !== undefined) {
      this.#at += two in builtinTypes ? 2 : 1;
      return { left: builtin, right: '' };
    }
    const qualifiers = /^[rVK]+/.exec(this.#name.slice(this.#at))?.[0];
    if (qualifiers !== undefined) {
      this.#at += qualifiers.length;
      const words = [...qualifiers]
        .reverse()
        .map((letter) => ({ r: ' restrict', V: ' volatile', K: ' const' })[letter])
        .join('');
      const { left, right } = this.#readType();
      return right.startsWith('(') ? { left, right: right + words } : { left: left + words, right };
    }
    if (this.#take('P')) return pointer(this.#readType(), '*');
    if (this.#take('R')) return pointer(this.#readType(), '&');
    if (this.#take('O')) return pointer(this.#readType(), '&&');
    if (this.#take('F')) return this.#readFunctionType();
    if (this.#take('DoF')) {
      const { left, right } = this.#readFunctionType();
      return { left, right: `${right} noexcept` };
    }
    if (this.#take('A')) {
      const length = this.#peek('_') ? '' : String(this.#readNumber());
      this.#expect('_');
      const { left, right } = this.#readType();
      const room = left.endsWith(' ') ? '' : ' ';
      return { left: left + room, right: `[${length}]${right}` };
    }
    if (this.#take('M')) {
      const owner = spell(this.#readType());
      const member = this.#readType();
      return member.right === '' ? { left: `${member.left} ${owner}::*`, right: '' } : pointer(member, `${owner}::*`);
    }
    if (this.#take('Dp')) return this.#readType();
    if (this.#take('u')) return { left: this.#readSource(), right: '' };
    if (this.#take('U')) {
      const qualifier = this.#readSource();
      const { left, right } = this.#readType();
      return { left: `${left} ${qualifier}`, right };
    }
    if (this.#letter() === 'T' && !/^T[sue]/.test(two)) {
      const parameter = this.#readTemplateParameter();
      if (!this.#peek('I')) return parameter;
      this.#remember(parameter, parameter.left);
      return { left: withArguments(parameter.left, this.#readInnerArguments()), right: '' };
    }
    if (/^T[sue]/.test(two)) this.#at += 2; // elaborated: struct, union, enum
    if (this.#letter() === 'S' && !this.#peek('St')) {
      const { left, right } = this.#readSubstitution();
      return this.#peek('I')
        ? { left: withArguments(left + right, this.#readInnerArguments()), right: '' }
        : { left, right };
    }
    if (this.#letter() === 'D' && two !== 'DT') throw new NotUnderstood();
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
    this.#take('Y');
    const result = this.#readType();
    const types: string[] = [];
    let reference = '';
    while (!this.#take('E')) {
      const mark = /^[RO](?=E)/.exec(this.#name.slice(this.#at))?.[0];
      if (mark === undefined) types.push(spell(this.#readType()));
      else {
        reference = mark === 'R' ? ' &' : ' &&';
        this.#at++;
      }
    }
    const list = types.length === 1 && types[0] === 'void' ? '' : types.join(', ');
    return { left: `${result.left} `, right: `(${list})${reference}${result.right}` };
  }

  #readTemplateParameter(): TypeText {
    this.#expect('T');
    const index = this.#take('_') ? 0 : this.#readBase36(10) + 1;
    const text = this.#arguments[index];
    if (this.#inLambda > 0 && text === undefined) return { left: 'auto', right: '' };
    if (text === undefined) throw new NotUnderstood();
    return { left: text, right: '' };
  }

  #readSubstitution(): TypeText & { readonly last: string } {
    const known = abbreviations[this.#name.slice(this.#at, this.#at + 2)];
    if (known !== undefined) {
      this.#at += 2;
      // A member of an abbreviated class is named in full: it is a template's.
      return { left: known[0], right: '', last: known[1] };
    }
    this.#expect('S');
    const index = this.#take('_') ? 0 : this.#readBase36(36) + 1;
    const found = this.#substitutions[index];
    if (found === undefined) throw new NotUnderstood();
    return found;
  }

  #remember(text: TypeText, last: string): void {
    this.#substitutions.push({ ...text, last });
  }

  /** `_` is 1, `0_` is 2: how unnamed things are counted. */
  #readSequence(): number {
    if (this.#take('_')) return 1;
    const number = this.#readNumber();
    this.#expect('_');
    return number + 2;
  }

  #readBase36(radix: 10 | 36): number {
    const digits = /^[0-9A-Z]{1,6}(?=_)/.exec(this.#name.slice(this.#at, this.#at + 8))?.[0];
    if (digits === undefined) throw new NotUnderstood();
    this.#at += digits.length + 1;
    return Number.parseInt(digits, radix);
  }

  #readNumber(): number {
    const digits = /^\d{1,6}/.exec(this.#name.slice(this.#at, this.#at + 6))?.[0];
    if (digits === undefined) throw new NotUnderstood();
    this.#at += digits.length;
    return Number(digits);
  }

  #letter(): string {
    return this.#name.charAt(this.#at);
  }

  #peek(text: string): boolean {
    return this.#name.startsWith(text, this.#at);
  }

  #take(text: string): boolean {
    const isThere = this.#peek(text);
    if (isThere) this.#at += text.length;
    return isThere;
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw new NotUnderstood();
  }

  #nested<Result>(read: () => Result): Result {
    if (++this.#depth > DEPTH_MAX) throw new NotUnderstood();
    const result = read();
    this.#depth--;
    return result;
  }

  #grow(text: string): string {
    this.#work += text.length;
    if (this.#work > WORK_MAX) throw new NotUnderstood();
    return text;
  }
}

function spell({ left, right }: TypeText): string {
  return left + right;
}

function withArguments(name: string, list: readonly string[]): string {
  const text = list.join(', ');
  // `operator<` and a list, or two lists, must not run together.
  return `${name}${name.endsWith('<') ? ' ' : ''}<${text}${text.endsWith('>') ? ' ' : ''}>`;
}

/** `void ` and `(int)` become `void (*` and `)(int)`; `void (*` and `)(int)` become `void (**` and `)(int)`. */
function pointer({ left, right }: TypeText, mark: string): TypeText {
  if (mark.startsWith('&') && right === '' && /&&?$/.test(left))
    return { left: left.replace(/&&?$/, mark === '&' || left.endsWith(' &') ? '&' : /&&?$/.exec(left)![0]), right };
  if (right === '') return { left: left + mark, right };
  if (right.startsWith(')')) return { left: left + mark, right };
  return { left: `${left}(${mark}`, right: `)${right.startsWith('[') ? ' ' : ''}${right}` };
}
