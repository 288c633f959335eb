// A page as parse5 reads it, the parser of the HTML standard, and what may be asked of it.
import { type DefaultTreeAdapterTypes as Tree, parse } from 'parse5';

/** An element of a page. */
export interface PageElement {
  readonly tag: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** All text in it, as a reader sees it. */
  readonly text: string;
  /** The elements in it, in the order of the document. */
  readonly all: readonly PageElement[];
  /** It begins and ends in the text; or it has no content, and the text says so. */
  readonly isBalanced: boolean;
}

export interface ParsedPage extends PageElement {
  /** The codes of parse errors, with their lines. */
  readonly errors: readonly string[];
  /** The elements with a tag, and with a class if one is named: `li`, `li.site`. */
  readonly select: (selector: string) => readonly PageElement[];
}

const empty = new Set(['meta', 'input', 'br', 'hr', 'link', 'img']);

/** Reads a page; what is wrong with it stands in {@link ParsedPage.errors}. */
export function parsePage(text: string): ParsedPage {
  const errors: string[] = [];
  const document = parse(text, {
    sourceCodeLocationInfo: true,
    onParseError: ({ code, startLine }) => errors.push(`${code} in line ${startLine}`),
  });
  const root = document.childNodes.find((node) => node.nodeName === 'html') as Tree.Element;
  const page = readElement(root);
  return {
    ...page,
    errors,
    select: (selector) => selectIn(page, selector),
  };
}

/** The elements in an element with a tag, and with a class if one is named. */
export function selectIn({ all }: PageElement, selector: string): readonly PageElement[] {
  const [tag = '', name] = selector.split('.');
  return all.filter(
    (element) =>
      (tag === '' || element.tag === tag) &&
      (name === undefined || (element.attributes['class'] ?? '').split(' ').includes(name)),
  );
}

function readElement(element: Tree.Element): PageElement {
  const parts = element.childNodes.map((node) => ('tagName' in node ? readElement(node) : node));
  const location = element.sourceCodeLocation;
  const isEmpty = element.namespaceURI.endsWith('svg') ? element.childNodes.length === 0 : empty.has(element.tagName);
  return {
    tag: element.tagName,
    attributes: Object.fromEntries(element.attrs.map(({ name, value }) => [name, value])),
    text: parts.map((part) => ('text' in part ? part.text : 'value' in part ? part.value : '')).join(''),
    all: parts.flatMap((part) => ('tag' in part ? [part, ...part.all] : [])),
    isBalanced: location?.startTag !== undefined && (isEmpty || location.endTag !== undefined),
  };
}
