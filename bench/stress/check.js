/**
 * @param {boolean} holds
 * @param {string} what
 * @throws Error when it does not hold
 */
export function check(holds, what) {
  if (!holds) throw new Error(`It does not hold that ${what}.`);
}
