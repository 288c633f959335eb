/** A type in the two halves that a name would stand between: `void (*` and `)(int)`. */
export interface TypeText {
  readonly left: string;
  readonly right: string;
}

export function spell({ left, right }: TypeText): string {
  return left + right;
}

export function withArguments(name: string, list: readonly string[]): string {
  const text = list.join(', ');
  // `operator<` and a list, or two lists, must not run together.
  return `${name}${name.endsWith('<') ? ' ' : ''}<${text}${text.endsWith('>') ? ' ' : ''}>`;
}

/** `void ` and `(int)` become `void (*` and `)(int)`; `void (*` and `)(int)` become `void (**` and `)(int)`. */
export function pointer({ left, right }: TypeText, mark: string): TypeText {
  if (mark.startsWith('&') && right === '' && /&&?$/.test(left))
    return { left: left.replace(/&&?$/, mark === '&' || left.endsWith(' &') ? '&' : /&&?$/.exec(left)![0]), right };
  if (right === '') return { left: left + mark, right };
  if (right.startsWith(')')) return { left: left + mark, right };
  return { left: `${left}(${mark}`, right: `)${right.startsWith('[') ? ' ' : ''}${right}` };
}
