/**
 * Makes a test for names. A name passes if it contains the text; or, where the text contains `*` (any characters) or
 * `?` (one), if it matches as a whole. Case does not matter.
 */
export function nameTest(text: string): (name: string) => boolean {
  const wanted = text.toLowerCase();
  if (!/[*?]/.test(wanted)) return (name) => name.toLowerCase().includes(wanted);
  return (name) => matchesGlob(name.toLowerCase(), wanted);
}

/**
 * Matches without a regular expression: names come from targets, and a name of 32,000 letters must not take for ever
 * with a pattern of many stars.
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
