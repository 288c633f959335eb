/**
 * A test for names: those that have the text in them; or, where the text has `*` (any characters) or `?` (one) in it,
 * those that match it as a whole. Upper and lower case are one.
 */
export function nameTest(text: string): (name: string) => boolean {
  const wanted = text.toLowerCase();
  if (!/[*?]/.test(wanted)) return (name) => name.toLowerCase().includes(wanted);
  return (name) => matchesGlob(name.toLowerCase(), wanted);
}

/**
 * No regular expression: names come from targets, and one of 32,000 letters must not take a pattern with stars for
 * ever.
 */
function matchesGlob(name: string, pattern: string): boolean {
  let at = 0;
  let inPattern = 0;
  let star = -1;
  let afterStar = 0;
  while (at < name.length) {
    if (pattern[inPattern] === '*') {
      star = inPattern++;
      afterStar = at;
    } else if (inPattern < pattern.length && (pattern[inPattern] === '?' || pattern[inPattern] === name[at])) {
      inPattern++;
      at++;
    } else if (star >= 0) {
      // The last star takes one character more.
      inPattern = star + 1;
      at = ++afterStar;
    } else return false;
  }
  while (pattern[inPattern] === '*') inPattern++;
  return inPattern === pattern.length;
}
