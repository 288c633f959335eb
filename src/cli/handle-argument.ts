import { InvalidArgumentError } from 'commander';

/**
 * Parses a handle's value, `0x1a4` or `420`, for commander.
 *
 * @throws InvalidArgumentError for anything else
 */
export function parseHandle(text: string): bigint {
  const value = /^(?:0x[0-9a-f]{1,16}|\d{1,20})$/i.test(text) ? BigInt(text) : -1n;
  if (value <= 0n || value >= 2n ** 64n) throw new InvalidArgumentError('A handle is a number such as 0x1a4 or 420.');
  return BigInt.asIntN(64, value);
}
